"""Verified bytes and unpacked trees kept on this machine by their digests."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flowhold import settings
from flowhold.errors import IntegrityError
from flowhold.manifest import Manifest
from flowhold.pruning import (
    MARK,
    PROCESSES,
    Entry,
    age,
    entries,
    forget_processes,
    grown,
    is_held,
    lock_at,
    lock_of,
    measure,
    prune,
    size_of,
    usable,
    user_of,
)
from flowhold.writing import unused_name, write_new

__all__ = ["Entry", "entries", "manifest_of", "object_of", "prune", "tree"]

_DIGEST = re.compile("[0-9a-f]{64}")

# One for each cache and process, not for each tree: a process can use thousands.
_processes: dict[tuple[Path, int], Any] = {}
_guard = threading.Lock()


def _renew() -> None:
    """Begin anew in a forked process, whose parent's threads may hold the guard."""
    global _guard
    _guard = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def object_of(digest: str, fetch: Callable[[], bytes]) -> bytes:
    """Return the bytes of a digest (sha256, hex): cached ones, else those fetched, to be cached.

    What is damaged in the cache is replaced; a cache that cannot be used is no reason to fail.

    Args:
        digest: sha256 (hex) of the bytes.
        fetch: Returns the bytes, verified.
    """
    if not _DIGEST.fullmatch(digest):
        # It may come from anywhere, and must not lead to another folder.
        return fetch()
    current = settings.current()
    folder = os.path.join(current.cache_dir, "objects")
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
            Path(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(folder, path, data)
        grown(len(data), current)
    return data


def _write(folder: str, path: str, data: bytes) -> None:
    temporary = os.path.join(folder, f".{unused_name()}")
    try:
        write_new(temporary, data, 0o600)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def tree(digest: str, fill: Callable[[Path], Mapping[str, str]], size: int | None = None) -> Path:
    """Return the folder with the files of a flow, having them written if no process did before.

    Args:
        digest: sha256 (hex) of the stored object, or of what else tells which files they are.
        fill: Writes the files into an empty folder and returns their sha256 by path.
        size: Of all files, in bytes, where it is known.
    """
    current = settings.current()
    home = current.cache_dir / "trees"
    folder = home / digest
    with usable(home):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with lock_of(folder):
            # A machine that crashed leaves less than a whole one.
            if there := Manifest.is_whole(folder / "manifest"):
                os.utime(folder)
            else:
                _publish(folder, fill, size)
            _mark_in_use(folder)
    if not there:
        # Behind the lock: what this prunes is of others, and this tree is in use by now.
        grown(size_of(folder), current)
        age(current)
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


def _publish(folder: Path, fill: Callable[[Path], Mapping[str, str]], size: int | None) -> None:
    temporary = folder.parent / f".{unused_name()}"
    try:
        (temporary / "files").mkdir(parents=True, mode=0o700)
        manifest = fill(temporary / "files")
        listed = Manifest.of(manifest).data
        (temporary / "manifest").write_bytes(listed)
        size = measure(temporary) if size is None else size + len(listed)
        (temporary / "size").write_text(str(size))
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _mark_in_use(folder: Path) -> None:
    """Note below a tree that this process may use it, so that no prune removes it."""
    mark = folder / f"{MARK}{_alive(folder.parent.parent)}"
    if mark.exists():
        return
    for other in folder.glob(f"{MARK}*"):
        if not is_held(user_of(other)):
            # Of a process that has ended, and of none that begins: it would need the lock that is
            # held here.
            with suppress(OSError):
                other.unlink()
    mark.touch()


def _alive(home: Path) -> str:
    """Return the name of the lock that this process holds as long as it lives."""
    with _guard:
        return _hold(home)


def _hold(home: Path) -> str:
    held = _processes.get((home, os.getpid()))
    if held is None or not os.path.exists(held.lock_file):
        forget_processes(home)
        # The number is not enough: processes in other containers can have the same. The time is in
        # the name, as whoever tries the lock may change that of the file.
        name = f"{os.getpid()}-{int(time.time())}-{unused_name()}.lock"
        path = home / PROCESSES / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = _processes[home, os.getpid()] = lock_at(path)
        held.acquire()
    return str(os.path.basename(held.lock_file))
