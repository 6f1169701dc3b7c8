"""Which files belong to a tree: digests by path, in a form that is searched and never parsed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["Manifest"]

_BEGIN, _END = b"flowhold manifest 1", b"\0\0end"


class Manifest(Mapping[str, str]):
    """sha256 (hex) of each file of a tree by its path.

    Of the thousands of files of a repository a flow imports a few, so none is looked at before it
    is asked for: the bytes hold ``\\0/PATH\\0DIGEST`` for each, between marks that tell a whole one
    from what a crash leaves.

    Args:
        data: What :attr:`data` of another one was.

    Raises:
        ValueError: It is not whole.
    """

    def __init__(self, data: bytes) -> None:
        if not (data.startswith(_BEGIN) and data.endswith(_END)):
            raise ValueError("this manifest is not whole")
        self.data = data

    @classmethod
    def of(cls, digests: Mapping[str, str]) -> Manifest:
        """Return the manifest with these digests by path."""
        if isinstance(digests, Manifest):
            return digests
        entries = (b"\0/%s\0%s" % (os.fsencode(p), d.encode()) for p, d in digests.items())
        return cls(_BEGIN + b"".join(entries) + _END)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Return the manifest in a file; raise OSError or ValueError where there is none."""
        return cls(path.read_bytes())

    @staticmethod
    def is_whole(path: Path) -> bool:
        """Whether a file holds a manifest to its end."""
        try:
            with open(path, "rb") as file:
                begins = file.read(len(_BEGIN)) == _BEGIN
                file.seek(-len(_END), os.SEEK_END)
                return begins and file.read() == _END
        except OSError:
            return False

    def __getitem__(self, path: str) -> str:
        key = b"\0/%s\0" % os.fsencode(path)
        start = self.data.find(key)
        if start < 0 or key.count(b"\0") > 2:
            raise KeyError(path)
        start += len(key)
        return self.data[start : self.data.index(b"\0", start)].decode()

    def __iter__(self) -> Iterator[str]:
        for entry in self.data[: -len(_END)].split(b"\0/")[1:]:
            yield os.fsdecode(entry.partition(b"\0")[0])

    def __len__(self) -> int:
        return self.data.count(b"\0/")
