"""The output of a container while it comes: pieces of its two streams."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["Piece", "attached"]

_HEADER = struct.Struct(">BxxxL")
_STDERR = 2
_LARGEST = 1 << 16


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
        # Flows may be silent for long.
        for each in (socket, getattr(socket, "_sock", None)):
            if forever := getattr(each, "settimeout", None):
                forever(None)
        yield _pieces(socket.recv if hasattr(socket, "recv") else socket.read)
    finally:
        # The SDK leaves what it got the socket from to its users.
        for each in (getattr(socket, "_response", None), socket):
            if each is not None:
                with suppress(OSError):
                    each.close()


def _pieces(read: Callable[[int], Any]) -> Iterator[Piece]:
    """Yield the content of frames; what is cut off ends it."""
    while len(header := _exactly(read, _HEADER.size)) == _HEADER.size:
        stream, left = _HEADER.unpack(header)
        while left:
            data = read(min(left, _LARGEST))
            if not data:
                return
            left -= len(data)
            yield Piece(stream == _STDERR, data)


def _exactly(read: Callable[[int], Any], count: int) -> bytes:
    data = b""
    while len(data) < count and (more := read(count - len(data))):
        data += more
    return data
