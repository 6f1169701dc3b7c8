"""Files of the user on their way into a build context, without what is ignored."""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flowhold.errors import ConfigurationError
from flowhold_storage_docker.ignore import Ignore

__all__ = ["Copy", "copies_of", "copy_file", "copy_tree", "digest_of", "write_file"]

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Copy:
    """One entry of ``files``: a file or folder of this machine, and where it goes."""

    source: Path
    folder: str
    """Folder in the image that gets it, or gets what is in it; ends with a slash."""
    name: str | None
    """Name of the file there; None for a folder."""


def copies_of(files: Mapping[str, str] | None) -> list[Copy]:
    """Return what ``files``, whose paths are checked, says to copy.

    Raises:
        ConfigurationError: A source is not there.
    """
    copies = []
    for given, target in (files or {}).items():
        source = Path(given)
        if source.is_dir():
            copies.append(Copy(source, posixpath.join(target, ""), None))
            continue
        if not source.is_file():
            raise ConfigurationError(
                f"{given!r:.200} in files is not there, or is neither file nor folder"
            )
        folder, name = posixpath.split(target)
        if name in ("", ".", ".."):
            folder, name = target, source.name
        copies.append(Copy(source, posixpath.join(folder or ".", ""), name))
    return copies


def walk(
    root: Path, patterns: Sequence[str], prefix: str = "", but: Path | None = None
) -> Iterator[str]:
    """Yield the paths below a folder, those of folders too, that no pattern leaves out; sorted.

    Args:
        root: The folder.
        patterns: As in a ``.dockerignore``.
        prefix: What comes before the paths for the patterns; ends with a slash.
        but: A folder that is left out, with all that is in it.
    """
    ignore = Ignore(patterns)
    without = but and but.resolve()
    root = root.resolve()
    for folder, folders, names in os.walk(root, onerror=_refuse):
        below = Path(folder).relative_to(root).as_posix()
        inside = "" if below == "." else f"{below}/"
        folders[:] = sorted(name for name in folders if Path(folder, name) != without)
        pruned = set()
        for name in sorted([*folders, *names]):
            path = f"{prefix}{inside}{name}"
            if not ignore.leaves_out(path):
                yield f"{inside}{name}"
            elif not ignore.may_keep_below(path):
                pruned.add(name)
        folders[:] = [name for name in folders if name not in pruned]


def copy_tree(
    source: Path,
    target: Path,
    patterns: Sequence[str],
    *,
    prefix: str = "",
    but: Path | None = None,
) -> None:
    """Copy a folder into one that is there.

    Args:
        source: The folder.
        target: Gets what is in it.
        patterns: As in a ``.dockerignore``.
        prefix: See :func:`walk`.
        but: A folder that is left out: the target itself, where it is in the source.
    """
    for path in walk(source, patterns, prefix, but):
        found, place = source / path, target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        mode = found.lstat().st_mode
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(found), place)
        elif stat.S_ISDIR(mode):
            place.mkdir(exist_ok=True)
        elif stat.S_ISREG(mode):
            copy_file(found, place)
        else:
            raise ConfigurationError(
                f"{found} is neither a file nor a folder", hint="leave it out: dockerignore="
            )


def copy_file(source: Path, target: Path) -> None:
    """Copy a file; of its mode only whether it is a program is kept."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _readable(source):
        shutil.copyfile(source, target)
        target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


def write_file(path: Path, data: bytes) -> None:
    """Write a file of a build context."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o644)


def digest_of(path: Path, patterns: Sequence[str], prefix: str = "") -> str:
    """Return a hash of a file or folder as it would be copied; see :func:`walk`."""
    digest = hashlib.sha256()
    for name in [""] if path.is_file() else walk(path, patterns, prefix):
        found = path / name if name else path
        with _readable(found):
            mode = (found.lstat() if name else found.stat()).st_mode
            content = hashlib.sha256()
            if stat.S_ISLNK(mode):
                content.update(os.fsencode(os.readlink(found)))
            elif stat.S_ISREG(mode):
                with found.open("rb") as file:
                    while chunk := file.read(_CHUNK):
                        content.update(chunk)
        kind = f"\0{stat.S_IFMT(mode)}{bool(mode & 0o100)}\0".encode()
        digest.update(os.fsencode(name) + kind + content.digest())
    return digest.hexdigest()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise ConfigurationError(f"{path} cannot be copied: {error.strerror}") from error


def _refuse(error: OSError) -> None:
    with _readable(Path(error.filename)):
        raise error
