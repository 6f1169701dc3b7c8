"""Which error of Flowhold stands for which answer or failure of a request."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException

import requests
from urllib3 import exceptions as sdk

from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowholdError,
    IntegrityError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.rules import Rule, Rules, ours
from flowhold.web import Redirected

__all__ = ["RULES", "Problem", "failure", "problem_of"]


@dataclass
class Problem:
    """What went wrong with a request; nothing but `said` can hold a value that was filled in."""

    code: int | str
    reason: str
    said: str = ""
    """Words of others that go with it."""
    is_passing: bool = False
    """Whether another try may go well."""
    was_sent: bool = True
    """Whether the server may have carried the request out."""
    wait: float | None = None
    """Seconds that the server asks to wait."""

    def __str__(self) -> str:
        return f"{self.reason} {self.said}".strip()


_DOWN = Rule(
    StorageUnavailableError, "{place} did not answer as it should: {reason}", "try again later"
)
_UNREACHABLE = Rule(
    StorageUnavailableError,
    "{place} cannot be reached: {reason}",
    "check the network, the proxy, and the host in the URL",
)
_REFUSED = Rule(
    StorageError,
    "{place} refused the request: {reason}",
    "check method, headers and parameters against what the service expects",
)
_GONE = Rule(
    StorageError,
    "there is no such address as {place}: {reason}",
    "check the URL; the folder that it is in may have to be made before",
)

RULES: Rules = {
    401: Rule(
        AccessDeniedError,
        "the login for {place} was refused: {reason}",
        "check the variable or secret that the template names, and whether it has expired",
    ),
    403: Rule(
        AccessDeniedError,
        "no permission for {place}: {reason}",
        "check what the login may do, and the variable or secret that the template names",
    ),
    "absent": Rule(
        ObjectNotFoundError,
        "there is nothing at {place}: {reason}",
        "check the URL, and whether the flow was stored; `flowhold register --force` stores it",
    ),
    404: _GONE,
    410: _GONE,
    405: Rule(
        ConfigurationError,
        "{place} does not take requests of this method: {reason}",
        "check build_request_http_method and get_flow_request_http_method",
    ),
    409: Rule(
        StorageError,
        "{place} refused the flow: {reason}",
        "there is another object already, or not the folder that it belongs into",
    ),
    412: Rule(
        ObjectExistsError,
        "another object is at {place} already: {reason}",
        "give each version a place of its own: a template with {sha256}",
    ),
    413: Rule(
        StorageError,
        "the flow is larger than {place} takes: {reason}",
        "raise the limit of the server, or store less with the flow",
    ),
    429: Rule(
        StorageUnavailableError,
        "{place} answers no more requests for now: {reason}",
        "try again then",
    ),
    **dict.fromkeys((408, 425, 500, 502, 503, 504), _DOWN),
    "refused": _REFUSED,
    "unreachable": _UNREACHABLE,
    "proxy": _UNREACHABLE,
    "broken": _DOWN,
    "timeout": Rule(
        StorageUnavailableError,
        "{place} did not answer in time: {reason}",
        "try again later, or allow more seconds: timeout=",
    ),
    "tls": Rule(
        StorageUnavailableError,
        "no trusted connection to {place}: {reason}",
        "for a private CA give 'verify': '/path/to/ca.pem' among the arguments of the request, or "
        "set REQUESTS_CA_BUNDLE",
    ),
    "certificates": Rule(
        ConfigurationError,
        "no connection to {place}: {reason}",
        "check the files that 'verify' and 'cert', or REQUESTS_CA_BUNDLE, name",
    ),
    "url": Rule(
        ConfigurationError,
        "{place} is no URL that can be asked: {reason}",
        "check it, and the variables and secrets that are filled in",
    ),
    "header": Rule(
        ConfigurationError,
        "a header for {place} cannot be sent: {reason}",
        "headers hold one line of Latin-1; a variable or secret may end with a line break",
    ),
    "arguments": Rule(
        ConfigurationError,
        "the request to {place} cannot be made: {reason}",
        "check the arguments of the request, as requests takes them",
    ),
    "redirect": Rule(
        StorageError,
        "{place} redirects {reason}",
        "give the URL that it leads to",
    ),
    "size": Rule(
        IntegrityError,
        "what {place} gives is larger than {reason} bytes",
        "allow more: the setting max_tree_bytes",
    ),
    "large": Rule(
        StorageError,
        "the flow for {place} has {reason} bytes, which is more than could be loaded again",
        "allow more: the setting max_tree_bytes; or store less with the flow",
    ),
}
"""By what went wrong, and by HTTP status."""


def failure(problem: Problem, *, place: str, location: str, storage: str) -> FlowholdError:
    """Return the error to raise.

    Args:
        problem: What went wrong.
        place: URL, as a template.
        location: Of the flow.
        storage: Name of the storage's class.
    """
    error = ours(RULES, [problem.code, "refused"], str(problem), place=place, key=location)
    error.storage = storage
    return error


def problem_of(error: Exception) -> Problem:
    """Return what an exception of requests, or of what it uses, tells.

    Nothing of its text is kept, which may show the URL, a header or a path that was filled in.
    """
    inner = [*_chain(error)]
    words = next((said for each in inner if (said := _words(each))), type(error).__name__)
    unsent = any(isinstance(each, sdk.NewConnectionError) for each in inner)
    if isinstance(error, Redirected):
        return Problem("redirect", "", str(error))
    if isinstance(error, (requests.exceptions.InvalidHeader, UnicodeError)):
        return Problem("header", "it holds characters that no header can")
    if isinstance(error, requests.exceptions.SSLError):
        return Problem("tls", "", words)
    if isinstance(error, requests.exceptions.ProxyError):
        return Problem("proxy", "the proxy:", words, True, not unsent)
    if isinstance(error, requests.ConnectTimeout):
        return Problem("timeout", "no connection", is_passing=True, was_sent=False)
    if isinstance(error, requests.Timeout):
        return Problem("timeout", words, is_passing=True)
    if isinstance(error, requests.ConnectionError):
        return Problem("unreachable", "", words, True, not unsent)
    broken = requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError
    if isinstance(error, (*broken, sdk.HTTPError)) and not isinstance(error, ValueError):
        return Problem("broken", words, is_passing=True)
    of_requests = isinstance(error, (requests.RequestException, sdk.HTTPError))
    if of_requests and isinstance(error, ValueError):
        return Problem("url", words)
    if isinstance(error, OSError) and not of_requests:
        return Problem("certificates", os.strerror(error.errno) if error.errno else "no such file")
    return Problem("arguments", type(error).__name__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield what an error was made of, the innermost first."""
    inner = [getattr(error, "reason", None), error.__cause__, error.__context__, *error.args]
    for each in inner:
        if isinstance(each, BaseException):
            yield from _chain(each)
    yield error


def _words(error: BaseException) -> str:
    """Return what can be said of an error without its text."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.reason}: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return error.reason or ""
    if isinstance(error, (socket.gaierror, sdk.NameResolutionError)):
        return "the name of the host is not known"
    if isinstance(error, (TimeoutError, sdk.TimeoutError)):
        return "no answer"
    if isinstance(error, (sdk.IncompleteRead, sdk.DecodeError)):
        return "the answer broke off, or is damaged"
    if isinstance(error, (HTTPException, sdk.ProtocolError)):
        return "the connection was closed without a whole answer"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return ""
