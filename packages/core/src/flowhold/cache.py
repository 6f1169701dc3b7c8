"""Verified bytes and unpacked trees kept on this machine by their digests."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowhold import settings
from flowhold.errors import AccessDeniedError, IntegrityError, StorageError
from flowhold.manifest import Manifest

__all__ = ["Entry", "entries", "manifest_of", "object_of", "prune", "tree"]

_DAY = 24 * 3600
_STEPS = 1000

# Held as long as this process may use a tree: the locks that say so.
_in_use: dict[tuple[Path, int], Any] = {}


def object_of(digest: str, fetch: Callable[[], bytes]) -> bytes:
    """Return the bytes of a digest (sha256, hex): cached ones, else those fetched, to be cached.

    What is damaged in the cache is replaced; a cache that cannot be used is no reason to fail.

    Args:
        digest: sha256 (hex) of the bytes.
        fetch: Returns the bytes, verified.
    """
    if not re.fullmatch("[0-9a-f]{64}", digest):
        # It may come from anywhere, and must not lead to another folder.
        return fetch()
    current = settings.current()
    folder = current.cache_dir / "objects"
    path = os.path.join(folder, digest)
    with suppress(OSError):
        with open(path, "rb") as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() == digest:
            with suppress(OSError):
                os.utime(path)
            return data
        os.unlink(path)
    data = fetch()
    with suppress(OSError):
        try:
            _write(folder, path, data)
        except FileNotFoundError:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(folder, path, data)
        _grown(len(data), current)
    return data


def _write(folder: Path, path: str, data: bytes) -> None:
    temporary = os.path.join(folder, f".{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


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
    with _usable(home):
        for kind in ("object", "tree"):
            for path in _listed(home / f"{kind}s"):
                # Others remove things at the same time.
                with suppress(FileNotFoundError):
                    status = path.stat()
                    size = status.st_size if kind == "object" else _size(path)
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
    with suppress(OSError):
        (home / "size").write_text(str(left))
    return removed


def tree(digest: str, fill: Callable[[Path], Mapping[str, str]]) -> Path:
    """Return the folder with the files of a flow, having them written if no process did before.

    Args:
        digest: sha256 (hex) of the stored object, or of what else tells which files they are.
        fill: Writes the files into an empty folder and returns their sha256 by path.
    """
    current = settings.current()
    home = current.cache_dir / "trees"
    folder = home / digest
    with _usable(home):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _lock_of(folder):
            if there := _is_whole(folder):
                os.utime(folder)
            else:
                _publish(folder, fill)
            _mark_in_use(folder)
    if not there:
        # Behind the lock: what this prunes is of others, and this tree is in use by now.
        _grown(_size(folder), current)
    return folder / "files"


def manifest_of(files: Path) -> Manifest:
    """Return which files belong to the folder that :func:`tree` returned.

    Raises:
        IntegrityError: It was damaged.
    """
    try:
        return Manifest.read(files.parent / "manifest")
    except (OSError, ValueError) as error:
        raise IntegrityError(
            f"the cached folder {files.parent} is damaged", hint="remove it; it is made anew"
        ) from error


def _is_whole(folder: Path) -> bool:
    """Whether a tree is there and was written to its end; a machine that crashed leaves less."""
    try:
        Manifest.read(folder / "manifest")
    except (OSError, ValueError):
        return False
    return True


def _publish(folder: Path, fill: Callable[[Path], Mapping[str, str]]) -> None:
    temporary = folder.parent / f".{uuid.uuid4().hex}"
    try:
        (temporary / "files").mkdir(parents=True, mode=0o700)
        manifest = fill(temporary / "files")
        (temporary / "manifest").write_bytes(Manifest.of(manifest).data)
        (temporary / "size").write_text(str(_measure(temporary)))
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _mark_in_use(folder: Path) -> None:
    """Hold a lock of this process's own below the tree, so that no prune removes it."""
    held = _in_use.get((folder, os.getpid()))
    if held is not None and os.path.exists(held.lock_file):
        return
    if held is not None:
        held.release()
    for other in folder.glob("used-by-*.lock"):
        if not _is_held(other):
            # Of a process that has ended, and of none that begins: it would need the lock that is
            # held here.
            with suppress(OSError):
                other.unlink()
    path = folder / f"used-by-{os.getpid()}.lock"
    if path.exists():
        # Held, so by a process in another container that has the same number.
        path = folder / f"used-by-{os.getpid()}-{uuid.uuid4().hex}.lock"
    lock = _in_use[folder, os.getpid()] = _lock(path)
    lock.acquire()


def _grown(size: int, current: settings.Settings) -> None:
    """Note that something was added; where that may be too much in all, prune to nine tenths."""
    limit, home = current.cache_max_bytes, current.cache_dir
    # Of little things a few are noted, for all of them: what is noted is right on average.
    step = limit // _STEPS
    if size < step:
        if random.random() * step >= size:  # noqa: S311 (nobody gains by guessing it)
            return
        size = step
    with suppress(OSError, StorageError), _lock(home / "size.lock").acquire(timeout=10):
        # Only an estimate is kept, so that not every addition reads all folders.
        noted = _noted(home)
        if noted is None:
            prune(max_bytes=limit)
        elif noted + size > limit:
            prune(max_bytes=limit * 9 // 10)
        else:
            (home / "size").write_text(str(noted + size))


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
        with _lock_of(entry.path).acquire(timeout=0):
            if _is_used(entry.path):
                return False
            doomed = entry.path.parent / f".{uuid.uuid4().hex}"
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


def _size(folder: Path) -> int:
    try:
        return int((folder / "size").read_bytes())
    except (OSError, ValueError):
        return _measure(folder)


def _measure(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _lock(path: Path) -> Any:
    from filelock import FileLock

    return FileLock(path)


def _lock_of(folder: Path) -> Any:
    return _lock(folder.with_name(f"{folder.name}.lock"))


def _is_used(folder: Path) -> bool:
    return any(map(_is_held, folder.glob("used-by-*.lock")))


def _is_held(path: Path) -> bool:
    """Whether a process holds a lock; one that ended, however it did, holds none."""
    try:
        with _lock(path).acquire(timeout=0):
            return False
    except TimeoutError:
        return True


@contextmanager
def _usable(home: Path) -> Iterator[None]:
    hint = "set FLOWHOLD_CACHE_DIR to a folder of yours with room in it"
    try:
        yield
    except OSError as error:
        kind = AccessDeniedError if isinstance(error, PermissionError) else StorageError
        message = f"the cache {home} cannot be used: {error.strerror}"
        raise kind(message, hint=hint) from error
