"""One file out of an archive that an engine sends in chunks."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from typing import Any

from flowhold.errors import IntegrityError, StorageUnavailableError

__all__ = ["only_file"]


def only_file(chunks: Iterable[bytes], path: str, limit: int) -> bytes:
    """Return the bytes of the file that comes first in an archive.

    Args:
        chunks: The archive.
        path: Of the file, for messages.
        limit: Bytes that it may have.

    Raises:
        IntegrityError: It is no file, or larger.
        StorageUnavailableError: The archive is cut off or damaged.
    """
    try:
        return _read(chunks, path, limit)
    except tarfile.TarError as error:
        raise StorageUnavailableError(
            f"{path} did not come whole from the engine: {error}",
            storage="Docker",
            hint="try again",
        ) from error


def _read(chunks: Iterable[bytes], path: str, limit: int) -> bytes:
    with tarfile.open(fileobj=io.BufferedReader(_Chunks(chunks)), mode="r|") as archive:
        entry = archive.next()
        file = archive.extractfile(entry) if entry is not None and entry.isreg() else None
        if file is None:
            raise IntegrityError(
                f"{path} in the image is not a file", storage="Docker", location=path
            )
        if entry is not None and entry.size > limit:
            raise IntegrityError(
                f"{path} in the image is larger than {limit:,} bytes",
                storage="Docker",
                location=path,
            )
        return file.read()


class _Chunks(io.RawIOBase):
    """Chunks as a file that is read once."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
