"""Requests to the API of a forge: tried again where that helps, with a token for no other host."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from flowhold import settings
from flowhold.errors import ConfigurationError, FlowholdError
from flowhold.web import Redirected, origin_of, parts_of
from flowhold_storage_git.address import check_encrypted
from flowhold_storage_git.answers import Answer
from flowhold_storage_git.errors import failure
from flowhold_storage_git.login import Login
from flowhold_storage_git.web import ask

__all__ = ["BUDGET", "Api", "pause", "root_of"]

_LOGGER = logging.getLogger("flowhold.storage.git")
BUDGET = 60.0
"""Seconds that a request may wait in all before it is tried again."""
_JSON_BYTES = 16 << 20

# An error raised here must not hold a token: not in its text, its causes, or what the frames of its
# traceback show. So those of requests, which hold the request, are not kept.

pause = time.sleep


@dataclass
class _Problem:
    code: int | str
    reason: str
    is_passing: bool = False
    wait: float | None = None


class Api:
    """The API of a forge.

    Args:
        root: Its URL, without a slash at its end.
        login: Credentials for it.
        place: URL of the repository, for messages.
        storage: Name of the storage, for messages.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again where that can help; it waits no more than
            `BUDGET` for that in all.

    Raises:
        ConfigurationError: A token would travel in clear text.
    """

    def __init__(
        self, root: str, login: Login, *, place: str, storage: str, timeout: float, retries: int
    ) -> None:
        self.root = root
        self.login = login
        self.place = place
        self.storage = storage
        self.timeout = timeout
        self.retries = retries
        if login.password:
            check_encrypted(root)

    def failure(self, *codes: int | str, reason: str = "", at: str = "") -> FlowholdError:
        """Return the error to raise; see :func:`failure`.

        Args:
            codes: What went wrong, the most telling first.
            reason: Words that go with it.
            at: The commit concerned.
        """
        place = self.place + (f" at commit {at[:12]}" if at else "")
        return failure(*codes, reason=reason, place=place, storage=self.storage)

    def text_in(self, document: Any, *steps: str) -> str:
        """Return a text in a document that the API gave; raise where it is not there."""
        for step in steps:
            document = document.get(step) if isinstance(document, dict) else None
        if isinstance(document, str):
            return document
        raise self.failure("foreign", reason=f"it lacks {steps[-1]}")

    def list_in(self, document: Any, name: str) -> list[Any]:
        """Return a list in a document that the API gave; raise where it is not there."""
        found = document.get(name) if isinstance(document, dict) else None
        if isinstance(found, list):
            return found
        raise self.failure("foreign", reason=f"it lacks {name}")

    def get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        accept: str = "application/json",
        method: str = "GET",
        absent: tuple[int, ...] = (),
        into: BinaryIO | None = None,
    ) -> Answer:
        """Return the answer to a request.

        Args:
            path: Below the root, quoted; or a URL that the API gave, which must be of its host.
            query: Parameters.
            accept: Media type.
            method: GET or HEAD.
            absent: Which statuses, besides 200, are an answer.
            into: Gets the body of a 200, after what was in it is removed.

        Raises:
            FlowholdError: There is none, or another one.
        """
        url = urljoin(f"{self.root}/", path)
        if origin_of(url) != origin_of(self.root):
            raise self.failure("foreign", reason="its pages are on another host")
        url += "?" + urlencode(query) if query else ""
        waited, tried = 0.0, 0
        while True:
            try:
                answer = self._send(method, url, accept, into)
                problem = self._problem_in(answer, absent)
            except FlowholdError:
                raise
            except (requests.RequestException, HTTPError, OSError) as error:
                if error.__class__.__module__ == "builtins" and getattr(error, "errno", None):
                    raise  # of the file that is written
                problem = _problem_of(error)
            if problem is None:
                return answer
            problem.reason = self.login.left_out_of(problem.reason)
            wait = problem.wait
            if wait is None:
                wait = min(0.5 * 2**tried, 8) * random.uniform(0.7, 1)  # noqa: S311
            if not problem.is_passing or tried >= self.retries or waited + wait > BUDGET:
                break
            _LOGGER.info("%s: %s; trying again in %.1f s", self.place, problem.reason, wait)
            pause(wait)
            waited, tried = waited + wait, tried + 1
        raise self.failure(problem.code, reason=problem.reason)

    def _send(self, method: str, url: str, accept: str, into: BinaryIO | None) -> Answer:
        try:
            response = ask(
                method,
                url,
                login=self.login.headers,
                origin=self.root,
                timeout=self.timeout,
                headers={"Accept": accept},
            )
        except Redirected as error:
            raise self.failure("redirect", reason=str(error)) from None
        with response:
            body = self._read(response, into if response.status_code == 200 else None)
            return Answer(response.status_code, response.headers, body)

    def _read(self, response: requests.Response, into: BinaryIO | None) -> bytes:
        limit = _JSON_BYTES if into is None else settings.current().max_tree_bytes
        body, size = bytearray(), 0
        write: Callable[[bytes], Any] = body.extend if into is None else into.write
        if into is not None:
            into.seek(0)
            into.truncate()
        for part in parts_of(response, self.timeout):
            size += len(part)
            if size > limit:
                raise self.failure("size", reason=f"{limit:,}")
            write(part)
        return bytes(body)

    def _problem_in(self, answer: Answer, absent: tuple[int, ...]) -> _Problem | None:
        status, said = answer.status, answer.said
        is_page = answer.kind in ("text/html", "application/xhtml+xml")
        if status in (403, 429) and (wait := answer.wait) is not None:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + wait))
            return _Problem("limited", f"not before {when} UTC ({said})", True, wait)
        if status == 429:
            return _Problem("limited", said, True)
        if status >= 500 and status != 501:
            return _Problem("unavailable", said, True, answer.wait)
        if is_page and (status == 200 or status in absent):
            return _Problem("foreign", f"HTTP {status} with a web page")
        if status == 200 or status in absent:
            return None
        if status in (401, 403) and not self.login.password:
            return _Problem("anonymous", said)
        return _Problem(status, said)


def root_of(option: str, text: str) -> str:
    """Return the URL of a host, perhaps with a path, without a slash at its end.

    Args:
        option: Name of the option, for messages.
        text: Its value; without a scheme it means https.

    Raises:
        ConfigurationError: It is no such URL; the text does not show credentials.
    """
    hint = "write https://HOST, perhaps with a port and a path; credentials belong into secrets"
    if isinstance(text, str) and not re.search(r"[\x00-\x20\x7f@?#]", text):
        url = text.rstrip("/") if "://" in text else f"https://{text.strip('/')}"
        try:
            parts = urlsplit(url)
            if parts.scheme in ("https", "http") and parts.hostname and parts.port != 0:
                return url
        except ValueError:
            pass
    raise ConfigurationError(f"{option} is not the URL of a host", hint=hint)


def _problem_of(error: Exception) -> _Problem:
    inner: Any = error
    while inner.args and isinstance(inner.args[0], Exception):
        inner = inner.args[0]
    reason = str(getattr(inner, "reason", None) or inner) or type(error).__name__
    if isinstance(error, requests.exceptions.SSLError):
        return _Problem("tls", reason)
    passing = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    )
    if isinstance(error, passing):
        return _Problem("unreachable", reason, True)
    return _Problem("url" if isinstance(error, (ValueError, HTTPError)) else "certificates", reason)
