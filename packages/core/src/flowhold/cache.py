"""Verified bytes and unpacked trees kept on this machine by their digests."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flowhold import settings
from flowhold.errors import AccessDeniedError, StorageError

__all__ = ["get_object", "put_object", "tree"]

# Held as long as this process may use a tree: the locks that say so.
_in_use: dict[Path, Any] = {}


def get_object(digest: str) -> bytes | None:
    """Return the cached bytes of a digest (sha256, hex), or None; what is damaged is removed."""
    if not re.fullmatch("[0-9a-f]{64}", digest):
        # It may come from anywhere, and must not lead to another folder.
        return None
    path = settings.current().cache_dir / "objects" / digest
    with suppress(OSError):
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == digest:
            with suppress(OSError):
                os.utime(path)
            return data
        path.unlink()
    return None


def put_object(digest: str, data: bytes) -> None:
    """Keep verified bytes; a cache that cannot be written to is no reason to fail."""
    folder = settings.current().cache_dir / "objects"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = folder / f".{uuid.uuid4().hex}"
        try:
            temporary.write_bytes(data)
            os.replace(temporary, folder / digest)
        finally:
            temporary.unlink(missing_ok=True)


def tree(digest: str, fill: Callable[[Path], dict[str, str]]) -> tuple[Path, dict[str, str]]:
    """Return the folder with the files of a stored flow, unpacking them if no process did before.

    Args:
        digest: sha256 (hex) of the stored object.
        fill: Writes the files into an empty folder and returns their sha256 by path.

    Returns:
        The folder, and the sha256 (hex) of each file by its path.
    """
    home = settings.current().cache_dir / "trees"
    folder = home / digest
    with _writable(home):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        from filelock import FileLock

        with FileLock(home / f"{digest}.lock"):
            manifest = _manifest(folder)
            if manifest is None:
                manifest = _publish(folder, fill)
            _mark_in_use(folder)
    return folder / "files", manifest


def _manifest(folder: Path) -> dict[str, str] | None:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return None
    os.utime(folder)
    return manifest if isinstance(manifest, dict) else None


def _publish(folder: Path, fill: Callable[[Path], dict[str, str]]) -> dict[str, str]:
    temporary = folder.parent / f".{uuid.uuid4().hex}"
    try:
        (temporary / "files").mkdir(parents=True, mode=0o700)
        manifest = fill(temporary / "files")
        (temporary / "manifest.json").write_text(json.dumps(manifest))
        if folder.exists():
            # What is there has no readable manifest: left by a machine that crashed.
            shutil.rmtree(folder)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return manifest


def _mark_in_use(folder: Path) -> None:
    """Hold a lock of this process's own below the tree, so that no prune removes it."""
    key = folder / f"used-by-{os.getpid()}.lock"
    if key not in _in_use:
        from filelock import FileLock

        lock = _in_use[key] = FileLock(key)
        lock.acquire()


@contextmanager
def _writable(home: Path) -> Iterator[None]:
    hint = "set FLOWHOLD_CACHE_DIR to a folder of yours with room in it"
    try:
        yield
    except PermissionError as error:
        raise AccessDeniedError(f"the cache {home} cannot be written to", hint=hint) from error
    except OSError as error:
        raise StorageError(
            f"the cache {home} cannot be used: {error.strerror}", hint=hint
        ) from error
