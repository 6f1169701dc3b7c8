"""What the arguments of a request may be, told before one is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flowhold.clients import check_options
from flowhold.errors import ConfigurationError
from flowhold_storage_webhook.calls import PAIRS
from flowhold_storage_webhook.templates import check_texts, copied, names_in

__all__ = ["ARGUMENTS", "METHODS", "check_call"]

METHODS = ("GET", "PATCH", "POST", "PUT")
ARGUMENTS = (
    *("url", "params", "data", "json", "headers", "cookies", "files", "auth", "timeout"),
    *("allow_redirects", "proxies", "hooks", "stream", "verify", "cert"),
)
"""What requests takes, beside the method."""
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "headers": ((Mapping,), "a mapping"),
    "proxies": ((Mapping,), "a mapping"),
    "verify": ((bool, str), "true, false or a path"),
    "cert": ((str, list, tuple), "a path, or a pair of them"),
    "timeout": ((int, float, list, tuple), "seconds, or a pair of them"),
    "allow_redirects": ((bool,), "true or false"),
}
_URL = re.compile(r"https?://.|\$", re.IGNORECASE)


def check_call(option: str, method: Any, arguments: Any, *, stores: bool) -> dict[str, Any]:
    """Return the arguments, as a dictionary of their own, if a request can be made of them.

    Args:
        option: How the options of it begin: ``build`` or ``get_flow``.
        method: Of HTTP.
        arguments: Those of requests.
        stores: Whether it stores a flow.

    Raises:
        ConfigurationError: They are wrong; no message shows a value of theirs.
    """
    if method not in METHODS:
        raise ConfigurationError(
            f"{option}_request_http_method must be one of {', '.join(METHODS)}, not {method!r}"
        )
    option = f"{option}_request_kwargs"
    if not isinstance(arguments, Mapping):
        raise ConfigurationError(f"{option} must be a mapping, not a {type(arguments).__name__}")
    if unknown := sorted(map(str, arguments.keys() - {*ARGUMENTS})):
        raise ConfigurationError(
            f"{option} has what requests does not take: {', '.join(unknown)}",
            hint=f"it takes {', '.join(sorted(ARGUMENTS))}",
        )
    url = arguments.get("url")
    if not isinstance(url, str) or not _URL.match(url):
        raise ConfigurationError(
            f"{option} has no URL that begins with http:// or https://, or with a template",
            hint="give it as 'url'",
        )
    for name, (kinds, wanted) in _KINDS.items():
        if (value := arguments.get(name)) is None:
            continue
        single = tuple(kind for kind in kinds if kind not in (list, tuple))
        wrong_pair = (
            name in PAIRS
            and isinstance(value, (list, tuple))
            and (len(value) != 2 or not all(isinstance(part, single) for part in value))
        )
        if wrong_pair or not isinstance(value, kinds):
            raise ConfigurationError(f"{name} in {option} must be {wanted}")
    auth = arguments.get("auth")
    if isinstance(auth, str) or (isinstance(auth, (list, tuple)) and not _is_pair(auth)):
        raise ConfigurationError(f"auth in {option} must be a pair of texts: user and password")
    if stores and arguments.get("files") is not None:
        raise ConfigurationError(
            f"{option} has files, but the body of that request is the flow",
            hint="multipart forms are not sent; choose an address that takes the bytes as they are",
        )
    try:
        own: dict[str, Any] = copied(arguments)
        for name, value in own.items():
            check_texts(f"{option}[{name!r}]", value)
        _check_written(option, own)
    except RecursionError:
        raise ConfigurationError(f"{option} contains itself") from None
    return own


def _is_pair(auth: Sequence[Any]) -> bool:
    return len(auth) == 2 and all(isinstance(part, (str, bytes)) for part in auth)


def _check_written(option: str, arguments: Mapping[str, Any]) -> None:
    """Raise where a credential stands in arguments itself, which are written down."""
    try:
        check_options(option, _literal(arguments))
        auth = arguments.get("auth")
        if isinstance(auth, (list, tuple)) and any(
            isinstance(part, str) and part and not names_in(part) for part in auth[1:2]
        ):
            raise ConfigurationError(
                f"{option}.auth holds credentials, and {option} are written down with each flow"
            )
    except ConfigurationError as error:
        error.hint = "write ${NAME}, and keep the value in the environment or as a secret"
        raise


def _literal(value: Any) -> Any:
    """Return a value without the texts in which something is filled in."""
    if isinstance(value, Mapping):
        return {str(name): _literal(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_literal(inner) for inner in value]
    return None if isinstance(value, str) and names_in(value) else value
