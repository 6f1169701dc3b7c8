"""Requests over https whose login goes to the host that it is for, and to no other."""

from __future__ import annotations

import re
import time
import urllib.parse
from base64 import b64encode
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy

import requests

from flowhold.clients import shared_client

__all__ = ["Redirected", "ask", "basic", "origin_of", "wait_of"]

_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}
_LONGEST_WAIT = 1e9
"""Seconds that still make a date."""


class Redirected(Exception):
    """An answer leads where no request is sent; the text says where to."""


def ask(
    method: str,
    url: str,
    *,
    login: Mapping[str, str],
    origin: str,
    timeout: float,
    headers: Mapping[str, str] | None = None,
    data: bytes | Iterator[bytes] | None = None,
) -> requests.Response:
    """Send a request, follow redirects, and return the response, whose body is to be read.

    Args:
        method: Of HTTP.
        url: Where to.
        login: Headers that hold credentials; not sent any more once it led to another host.
        origin: URL of the host that may see them.
        timeout: Seconds without an answer after which it has failed.
        headers: Other headers.
        data: Body.

    Returns:
        The response; its ``url`` is the one that answered.

    Raises:
        Redirected: It leads to clear text, in circles, or to another host that wants a login.
        requests.RequestException: There is no answer.
    """
    session = shared_client(_session, ())
    own = login
    for _ in range(_REDIRECTS + 1):
        if origin_of(url) != origin_of(origin):
            own = {}
        response = session.request(
            method,
            url,
            headers={**(headers or {}), **own},
            data=data,
            timeout=timeout,
            allow_redirects=False,
            stream=True,
        )
        # It goes along with errors, which are shown.
        response.request.headers.clear()
        target = response.headers.get("Location")
        if response.status_code not in _MOVED or not target:
            break
        response.close()
        target = urllib.parse.urljoin(url, target)
        if urllib.parse.urlsplit(target).scheme not in ("https", urllib.parse.urlsplit(url).scheme):
            raise Redirected("to a connection in clear text")
        url = target
    else:
        raise Redirected(f"more than {_REDIRECTS} times")
    if response.status_code == 401 and login and not own:
        response.close()
        raise Redirected(f"to {origin_of(url)}, where this login is not sent")
    return response


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


class _NoLogin(requests.auth.AuthBase):
    """Keeps requests from looking for a login in ``~/.netrc``."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _session() -> requests.Session:
    from flowhold_storage_git import __version__

    session = requests.Session()
    session.headers["User-Agent"] = f"git/flowhold-storage-git/{__version__}"
    session.auth = _NoLogin()
    # It is shared: a host's cookies would make one login that of others.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session
