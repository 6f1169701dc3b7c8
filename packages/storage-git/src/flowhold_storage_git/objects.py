"""Objects of a repository, read from packs and known by the hash of what they hold."""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any, NamedTuple, Protocol

from flowhold import settings
from flowhold.errors import IntegrityError

__all__ = [
    "BLOB",
    "COMMIT",
    "DAMAGED",
    "TAG",
    "TREE",
    "Entry",
    "Objects",
    "PackedObjects",
    "sha_of",
    "too_large",
    "tree_entries",
]

COMMIT, TREE, BLOB, TAG, _OFS_DELTA, _REF_DELTA = 1, 2, 3, 4, 6, 7
_LONGEST = 63
_AT_ONCE = 1 << 20
_IN_MEMORY = 32 << 20
DAMAGED = (AssertionError, LookupError, ValueError, struct.error, zlib.error)
"""What reading objects that are damaged raises, besides the errors of dulwich."""
_NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}


class Entry(NamedTuple):
    """One line of a tree."""

    mode: int
    name: bytes
    sha: str


class Objects(Protocol):
    """Objects of a repository by SHA."""

    def __contains__(self, sha: str) -> bool: ...

    def read(self, sha: str, kind: int) -> bytes:
        """Return what an object holds; raise IntegrityError where it is missing or another kind."""


class PackedObjects:
    """Objects of one or more packs.

    What they hold is in a temporary file, unless it is little: a repository may be larger than
    memory. Use it in a ``with`` block. No object, and not all of them together, may be larger than
    the setting ``max_tree_bytes``.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 (closed by __exit__)
        self._index: dict[str, tuple[int, int, int]] = {}
        self._end = 0
        self._limit = settings.current().max_tree_bytes

    def __enter__(self) -> PackedObjects:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def __contains__(self, sha: str) -> bool:
        return sha in self._index

    def shas(self, kind: int) -> list[str]:
        """Return the SHAs of all objects of a kind."""
        return [sha for sha, entry in self._index.items() if entry[0] == kind]

    def read(self, sha: str, kind: int) -> bytes:
        """Return what an object holds; see :class:`Objects`."""
        found, offset, size = self._index.get(sha, (0, 0, 0))
        if found != kind:
            what = "is missing" if not found else f"is a {_NAMES[found].decode()}"
            raise IntegrityError(
                f"the object {sha[:12]} of the repository {what}; a {_NAMES[kind].decode()} was "
                f"expected"
            )
        self._file.seek(offset)
        return self._file.read(size)

    def add_pack(self, file: IO[bytes]) -> None:
        """Take over the objects of a pack.

        Raises:
            IntegrityError: It is damaged, or holds more than is allowed.
        """
        from dulwich.errors import ApplyDeltaError
        from dulwich.pack import read_pack_header_at

        if not file.seek(0, os.SEEK_END):
            return  # nothing was to be sent
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            self._add(data, read_pack_header_at(data)[1])
        except (*DAMAGED, ApplyDeltaError) as error:
            raise IntegrityError(f"the pack that arrived is damaged: {error}") from error
        finally:
            # An error's frames may still look at it: then it is closed with them.
            with suppress(BufferError):
                data.close()

    def _add(self, data: Any, count: int) -> None:
        from dulwich.pack import apply_delta

        offset = 12  # behind the header
        known: dict[int, str] = {}
        # By SHA, or by the offset of what waits itself.
        waiting: dict[str | int, list[tuple[int, bytes]]] = {}
        held = 0  # bytes that wait

        def keep(at: int, kind: int, content: bytes) -> None:
            nonlocal held
            todo = [(at, kind, content)]
            while todo:
                at, kind, content = todo.pop()
                sha = known[at] = self._keep(kind, content)
                for other, delta in [*waiting.pop(sha, ()), *waiting.pop(at, ())]:
                    held -= len(delta)
                    todo.append((other, kind, resolved(sha, delta)))

        def resolved(base: str, delta: bytes) -> bytes:
            kind = self._index[base][0]
            self._check(_target_size(delta))
            return b"".join(apply_delta(self.read(base, kind), delta))

        for _ in range(count):
            entry = _Packed.at(data, offset)
            self._check(held + entry.size)
            content, end = entry.inflated(data)
            base = entry.base
            if base is None:
                keep(offset, entry.kind, content)
            else:
                if isinstance(base, int):
                    base = known.get(base, base)
                if isinstance(base, str) and base in self._index:
                    keep(offset, self._index[base][0], resolved(base, content))
                else:
                    waiting.setdefault(base, []).append((offset, content))
                    held += len(content)
            offset = end
        if waiting:
            raise ValueError("it lacks objects that others build on")

    def _keep(self, kind: int, content: bytes) -> str:
        sha = sha_of(kind, content)
        if sha not in self._index:
            self._check(len(content))
            self._file.seek(self._end)
            self._file.write(content)
            self._index[sha] = kind, self._end, len(content)
            self._end += len(content)
        return sha

    def _check(self, more: int) -> None:
        if self._end + more > self._limit:
            raise too_large(self._limit)


def too_large(limit: int) -> IntegrityError:
    """Return the error for a repository that holds more than so many bytes."""
    return IntegrityError(
        f"the repository holds more than {limit:,} bytes",
        hint="fetch only the folders that are needed (directories=), or allow more: the setting "
        "max_tree_bytes",
    )


def sha_of(kind: int, content: bytes) -> str:
    """Return the SHA of an object that holds this."""
    digest = hashlib.sha1(b"%s %d\0" % (_NAMES[kind], len(content)), usedforsecurity=False)
    digest.update(content)
    return digest.hexdigest()


def tree_entries(data: bytes) -> Iterator[Entry]:
    """Yield the entries of a tree; raise IntegrityError where it is damaged."""
    from dulwich.errors import ObjectFormatException
    from dulwich.objects import parse_tree

    try:
        for name, mode, sha in parse_tree(data, 20):
            yield Entry(mode, name, sha.decode())
    except (ObjectFormatException, ValueError) as error:
        raise IntegrityError(f"a folder of the repository is damaged: {error}") from error


class _Packed(NamedTuple):
    """One entry of a pack, of which nothing is inflated yet."""

    kind: int
    size: int
    """What it says it holds, in bytes."""
    base: str | int | None
    """What it is a difference to: an object's SHA, or the offset of another entry."""
    start: int
    """Where what is deflated begins."""

    @classmethod
    def at(cls, data: Any, offset: int) -> _Packed:
        """Return the entry at an offset."""
        first = offset
        byte = data[offset]
        kind, size, shift = byte >> 4 & 7, byte & 0x0F, 4
        while byte & 0x80:
            if shift > _LONGEST:
                raise ValueError("a size in it has no end")
            offset += 1
            byte = data[offset]
            size |= (byte & 0x7F) << shift
            shift += 7
        offset += 1
        if kind in _NAMES:
            return cls(kind, size, None, offset)
        if kind == _REF_DELTA:
            return cls(kind, size, data[offset : offset + 20].hex(), offset + 20)
        if kind != _OFS_DELTA:
            raise ValueError(f"an object in it has the unknown kind {kind}")
        byte = data[offset]
        back = byte & 0x7F
        while byte & 0x80:
            offset += 1
            byte = data[offset]
            back = (back + 1 << 7) | byte & 0x7F
            if back > first:
                raise ValueError("an object in it builds on what is before its beginning")
        return cls(kind, size, first - back, offset + 1)

    def inflated(self, data: Any) -> tuple[bytes, int]:
        """Return what it holds, and where it ends; no more is inflated than it says."""
        inflater = zlib.decompressobj()
        parts: list[bytes] = []
        left, offset = self.size, self.start
        while not inflater.eof:
            deflated = data[offset : offset + min(left + 64, _AT_ONCE)]
            part = inflater.decompress(deflated, left + 1)
            left -= len(part)
            if left < 0 or not deflated:
                break
            parts.append(part)
            offset += len(deflated)
        if left or not inflater.eof:
            raise ValueError("an object in it has not the size that it says")
        return b"".join(parts), offset - len(inflater.unused_data)


def _target_size(delta: bytes) -> int:
    """Return the size of what a delta makes."""
    offset = 0
    for _ in range(2):
        size = shift = 0
        more = True
        while more:
            if shift > _LONGEST:
                raise ValueError("a size in it has no end")
            size |= (delta[offset] & 0x7F) << shift
            more = bool(delta[offset] & 0x80)
            shift += 7
            offset += 1
    return size
