"""Requests over https whose login goes to the host that it is for, and to no other."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Mapping

import requests

from flowhold.clients import shared_client
from flowhold.errors import AccessDeniedError

__all__ = ["ask", "origin_of"]

_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}
# What requests looks at: certificates and proxies.
_VARIABLES = ("REQUESTS_", "CURL_", "SSL_", "HTTP_", "HTTPS_", "ALL_", "NO_", "http", "all", "no")


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
        login: Headers that hold credentials.
        origin: Scheme, host and port that may see them.
        timeout: Seconds without an answer after which it has failed.
        headers: Other headers.
        data: Body.

    Returns:
        The response; its ``url`` is the one that answered.

    Raises:
        AccessDeniedError: It leads from https to http, or to another host that wants a login.
        requests.RequestException: There is no answer.
    """
    first = url
    session = shared_client(_session, _VARIABLES, origin=origin_of(url))
    for _ in range(_REDIRECTS + 1):
        own = login if origin_of(url) == origin_of(origin) else {}
        response = session.request(
            method,
            url,
            headers={**(headers or {}), **own},
            data=data,
            timeout=timeout,
            allow_redirects=False,
            stream=True,
        )
        target = response.headers.get("Location")
        if response.status_code not in _MOVED or not target:
            break
        response.close()
        url = urllib.parse.urljoin(url, target)
        if response.url.startswith("https:") and not url.startswith("https:"):
            raise AccessDeniedError(
                f"{first} redirects to a connection in clear text", hint="correct the URL"
            )
    if response.status_code == 401 and login and origin_of(url) != origin_of(origin):
        response.close()
        raise AccessDeniedError(
            f"{first} redirects to {origin_of(url)}, where this login is not sent",
            hint="correct the URL, if that host is the right one",
        )
    return response


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, to be compared; what is no URL has an own one."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.hostname}:{port}"


class _NoLogin(requests.auth.AuthBase):
    """Keeps requests from looking for a login in ``~/.netrc``."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _session(origin: str) -> requests.Session:  # noqa: ARG001 (each has its own)
    session = requests.Session()
    session.auth = _NoLogin()
    return session
