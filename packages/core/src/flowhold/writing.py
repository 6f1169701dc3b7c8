"""New files of trees: written once, and read-only from then on."""

from __future__ import annotations

import os

__all__ = ["new_file", "write", "write_new"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def new_file(path: str, *, executable: bool) -> int:
    """Return the descriptor of a new file that nobody can write to any more but by it.

    Raises:
        OSError: It cannot be made, or something is there.
    """
    mode = 0o500 if executable else 0o400
    file = os.open(path, _NEW, mode)
    if os.name == "posix" and os.fstat(file).st_mode & 0o777 != mode:
        os.fchmod(file, mode)  # the user's mask took some of it
    return file


def write(file: int, data: bytes) -> None:
    """Write all of some bytes to a descriptor."""
    while data:
        data = data[os.write(file, data) :]


def write_new(path: str, data: bytes, *, executable: bool = False) -> None:
    """Write a new file, as :func:`new_file` makes it."""
    file = new_file(path, executable=executable)
    try:
        write(file, data)
    finally:
        os.close(file)
