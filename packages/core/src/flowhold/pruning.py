"""What the cache holds, and what is removed of it when it is too much or too old."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowhold import settings
from flowhold.errors import AccessDeniedError, FlowholdError, StorageError
from flowhold.writing import unused_name

__all__ = [
    "MARK",
    "PROCESSES",
    "Entry",
    "age",
    "entries",
    "forget_processes",
    "grown",
    "is_held",
    "lock_at",
    "lock_of",
    "measure",
    "prune",
    "size_of",
    "usable",
    "user_of",
]

MARK = "used-by-"
"""How a mark of a process below a tree begins; the name of the process's lock follows."""
PROCESSES = "processes"
"""Folder of the locks that processes hold as long as they live."""

_HOUR = 3600
_DAY = 24 * _HOUR
_STEPS = 1000


@dataclass(frozen=True)
class Entry:
    """One thing in the cache."""

    kind: str
    """``object`` or ``tree``."""
    digest: str
    """Of the stored object, sha256 in hex; for a script's tree, of it and its file's name."""
    size: int
    """In bytes."""
    used: float
    """When it was last asked for, in seconds since the epoch."""
    in_use: bool
    """Whether a running process may use it."""
    path: Path


def entries() -> list[Entry]:
    """Return what is in the cache, the least recently used first."""
    home = settings.current().cache_dir
    found = []
    with usable(home):
        for kind in ("object", "tree"):
            for path in _listed(home / f"{kind}s"):
                # Others remove things at the same time.
                with suppress(FileNotFoundError):
                    status = path.stat()
                    size = status.st_size if kind == "object" else size_of(path)
                    in_use = kind == "tree" and _is_used(path)
                    found.append(Entry(kind, path.name, size, status.st_mtime, in_use, path))
    return sorted(found, key=lambda entry: entry.used)


def prune(
    *, max_bytes: int | None = None, older_than: float | None = None, everything: bool = False
) -> list[Entry]:
    """Remove what was not used for longest, and what processes that crashed have left.

    Args:
        max_bytes: Remove until no more than this is left.
        older_than: Remove what was not used for so many seconds.
        everything: Remove all.

    Returns:
        What was removed. A tree that a running process may use stays.
    """
    home = settings.current().cache_dir
    there = entries()
    left, removed = sum(entry.size for entry in there), []
    oldest = time.time() - (float("inf") if older_than is None else older_than)
    for entry in there:
        too_much = max_bytes is not None and left > max_bytes
        if (everything or too_much or entry.used < oldest) and not entry.in_use and _remove(entry):
            left -= entry.size
            removed.append(entry)
    for kind in ("objects", "trees"):
        for path in _listed(home / kind, leftover=True):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _DAY:
                    _erase(path)
    forget_processes(home)
    with suppress(OSError):
        (home / "size").write_text(str(left))
    return removed


def forget_processes(home: Path) -> None:
    """Remove the locks of processes that ended, unless they are of one that just begins."""
    for path in (home / PROCESSES).glob("*.lock"):
        with suppress(OSError, LookupError, ValueError):
            begun = int(path.name.split("-")[1])
            if begun < time.time() - _HOUR and not is_held(path):
                path.unlink()


def grown(size: int, current: settings.Settings) -> None:
    """Note that something was added; where that may be too much in all, prune to nine tenths."""
    limit, home = current.cache_max_bytes, current.cache_dir
    # Of little things a few are noted, for all of them: what is noted is right on average.
    step = limit // _STEPS
    if size < step:
        if random.random() * step >= size:  # noqa: S311 (nobody gains by guessing it)
            return
        size = step
    with suppress(OSError, StorageError), lock_at(home / "size.lock").acquire(timeout=10):
        # Only an estimate is kept, so that not every addition reads all folders.
        noted = _noted(home)
        if noted is None:
            prune(max_bytes=limit)
        elif noted + size > limit:
            prune(max_bytes=limit * 9 // 10)
        else:
            (home / "size").write_text(str(noted + size))


def age(current: settings.Settings) -> None:
    """Once a day, remove what was not used for the days that are allowed."""
    last = current.cache_dir / "aged"
    with suppress(OSError, StorageError):
        if not last.exists() or last.stat().st_mtime < time.time() - _DAY:
            last.touch()
            prune(older_than=current.cache_max_days * _DAY)


def _noted(home: Path) -> int | None:
    try:
        return int((home / "size").read_bytes())
    except (OSError, ValueError):
        return None


def _remove(entry: Entry) -> bool:
    """Remove something; return False where a process has come to use it meanwhile."""
    with suppress(OSError):
        if entry.kind == "object":
            entry.path.unlink(missing_ok=True)
            return True
        # A Timeout is an OSError: somebody is about to use it.
        with lock_of(entry.path).acquire(timeout=0):
            if _is_used(entry.path):
                return False
            doomed = entry.path.parent / f".{unused_name()}"
            os.rename(entry.path, doomed)
        _erase(doomed)
        return True
    return False


def _erase(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _listed(folder: Path, *, leftover: bool = False) -> list[Path]:
    """Return the entries of a folder of the cache, or what was never finished."""
    try:
        paths = [*folder.iterdir()]
    except FileNotFoundError:
        return []
    return [
        path for path in paths if path.name.startswith(".") is leftover and path.suffix != ".lock"
    ]


def size_of(folder: Path) -> int:
    """Return the size of a tree in bytes."""
    try:
        return int((folder / "size").read_bytes())
    except (OSError, ValueError):
        return measure(folder)


def measure(folder: Path) -> int:
    """Add up the sizes of the files in a folder."""
    size, folders = 0, [os.fspath(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    size += entry.stat(follow_symlinks=False).st_size
    return size


def lock_at(path: Path) -> Any:
    """Return the lock that a file is."""
    from filelock import FileLock

    return FileLock(path)


def lock_of(folder: Path) -> Any:
    """Return the lock under which a tree is made and removed."""
    return lock_at(folder.with_name(f"{folder.name}.lock"))


def _is_used(folder: Path) -> bool:
    return any(is_held(user_of(mark)) for mark in folder.glob(f"{MARK}*"))


def user_of(mark: Path) -> Path:
    """Return the lock of the process that left a mark below a tree."""
    return mark.parents[2] / PROCESSES / mark.name.removeprefix(MARK)


def is_held(path: Path) -> bool:
    """Whether a process holds a lock; one that ended, however it did, holds none."""
    if not path.exists():
        return False
    try:
        with lock_at(path).acquire(timeout=0):
            return False
    except TimeoutError:
        return True


@contextmanager
def usable(home: Path) -> Iterator[None]:
    """Say what to do where the folder of the cache cannot be used."""
    hint = "set FLOWHOLD_CACHE_DIR to a folder of yours with room in it"
    try:
        yield
    except FlowholdError:
        raise  # some of them are an OSError too
    except OSError as error:
        kind = AccessDeniedError if isinstance(error, PermissionError) else StorageError
        message = f"the cache {home} cannot be used: {error.strerror}"
        raise kind(message, hint=hint) from error
