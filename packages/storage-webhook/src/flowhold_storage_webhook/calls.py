"""The two requests of a storage, as they are written down: method, and arguments of requests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from requests.exceptions import InvalidURL

from flowhold.clients import check_options
from flowhold.errors import ConfigurationError
from flowhold.storage.keys import slug
from flowhold_storage_webhook.templates import check_texts, fill, marks_in, names_in, render

__all__ = ["ARGUMENTS", "METHODS", "Call", "check_call", "marks_of"]

METHODS = ("GET", "PATCH", "POST", "PUT")
ARGUMENTS = (
    *("url", "params", "data", "json", "headers", "cookies", "files", "auth", "timeout"),
    *("allow_redirects", "proxies", "hooks", "stream", "verify", "cert"),
)
"""What requests takes, beside the method."""
_BODIES = ("data", "json", "files")
_PAIRS = ("auth", "cert", "timeout")
_PRIVATE = ("auth", "cert", "cookies")
_HARMLESS = ("accept", "accept-encoding", "accept-language", "content-type", "user-agent")
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "headers": ((Mapping,), "a mapping"),
    "proxies": ((Mapping,), "a mapping"),
    "verify": ((bool, str), "true, false or a path"),
    "cert": ((str, list, tuple), "a path, or a pair of them"),
    "timeout": ((int, float, list, tuple), "seconds, or a pair of them"),
    "allow_redirects": ((bool,), "true or false"),
}
_URL = re.compile(r"https?://.|\$", re.IGNORECASE)


@dataclass(frozen=True)
class Call:
    """A request as it is written down.

    Attributes:
        method: Of HTTP.
        arguments: Those of requests, as templates.
        stores: Whether it stores a flow, whose bytes are its body.
    """

    method: str
    arguments: Mapping[str, Any]
    stores: bool

    @property
    def repeats(self) -> bool:
        """Whether the request does no harm when it is sent again after it was carried out."""
        return not self.stores or self.method in ("GET", "PUT")

    @property
    def names(self) -> set[str]:
        """The names of variables and secrets in it."""
        left_out = _BODIES if self.stores else ()
        return names_in({k: v for k, v in self.arguments.items() if k not in left_out})

    @property
    def marks(self) -> set[str]:
        """What is filled in of a flow: in the URL, and in headers."""
        return marks_in(self.arguments["url"]) | marks_in(self.arguments.get("headers"))

    @property
    def body(self) -> list[str]:
        """Which arguments give a body of its own."""
        return [name for name in _BODIES if self.arguments.get(name) is not None]

    def at(self, marks: Mapping[str, str]) -> tuple[str, Any]:
        """Return URL and headers for a flow, as templates still."""
        url, headers = self.arguments["url"], self.arguments.get("headers")
        return fill(url, _quoted(marks)), fill(headers, _plain(marks))

    def filled(self, values: Mapping[str, str], marks: Mapping[str, str]) -> dict[str, Any]:
        """Return the arguments of :func:`flowhold.web.ask`; ``private`` is for no other host."""
        given = {name: value for name, value in self.arguments.items() if value is not None}
        for name in ("stream", "allow_redirects", *(_BODIES if self.stores else ())):
            given.pop(name, None)
        url, login_in_url = _parted(render(given.pop("url"), values, _quoted(marks)))
        headers = given.pop("headers", {})
        rest = render(given, values)
        for name in _PAIRS:
            if isinstance(rest.get(name), list):
                rest[name] = tuple(rest[name])  # as JSON knows no tuples
        auth = rest.get("auth", login_in_url)
        if isinstance(auth, tuple):
            # Text is sent as Latin-1 by requests, which few servers expect; bytes are as they are.
            rest["auth"] = tuple(part.encode() if isinstance(part, str) else part for part in auth)
        login: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for name, value in headers.items():
            harmless = str(name).lower() in _HARMLESS and not names_in(value)
            (others if harmless else login)[name] = render(value, values, _plain(marks))
        private = {name: rest.pop(name) for name in _PRIVATE if name in rest}
        return {
            "url": url,
            "origin": url,
            "login": login,
            "headers": others,
            "private": private,
            "data": rest.pop("data", None),
            "timeout": rest.pop("timeout", None),
            "options": rest,
        }


def marks_of(name: str, sha256: str) -> dict[str, str]:
    """Return what is filled in for a flow."""
    return {"slug": slug(name), "name": name, "sha256": sha256}


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
        value = arguments.get(name)
        wrong_length = name in _PAIRS and isinstance(value, (list, tuple)) and len(value) != 2
        if wrong_length or not (value is None or isinstance(value, kinds)):
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
        copied: dict[str, Any] = fill(arguments, {})
        for name, value in copied.items():
            check_texts(f"{option}[{name!r}]", value)
        _check_written(option, copied)
    except RecursionError:
        raise ConfigurationError(f"{option} contains itself") from None
    return copied


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


def _parted(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return a URL without the user and password that may be in it, and these."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidURL from None
    if "@" not in parts.netloc:
        return url, None
    host = parts.netloc.rpartition("@")[2]
    pair = unquote(parts.username or ""), unquote(parts.password or "")
    return urlunsplit(parts._replace(netloc=host)), pair


def _quoted(marks: Mapping[str, str]) -> dict[str, str]:
    return {name: quote(text, safe="", errors="surrogatepass") for name, text in marks.items()}


def _plain(marks: Mapping[str, str]) -> dict[str, str]:
    # A name can hold what no header can, or what ends a text in JSON.
    return {name: text for name, text in marks.items() if name != "name"}
