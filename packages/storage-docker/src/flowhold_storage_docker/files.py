"""Files of the user on their way into a build context, without what is ignored."""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowhold.errors import ConfigurationError

__all__ = ["Copy", "copies_of", "copy_tree", "digest_of", "read_ignore", "write_file"]

_ALWAYS = ["**/__pycache__", "**/*.pyc"]
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
    """Return what ``files`` says to copy.

    Raises:
        ConfigurationError: A source is not absolute or not there, or a destination is empty.
    """
    copies = []
    for given, target in (files or {}).items():
        source = Path(given)
        if not source.is_absolute():
            raise ConfigurationError(
                f"the source {given!r:.200} in files is not an absolute path",
                hint="give os.path.abspath(...) of it",
            )
        if not isinstance(target, str) or not target or "\0" in target:
            raise ConfigurationError(f"the destination of {given} in files is not a path")
        if source.is_dir():
            copies.append(Copy(source, posixpath.join(target, ""), None))
            continue
        if not source.is_file():
            raise ConfigurationError(
                f"{given} in files is not there, or is neither file nor folder"
            )
        folder, name = posixpath.split(target)
        copies.append(Copy(source, posixpath.join(folder or ".", ""), name or source.name))
    return copies


def read_ignore(path: str | os.PathLike[str] | None) -> list[str]:
    """Return the patterns of a ``.dockerignore`` file, of none where there is no path."""
    if path is None:
        return []
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the ignore file {path} cannot be read: {error}") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def walk(root: Path, patterns: Sequence[str], prefix: str = "") -> Iterator[str]:
    """Yield the paths below a folder, those of folders too, that no pattern leaves out; sorted.

    Args:
        root: The folder.
        patterns: As in a ``.dockerignore``.
        prefix: What comes before the paths for the patterns; ends with a slash.
    """
    from docker.utils.build import PatternMatcher

    matcher = PatternMatcher([*_ALWAYS, *patterns])
    excepted = [pattern.lstrip("!/") for pattern in patterns if pattern.startswith("!")]
    for folder, folders, names in os.walk(root):
        below = Path(folder).relative_to(root).as_posix()
        inside = "" if below == "." else f"{below}/"
        ignored = set()
        for name in sorted([*folders, *names]):
            path = f"{prefix}{inside}{name}"
            if not matcher.matches(path):
                yield f"{inside}{name}"
            elif not any(each.startswith(f"{path}/") for each in excepted):
                ignored.add(name)
        folders[:] = sorted(set(folders) - ignored)


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
    for path in walk(source, patterns, prefix):
        found = source / path
        if but is not None and (found == but or but in found.parents):
            continue
        place = target / path
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
    try:
        shutil.copyfile(source, target)
        target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)
    except OSError as error:
        if error.errno == 28:
            raise
        raise ConfigurationError(f"{source} cannot be read: {error.strerror}") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file of a build context."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o644)


def digest_of(path: Path, patterns: Sequence[str]) -> str:
    """Return a hash of a file or folder as it would be copied."""
    digest = hashlib.sha256()
    names = [""] if path.is_file() else walk(path, patterns, f"{path.name}/")
    for name in names:
        found = path / name if name else path
        mode = found.lstat().st_mode
        digest.update(f"{name}\0{stat.S_IFMT(mode)}{bool(mode & 0o100)}\0".encode())
        if stat.S_ISLNK(mode) and name:
            digest.update(os.readlink(found).encode())
        elif found.is_file():
            with found.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
    return digest.hexdigest()
