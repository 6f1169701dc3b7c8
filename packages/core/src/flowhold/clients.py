"""Clients of SDKs: made once in a process, from options that hold no credentials."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from flowhold.errors import ConfigurationError
from flowhold.variables import beginning_with

__all__ = ["check_bounds", "check_options", "secret_mapping", "shared_client"]

_T = TypeVar("_T")
_CLIENTS = 32
_DAY = 24 * 3600
_clients: dict[Any, tuple[Any, Any]] = {}
_lock = threading.Lock()
_encoder = json.JSONEncoder(sort_keys=True, default=id)

_SECRETS = re.compile(
    "(aws_(secret_access_key|access_key_id|session_token)|connection_string|(proxy-)?authorization"
    "|(api|account|x-api)[_-]?key|sas([_-]?token)?|.*pass(word|wd)|secret|token|credentials?"
    # Headers of services; not Idempotency-Key, for example.
    "|cookie|.*-(token|secret)|.*-(api|auth|access|functions|subscription)-key)"
)
_WITH_SECRETS = re.compile(r"//[^/@\s]*@|[?&](sig|x-amz-signature|token)=", re.IGNORECASE)


def shared_client(make: Callable[..., _T], variables: str | tuple[str, ...], **options: Any) -> _T:
    """Return ``make(**options)``, made once in a process for these options and this environment.

    Args:
        make: Makes a client that threads can share.
        variables: How the names of the environment variables begin that it looks at.
        options: Its arguments; those that are not JSON count by identity.
    """
    prefixes = (variables,) if isinstance(variables, str) else variables
    around = beginning_with(prefixes) if variables else ()
    key = (make, _encoder.encode(options), around)
    with _lock:
        if key not in _clients:
            while len(_clients) >= _CLIENTS:
                del _clients[next(iter(_clients))]
            # The options are kept, so that their identities are not given to others.
            _clients[key] = make(**options), options
        return cast("_T", _clients[key][0])


def _forget() -> None:
    """Begin anew in a forked process, which must not use its parent's connections."""
    global _lock
    _lock = threading.Lock()
    # Not cleared: that would close the connections for the parent too.
    _of_parents.append(dict(_clients))
    _clients.clear()


_of_parents: list[Any] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def check_bounds(timeout: Any, retries: Any) -> None:
    """Raise ConfigurationError unless these are seconds, and how often something is tried again."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < _DAY:
        raise ConfigurationError(f"timeout must be some seconds, not {timeout!r}")
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise ConfigurationError(f"retries must be a whole number, 0 or more, not {retries!r}")


def check_options(name: str, options: Any) -> dict[str, Any]:
    """Return options, which are written down with what is stored, as a dictionary of their own.

    Raises:
        ConfigurationError: They are no mapping, or hold credentials; the text does not show them.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"{name} must be a mapping, not a {type(options).__name__}")
    for path, value in _leaves(name, options):
        last = path.rpartition(".")[2].lower()
        if value is not None and (
            _SECRETS.fullmatch(last) or (isinstance(value, str) and _WITH_SECRETS.search(value))
        ):
            raise ConfigurationError(
                f"{path} holds credentials, and {name} are written down with each flow",
                hint="use the arguments made for credentials, a secret, or the environment",
            )
    return dict(options)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}", inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(path, inner)
    else:
        yield path, value


def secret_mapping(name: str, text: str) -> dict[str, Any]:
    """Return the value of a secret that is a JSON object.

    Raises:
        ConfigurationError: It is something else; the text does not show it.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    del value, text
    raise ConfigurationError(
        f"the secret {name} is not a JSON object", hint='it has to be one: {"NAME": "value", …}'
    )
