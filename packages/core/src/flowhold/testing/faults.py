"""A proxy in front of a real server that counts requests and lets chosen ones go wrong."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import urlsplit

from flowhold.testing._forwarding import BLOCK, Server

__all__ = [
    "Corrupt",
    "Drip",
    "Endless",
    "Fault",
    "FaultProxy",
    "LoseAnswer",
    "Request",
    "Reset",
    "Stall",
    "Status",
    "Truncate",
]


@dataclass
class Request:
    """What the proxy knows of one request.

    Attributes:
        method: For example `PUT`.
        target: Path and query as sent.
        headers: By name, whatever its case; `get_all(name)` gives repeated ones.
        start: The first bytes of the body, at most 16 KiB.
        size: Bytes of the body read so far, without the framing of chunks.
        status: Of the answer, also of one that a fault lost. None if there was none.
    """

    method: str
    target: str
    headers: Message
    start: bytes = b""
    size: int = 0
    status: int | None = None


class Fault:
    """Something that goes wrong with one request; subclasses override the stage at which it does.

    Each stage may raise `ConnectionResetError`, which the client then sees, or
    `ConnectionAbortedError`, which closes the connection. `closed` is set when the proxy closes.
    """

    never_ends = False

    def before(self, closed: threading.Event) -> Status | None:
        """Answer in place of the server, which is then not asked."""
        return None

    def sent(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Change the body of the request."""
        return blocks

    def answered(self) -> None:
        """Step between the server's answer and the client."""

    def received(self, blocks: Iterator[bytes], closed: threading.Event) -> Iterator[bytes]:
        """Change the body of the answer."""
        return blocks


@dataclass(frozen=True)
class Reset(Fault):
    """The connection is reset, and the server is not asked."""

    def before(self, closed: threading.Event) -> Status | None:
        """Reset."""
        raise ConnectionResetError


@dataclass(frozen=True)
class Stall(Fault):
    """Nothing is answered for some seconds, or until the proxy closes; the server is not asked."""

    seconds: float | None = None

    def before(self, closed: threading.Event) -> Status | None:
        """Wait, and reset."""
        closed.wait(self.seconds)
        raise ConnectionResetError


@dataclass(frozen=True)
class Status(Fault):
    """This is the answer, and the server is not asked."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def before(self, closed: threading.Event) -> Status | None:
        """Answer."""
        return self


@dataclass(frozen=True)
class LoseAnswer(Fault):
    """The server carries the request out, and the connection is reset in place of an answer."""

    def answered(self) -> None:
        """Reset."""
        raise ConnectionResetError


@dataclass(frozen=True)
class Truncate(Fault):
    """The connection is closed after so many bytes of the answer's body, of all those announced."""

    after: int

    def received(self, blocks: Iterator[bytes], closed: threading.Event) -> Iterator[bytes]:
        """Cut."""
        left = self.after
        for block in blocks:
            yield block[:left]
            left -= len(block)
            if left < 0:
                raise ConnectionAbortedError


@dataclass(frozen=True)
class Drip(Fault):
    """The answer's body comes slowly but steadily."""

    bytes_per_second: float

    def received(self, blocks: Iterator[bytes], closed: threading.Event) -> Iterator[bytes]:
        """Slow down."""
        step = max(1, int(self.bytes_per_second / 20))
        for block in blocks:
            for at in range(0, len(block), step):
                closed.wait(step / self.bytes_per_second)
                yield block[at : at + step]


@dataclass(frozen=True)
class Corrupt(Fault):
    """One bit is flipped in the byte `at` of the answer's body, or of the request's."""

    at: int = 0
    request: bool = False

    def _flip(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        left = self.at
        for block in blocks:
            if 0 <= left < len(block):
                yield block[:left] + bytes([block[left] ^ 1]) + block[left + 1 :]
            else:
                yield block
            left -= len(block)

    def sent(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Flip, if it is the request's."""
        return self._flip(blocks) if self.request else blocks

    def received(self, blocks: Iterator[bytes], closed: threading.Event) -> Iterator[bytes]:
        """Flip, if it is the answer's."""
        return blocks if self.request else self._flip(blocks)


@dataclass(frozen=True)
class Endless(Fault):
    """The answer's body goes on without end, as zeros; no length is announced."""

    never_ends = True

    def received(self, blocks: Iterator[bytes], closed: threading.Event) -> Iterator[bytes]:
        """Go on."""
        return itertools.chain(blocks, itertools.repeat(bytes(BLOCK)))


class FaultProxy:
    """A server on a free port of 127.0.0.1 that passes requests on to another one.

    Bodies pass in blocks, and headers as they are, `Host` too, except those of one connection.
    It is a context manager, and listens from its construction to `close()`.

    Args:
        upstream: URL of the server, `http://host:port`; if it has a path, `url` has it too.
        intercept: Asked about each request for which no fault answers, in the thread of its
            connection. Where it gives a `Status`, that is the answer, and the server is not asked.
    """

    def __init__(
        self, upstream: str, intercept: Callable[[Request], Status | None] | None = None
    ) -> None:
        parts = urlsplit(upstream)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"not an http:// URL with a host: {upstream}")
        self.upstream = (parts.hostname, parts.port or 80)
        self.intercept = intercept
        self.closed = threading.Event()
        self._lock = threading.RLock()  # A function given as `when` may count requests.
        self._requests: list[Request] = []
        self._faults: list[tuple[Fault, str | Callable[[Request], bool] | None]] = []
        self._server = Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{parts.path}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def fail(
        self, fault: Fault, times: int = 1, when: str | Callable[[Request], bool] | None = None
    ) -> None:
        """Queue a fault. A request meets the first one in the queue that is meant for it.

        Args:
            fault: What goes wrong.
            times: For how many requests.
            when: Which ones: those of this method, or for which this function is true. Default:
                any.
        """
        with self._lock:
            self._faults += [(fault, when)] * times

    @property
    def requests(self) -> list[Request]:
        """The requests so far, by arrival."""
        with self._lock:
            return list(self._requests)

    @property
    def pending(self) -> list[Fault]:
        """The faults that no request has met yet."""
        with self._lock:
            return [fault for fault, _ in self._faults]

    def count(self, method: str | None = None) -> int:
        """Return how many requests there were, of this method or in all."""
        return sum(method in (None, request.method) for request in self.requests)

    def clear(self) -> None:
        """Forget the requests so far and the faults that are pending."""
        with self._lock:
            self._requests.clear()
            self._faults.clear()

    def close(self) -> None:
        """Stop listening, end every connection and wait for their threads."""
        self.closed.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def admit(
        self, method: str, target: str, headers: Message, start: bytes
    ) -> tuple[Request, Fault]:
        """Take a request into account, and find the fault that it meets."""
        request = Request(method, target, headers, start)
        with self._lock:
            self._requests.append(request)
            for at, (fault, when) in enumerate(self._faults):
                if when in (None, method) or (callable(when) and when(request)):
                    del self._faults[at]
                    return request, fault
        return request, Fault()
