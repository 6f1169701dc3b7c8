"""One request, sent again where that can help and does no harm."""

from __future__ import annotations

import io
import json
import logging
import random
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import requests

from flowhold import settings
from flowhold.errors import FlowholdError
from flowhold.web import Redirected, ask, parts_of, wait_of, words_in
from flowhold_storage_webhook import __version__
from flowhold_storage_webhook.calls import Call
from flowhold_storage_webhook.errors import Problem, failure, problem_of
from flowhold_storage_webhook.hiding import left_out_of
from flowhold_storage_webhook.templates import look_up

__all__ = ["BUDGET", "Exchange", "pause"]

_LOGGER = logging.getLogger("flowhold.storage.webhook")
_AGENT = f"flowhold-storage-webhook/{__version__}"
BUDGET = 60.0
"""Seconds that a request may wait in all before it is sent again."""
_SAID = 64 << 10
_AT_ONCE = 64 << 10
"""Bytes to send in one piece, which has to be taken within the timeout, and not as a file."""
_NOT_TAKEN = (429,)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_NOT_FOUND = re.compile("not[_ -]?found", re.IGNORECASE)

# An error raised here must not hold a value: not in its text, its causes, or what the frames of its
# traceback show. So what goes wrong is returned as a problem, and raised where no value is known.

pause = time.sleep


@dataclass
class Exchange:
    """A request for one flow.

    Attributes:
        call: The request as it is written down.
        marks: What is filled in for the flow.
        location: Of the flow.
        storage: Name of the storage's class.
        timeout: Seconds without an answer after which a try has failed, where the call has none.
        retries: How often it is sent again.
    """

    call: Call
    marks: Mapping[str, str]
    location: str
    storage: str
    timeout: float
    retries: int

    @property
    def place(self) -> str:
        """The URL as a template."""
        return self.call.at(self.marks)[0]

    def store(self, body: BinaryIO, size: int) -> None:
        """Send the bytes of a file.

        Raises:
            FlowholdError: They were not taken.
        """
        if size > settings.current().max_tree_bytes:
            raise self._failure(Problem("large", f"{size:,}"))
        self._send(body.read() if size <= _AT_ONCE else body, None)

    def load(self, limit: int | None) -> bytes:
        """Return the bytes that are answered, at most ``limit`` of them.

        Raises:
            ObjectNotFoundError: There are none.
            IntegrityError: They are more than the setting ``max_tree_bytes`` allows.
            FlowholdError: It failed.
        """
        return self._send(None, limit)

    def _send(self, body: bytes | BinaryIO | None, limit: int | None) -> bytes:
        waited, tried = 0.0, 0
        while True:
            outcome = self._tried(body, limit)
            if isinstance(outcome, bytes):
                return outcome
            wait = outcome.wait
            if wait is None:
                wait = min(0.5 * 2**tried, 8) * random.uniform(0.7, 1)  # noqa: S311
            helps = outcome.is_passing and (self.call.repeats or not outcome.was_sent)
            if not helps or tried >= self.retries:
                break
            if waited + wait > BUDGET:
                outcome.said += f"; it asks for {wait:.0f} seconds of patience"
                break
            _LOGGER.info("%s: %s; trying again in %.1f s", self.place, outcome, wait)
            pause(wait)
            waited, tried = waited + wait, tried + 1
        raise self._failure(outcome)

    def _failure(self, problem: Problem) -> FlowholdError:
        return failure(problem, place=self.place, location=self.location, storage=self.storage)

    def _tried(self, body: bytes | BinaryIO | None, limit: int | None) -> bytes | Problem:
        # Looked up for each try, so that what a rotation of secrets replaces is not sent again.
        values = look_up(self.call.names)
        given: dict[str, Any] = {}
        try:
            given = self.call.filled(values, self.marks)
            outcome = self._once(given, body, limit)
        except Exception as error:  # noqa: BLE001
            outcome = problem_of(error)
        if isinstance(outcome, Problem):
            auth = given.get("private", {}).get("auth")
            outcome.said = left_out_of(outcome.said, values.values(), auth)
        return outcome

    def _once(
        self, given: dict[str, Any], body: bytes | BinaryIO | None, limit: int | None
    ) -> bytes | Problem:
        given["timeout"] = self.timeout if given["timeout"] is None else given["timeout"]
        if body is not None:
            given["data"] = body
        with ask(self.call.method, agent=_AGENT, moved=self._moved, **given) as response:
            if not 200 <= response.status_code < 300:
                return self._refusal(response)
            if body is None:
                return _received(response, limit, self.timeout)
            _rest_of(response)
            return b""

    def _moved(self, method: str, status: int, elsewhere: bool) -> str:
        if self.call.arguments.get("allow_redirects") is False:
            raise Redirected("although allow_redirects is false")
        with_body = method == "POST" and status in (301, 302)
        if (self.call.stores and with_body) or (method == "PATCH" and status in (301, 302)):
            raise Redirected("without saying whether the flow has to be sent there")
        if status == 303 or with_body:
            return "GET"
        if elsewhere and not self.call.stores and self.call.body:
            raise Redirected("to another host, where the body of this request is not sent")
        return method

    def _refusal(self, response: requests.Response) -> Problem:
        status, body = response.status_code, _rest_of(response)
        said = _words(response.headers.get("Content-Type", ""), body)
        code: int | str = status
        absent = status in (404, 410) or (status == 409 and _NOT_FOUND.search(said))
        if absent and not self.call.stores:
            code = "absent"
        return Problem(
            code,
            f"HTTP {status}",
            said,
            status in _PASSING,
            status not in _NOT_TAKEN,
            wait_of(response.headers.get("Retry-After", "")),
        )


def _received(response: requests.Response, limit: int | None, patience: float) -> bytes | Problem:
    most = settings.current().max_tree_bytes
    # Its buffer grows in place and is handed out without a copy.
    gathered = io.BytesIO()
    for part in parts_of(response, patience):
        gathered.write(part)
        if limit is not None and gathered.tell() >= limit:
            gathered.truncate(limit)
            break
        if gathered.tell() > most:
            return Problem("size", f"{most:,}")
    return gathered.getvalue()


def _rest_of(response: requests.Response) -> bytes:
    """Return the beginning of a body; where it is whole, the connection can be used again."""
    body = b""
    with suppress(Exception):
        for part in response.iter_content(_SAID):
            body += part
            if len(body) >= _SAID:
                break
    return body


def _words(kind: str, body: bytes) -> str:
    """Return what a server says for people."""
    text = body.decode(errors="replace")
    if "json" in kind or text[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            return words_in(json.loads(text))
    return text if kind.startswith("text/plain") else ""
