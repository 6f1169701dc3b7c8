"""Requests over HTTP whose login goes to the host that it is for, and to no other.

It needs requests and urllib3, which storages bring that use it.
"""

from __future__ import annotations

import logging
import re
import time
import urllib.parse
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO

import requests
import urllib3

from flowhold.clients import shared_client
from flowhold.proxies import authorities, proxies_for

__all__ = ["Pace", "Redirected", "ask", "basic", "origin_of", "parts_of", "wait_of", "words_in"]

_REDIRECTS = 5
_CONNECTIONS = 32
_MOVED = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}
_FIRST, _LARGEST = 16, 1 << 20
_AT_ONCE = 256 << 10
_SLOWEST = 1000.0
"""Bytes a second of the slowest answer that is waited for."""
_LONGEST_WAIT = 1e9
"""Seconds that still make a date."""
_AMBIGUOUS = re.compile(r"[\\\x00-\x1f\x7f]")
_BODIES = ("data", "json", "files")
_WORDS = ["message", "error_description", "error_summary", "error", "errors", "detail", "title"]

_asking: ContextVar[bool] = ContextVar("flowhold_asking", default=False)


class Redirected(Exception):
    """An answer leads where no request is sent; the text says where to."""


class _Discreet(logging.Filter):
    """Drops what urllib3 logs of requests that are sent here: their URLs can hold credentials."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _asking.get()


for _name in ("connectionpool", "connection", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_Discreet())


def ask(
    method: str,
    url: str,
    *,
    agent: str,
    login: Mapping[str, str],
    origin: str,
    timeout: Any,
    headers: Mapping[str, str] | None = None,
    data: bytes | Iterator[bytes] | BinaryIO | None = None,
    private: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    moved: Callable[[str, int, bool], str] | None = None,
) -> requests.Response:
    """Send a request, follow redirects, and return the response, whose body is to be read.

    No cookie is kept, and ``~/.netrc`` is not looked at.

    Args:
        method: Of HTTP.
        url: Where to.
        agent: What the client calls itself.
        login: Headers that hold credentials; not sent any more once it led to another host.
        origin: URL of the host that may see them.
        timeout: Seconds without an answer after which it has failed, as requests takes them.
        headers: Other headers.
        data: Body; a file is sent from its beginning.
        private: Arguments of requests that hold credentials, as ``auth`` and ``cert``; for that
            host only, too.
        options: Further arguments of requests.
        moved: Asked with method, status and whether it leads to another host when a redirect is
            followed; gives the method to go on with (without a body, where that is GET and was
            not before), or raises `Redirected`. By default the method stays.

    Returns:
        The response; its ``url`` is the one that answered.

    Raises:
        Redirected: It leads to clear text, in circles, nowhere, or to another host that wants a
            login.
        requests.RequestException: There is no answer.
    """
    own, secret = login, private or {}
    rest = {**(options or {}), "data": data}
    for _ in range(_REDIRECTS + 1):
        elsewhere = origin_of(url) != origin_of(origin)
        if elsewhere:
            own, secret = {}, {}
        if seek := getattr(data, "seek", None):
            seek(0)
        asking = _asking.set(True)
        try:
            given = {"User-Agent": agent, **(headers or {}), **own}
            response = _sent(method, url, given, timeout, **rest, **secret)
        finally:
            _asking.reset(asking)
        # It goes along with errors, which are shown.
        response.request.headers = requests.structures.CaseInsensitiveDict()
        target = response.headers.get("Location")
        if response.status_code not in _MOVED or not target:
            break
        response.close()
        try:
            target = urllib.parse.urljoin(url, target)
            scheme = urllib.parse.urlsplit(target).scheme
        except ValueError:
            raise Redirected("to what is no URL") from None
        if _AMBIGUOUS.search(target):
            raise Redirected("to a URL whose host different programs read differently")
        if scheme not in ("https", urllib.parse.urlsplit(url).scheme):
            raise Redirected("to a connection in clear text")
        if moved is not None:
            leaves = elsewhere or origin_of(target) != origin_of(origin)
            before, method = method, moved(method, response.status_code, leaves)
            if method == "GET" != before:
                rest = {name: value for name, value in rest.items() if name not in _BODIES}
        rest.pop("params", None)
        url = target
    else:
        raise Redirected(f"more than {_REDIRECTS} times")
    if response.status_code == 401 and elsewhere and (login or private):
        response.close()
        raise Redirected(f"to {origin_of(url)}, where this login is not sent")
    return response


class Pace:
    """How fast an answer comes, which shall not be in drops.

    Args:
        patience: Seconds after which less than 1,000 bytes a second, from the beginning on average,
            are too slow.
    """

    def __init__(self, patience: float) -> None:
        self.size = 0
        self._patience = patience
        self._begun = time.monotonic()

    @property
    def next(self) -> int:
        """How many bytes to ask for, by a read that waits for all of them.

        Little at first, as drops would fill more too late.
        """
        return min(max(self.size, _FIRST), _LARGEST)

    def count(self, size: int) -> None:
        """Add bytes that have come; raise TimeoutError if they come too slowly."""
        self.size += size
        taken = time.monotonic() - self._begun
        if taken > self._patience and self.size < taken * _SLOWEST:
            raise TimeoutError(f"{self.size:,} bytes in {taken:.0f} seconds: too slow")


def parts_of(response: requests.Response, patience: float) -> Iterator[bytes]:
    """Yield the body of a response; it has to come as a whole, and not in drops.

    Args:
        response: As :func:`ask` gives it.
        patience: As of a :class:`Pace`, in seconds.

    Raises:
        requests.ReadTimeout: It is too slow.
        requests.RequestException: It breaks off, or is damaged.
    """
    pace = Pace(patience)
    while part := _read(response):
        yield part
        try:
            pace.count(len(part))
        except TimeoutError as error:
            raise requests.ReadTimeout(str(error)) from None


def _read(response: requests.Response) -> bytes:
    """Read what has come of a body; what goes wrong is an error of requests, as elsewhere there."""
    try:
        data: bytes = response.raw.read1(_AT_ONCE, decode_content=True)
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ConnectionError(error) from error
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error) from error
    except urllib3.exceptions.ProtocolError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error
    return data


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, to be compared; what is no URL has an own one."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.hostname}:{port}"


def basic(username: str | None, password: str | None) -> str:
    """Return a user and a password as the scheme *Basic* has them."""
    return b64encode(f"{username or ''}:{password or ''}".encode()).decode()


def wait_of(retry_after: str) -> float | None:
    """Return how many seconds the header ``Retry-After`` asks to wait, None where it does not."""
    if re.fullmatch("[0-9]+", retry_after.strip()):
        return min(float(retry_after), _LONGEST_WAIT)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def words_in(document: Any, deep: int = 9) -> str:
    """Return the first text for people in the JSON with which a server refuses something.

    Args:
        document: The JSON.
        deep: How deeply in it is looked.
    """
    if isinstance(document, str):
        return document
    inner: Iterable[Any] = ()
    if isinstance(document, Mapping):
        inner = map(document.get, _WORDS)
    elif isinstance(document, list):
        inner = document
    return next((found for each in inner if deep and (found := words_in(each, deep - 1))), "")


def _sent(
    method: str,
    url: str,
    headers: Mapping[str, Any],
    timeout: Any,
    *,
    auth: Any = None,
    proxies: Mapping[str, str] | None = None,
    verify: Any = True,
    cert: Any = None,
    **arguments: Any,
) -> requests.Response:
    """Send one request and return its response.

    A session of requests would keep cookies, look for a login in ``~/.netrc``, read a redirect to
    its end, and take longer.
    """
    adapter = shared_client(requests.adapters.HTTPAdapter, (), pool_maxsize=_CONNECTIONS)
    merged = requests.utils.default_headers()
    merged.update(headers)
    # Not by a Request, which has empty parameters where none are given, and takes long for these.
    request = requests.PreparedRequest()
    request.prepare(
        method=method,
        url=url,
        headers={name: value for name, value in merged.items() if value is not None},
        auth=auth or _no_login,
        **arguments,
    )
    how: dict[str, Any] = {
        "stream": True,
        "timeout": timeout,
        "verify": authorities(True if verify is None else verify),
        "cert": cert,
        "proxies": proxies_for(str(request.url), proxies or {}),
    }
    response = adapter.send(request, **how)
    # A scheme like Digest answers what it is asked.
    hooks: Any = requests.hooks
    answered: requests.Response = hooks.dispatch_hook("response", request.hooks, response, **how)
    return answered


def _no_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    # Else a login is taken from the URL, which another host may have given.
    return request
