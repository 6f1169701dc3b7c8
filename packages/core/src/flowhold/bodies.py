"""The bytes of an object on their way to a store, and back from it."""

from __future__ import annotations

import io
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from flowhold.errors import IntegrityError, StorageUnavailableError
from flowhold.store import Parts, iter_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Download", "ObjectStream", "Upload", "as_file"]

_IN_MEMORY = 8 << 20


@contextmanager
def as_file(parts: Parts) -> Iterator[tuple[BinaryIO, int]]:
    """Give the bytes of ``parts`` as a seekable file that stands at its beginning, and their count.

    Nothing is copied but what cannot be read twice, which large goes to a temporary file.
    """
    if isinstance(parts, (bytes, bytearray, memoryview)):
        parts = [parts]
    if isinstance(parts, (list, tuple)):
        buffers = _Buffers(parts)
        # Small ones are joined: SDKs read files piece by piece.
        small = buffers.size <= _IN_MEMORY
        file = io.BytesIO(b"".join(parts)) if small else cast("BinaryIO", buffers)
        yield file, buffers.size
    elif hasattr(parts, "seek") and cast("BinaryIO", parts).tell() == 0:
        given = cast("BinaryIO", parts)
        size = given.seek(0, io.SEEK_END)
        given.seek(0)
        yield given, size
    else:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spooled:
            for part in iter_parts(parts):
                spooled.write(part)
            size = spooled.tell()
            spooled.seek(0)
            yield cast("BinaryIO", spooled), size


class _Buffers(io.RawIOBase):
    """A seekable file over buffers that stay where they are."""

    def __init__(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        self._views = [memoryview(buffer).cast("B") for buffer in buffers if len(buffer)]
        self._starts = [0, *accumulate(map(len, self._views))]
        self.size = self._starts[-1]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, target: Any) -> int:
        wanted, done = memoryview(target).cast("B"), 0
        while done < len(wanted) and self._at < self.size:
            index = bisect_right(self._starts, self._at) - 1
            begin = self._at - self._starts[index]
            piece = self._views[index][begin : begin + len(wanted) - done]
            wanted[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done


class Upload:
    """One object to be written.

    Attributes:
        path: Its key in the bucket.
        file: Its bytes: a seekable file at its beginning.
        size: How many they are.
        if_absent: Whether an object that is there stays.
        retried: To be set where the SDK sent the request more than once.
    """

    def __init__(self, path: str, file: BinaryIO, size: int, *, if_absent: bool) -> None:
        self.path = path
        self.file = file
        self.size = size
        self.if_absent = if_absent
        self.retried = False


class Download:
    """What a backend answered: how many bytes are to come, and these in chunks.

    Args:
        size: Bytes from where reading began to the end of the object.
        chunks: The bytes.
        close: Gives the connection back.
        digest: A hash object and the digest that the backend says it should come to, for reading
            from the beginning.
    """

    def __init__(
        self,
        size: int,
        chunks: Iterator[bytes],
        close: Callable[[], Any] = lambda: None,
        digest: tuple[Any, bytes] | None = None,
    ) -> None:
        self.size = size
        self.chunks = chunks
        self.close = close
        self.digest = digest


class ObjectStream(io.RawIOBase):
    """An object as it arrives: resumed where the connection breaks, complete or an error.

    Args:
        fetch: Returns the download from an offset on; asked at once, and again after a break.
        place: What errors call the object.
        tries: How often in all it may break before that is an error.
    """

    def __init__(self, fetch: Callable[[int], Download], place: str, tries: int) -> None:
        self._fetch, self._place, self._tries = fetch, place, tries
        # For the end of a stream that never came to be.
        self._download = Download(0, iter(()))
        self._download = fetch(0)
        self.size = self._download.size
        self._digest = self._download.digest
        self._at = 0
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return how many bytes have been read."""
        return self._at - len(self._rest)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to ``size`` bytes, fewer at the end only; by default all that are left."""
        left = self.size - self.tell()
        left = left if size is None or size < 0 else min(size, left)
        if left <= len(self._rest):
            data, self._rest = bytes(self._rest[:left]), self._rest[left:]
            return data
        # Its buffer grows in place and is handed out without a copy.
        gathered = io.BytesIO()
        while left and (piece := self._next(left)):
            gathered.write(piece)
            left -= len(piece)
        return gathered.getvalue()

    def readall(self) -> bytes:
        """Return all bytes that are left."""
        return self.read()

    def readinto(self, target: Any) -> int:
        """Fill a buffer as far as one chunk goes."""
        piece = self._next(len(target))
        target[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Give the connection back."""
        if not self.closed:
            self._rest = memoryview(b"")
            self._download.close()
        super().close()

    def _next(self, most: int) -> memoryview:
        """Return at least one byte and at most so many; none at the end of the object."""
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        while not self._rest and self._at < self.size:
            chunk = self._chunk()
            if self._digest:
                self._digest[0].update(chunk)
            if self._at + len(chunk) == self.size:
                self._check_end()
            self._at += len(chunk)
            self._rest = memoryview(chunk)
        piece, self._rest = self._rest[:most], self._rest[most:]
        return piece

    def _check_end(self) -> None:
        try:
            # SDKs compare checksums when they are asked for more than there is.
            next(self._download.chunks, None)
            if self._digest and self._digest[0].digest() != self._digest[1]:
                raise IntegrityError(
                    f"{self._place} arrived damaged: its checksum is another one",
                    location=self._place,
                    hint="try again; if it stays, the object is damaged where it is stored",
                )
        except IntegrityError:
            # Nothing is read of it any more.
            self._tries = 0
            raise

    def _chunk(self) -> bytes:
        while True:
            try:
                for chunk in self._download.chunks:
                    if chunk:
                        return chunk[: self.size - self._at]
                raise StorageUnavailableError(
                    f"{self._place} broke off after {self._at:,} of {self.size:,} bytes",
                    location=self._place,
                    hint="try again",
                )
            except StorageUnavailableError:
                self._download.close()
                self._tries -= 1
                if self._tries < 1:
                    raise
                self._download = self._fetch(self._at)
                if self._download.size != self.size - self._at:
                    raise StorageUnavailableError(
                        f"{self._place} was answered with another part of it than was asked for",
                        location=self._place,
                        hint="try again",
                    ) from None
