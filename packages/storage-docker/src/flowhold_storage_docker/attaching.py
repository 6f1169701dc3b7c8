"""The output of a container while it comes: pieces of its two streams."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from flowhold.errors import StorageUnavailableError

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["Piece", "attached"]

_HEADER = struct.Struct(">BxxxL")
_STDERR = 2
_LARGEST = 1 << 16
_SILENT = 30
"""Seconds of silence after which the engine is asked whether the container still runs."""


class Piece(NamedTuple):
    """Some bytes of a stream."""

    of_errors: bool
    """Whether it is that of errors."""
    data: bytes


@contextmanager
def attached(client: APIClient, container: str) -> Iterator[Iterator[Piece]]:
    """Attach to a container, which has not begun, and give what it prints until it ends.

    The SDK's own reader waits for a socket that can be read from. By TLS that is not so while what
    came last is decrypted already: it gives each line when the next one comes.
    """
    params = {"stdout": 1, "stderr": 1, "stream": 1}
    socket = client.attach_socket(container, params)
    try:
        plain = getattr(socket, "_sock", socket)
        plain.settimeout(_SILENT)
        yield _pieces(_patient(plain.recv, lambda: _runs(client, container)))
    finally:
        # The SDK leaves what it got the socket from to its users.
        for each in (getattr(socket, "_response", None), socket):
            if each is not None:
                with suppress(OSError):
                    each.close()


def _patient(read: Callable[[int], bytes], runs: Callable[[], bool]) -> Callable[[int], bytes]:
    """Let a read wait as long as the container runs: flows may be silent, connections may be lost.

    Raises:
        StorageUnavailableError: The container has ended, and the end of its output does not come.
    """

    def patient(count: int) -> bytes:
        running = True
        while True:
            with suppress(TimeoutError):
                return read(count)
            if not running:
                raise StorageUnavailableError(
                    "the container has ended, but the end of its output does not come",
                    storage="Docker",
                    hint="the connection to the engine was lost; what the flow did is done",
                )
            running = runs()

    return patient


def _pieces(read: Callable[[int], bytes]) -> Iterator[Piece]:
    """Yield the content of frames; what is cut off ends it."""
    while len(header := _exactly(read, _HEADER.size)) == _HEADER.size:
        stream, left = _HEADER.unpack(header)
        while left:
            data = read(min(left, _LARGEST))
            if not data:
                return
            left -= len(data)
            yield Piece(stream == _STDERR, data)


def _runs(client: APIClient, container: str) -> bool:
    from docker.errors import NotFound

    try:
        return bool(client.inspect_container(container)["State"]["Running"])
    except NotFound:
        return False


def _exactly(read: Callable[[int], bytes], count: int) -> bytes:
    data = b""
    while len(data) < count and (more := read(count - len(data))):
        data += more
    return data
