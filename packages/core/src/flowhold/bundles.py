"""The files that travel with a flow: chosen by patterns, packed reproducibly, unpacked safely."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import stat
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowhold import settings
from flowhold.errors import ConfigurationError, IntegrityError, SerializationError
from flowhold.writing import EXECUTABLE, READABLE, new_file, write

__all__ = ["Entry", "collect", "pack", "read_entries", "unpack"]

NEVER = ["__pycache__/", "*.pyc", ".git", ".venv"]
_SECRET = [".env*", "*.pem", "*.key", "*.p12", "*.pfx", "id_rsa*", "id_ed25519*", "id_ecdsa*"]
_SECRET += [".netrc", ".npmrc", ".pypirc", "credentials*", "secrets.*"]
_LIKE_SECRET = re.compile("|".join(map(fnmatch.translate, _SECRET))).match
_UNUSABLE = re.compile(r"[\x00-\x1f\\]").search
_STEPS = {"", ".", ".."}
_LONGEST = 255  # bytes of a name
_BIG = 50 << 20
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One file: its ``path`` below the root, ``size`` in bytes, ``sha256`` in hex."""

    path: str
    size: int
    sha256: str
    executable: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the form in which the entry stands in an envelope's header."""
        entry: dict[str, Any] = {"path": self.path, "size": self.size, "sha256": self.sha256}
        return {**entry, "executable": True} if self.executable else entry


def collect(root: Path, include: Sequence[str], always: Iterable[str] = ()) -> list[Entry]:
    """Return the files that :func:`pack` would pack, sorted by path.

    Arguments and errors are those of :func:`pack`.
    """
    return [_read(root, path, status) for path, status in _chosen(root, include, always)]


def pack(
    root: Path, include: Sequence[str], always: Iterable[str] = ()
) -> tuple[list[Entry], list[bytes]]:
    """Return the files to store, sorted by path, and their bytes as one zstd frame, in buffers.

    Args:
        root: Folder to which paths and patterns are relative; ``.flowholdignore`` in it is
            respected.
        include: Patterns as in a ``.gitignore``, here saying what is taken.
        always: Paths to take in any case.

    Raises:
        ConfigurationError: A pattern is malformed, or takes no file that is there.
        SerializationError: A file cannot be read, its name cannot be stored, or it changes
            meanwhile.
    """
    from zstandard import ZstdCompressor

    chosen = _chosen(root, include, always)
    size = sum(status.st_size for _, status in chosen)
    compressor = ZstdCompressor(level=3).compressobj(size=size)
    parts: list[bytes] = []
    entries = [
        _read(root, path, status, lambda chunk: parts.append(compressor.compress(chunk)))
        for path, status in chosen
    ]
    return entries, [part for part in [*parts, compressor.flush()] if part]


def _chosen(
    root: Path, include: Sequence[str], always: Iterable[str]
) -> list[tuple[str, os.stat_result]]:
    """Return the paths of the files to store, sorted, each with its status."""
    from pathspec import GitIgnoreSpec

    ignore = root / ".flowholdignore"
    left_out = ignore.read_text(errors="replace").splitlines() if ignore.is_file() else []
    try:
        wanted, unwanted = (
            GitIgnoreSpec.from_lines(include),
            GitIgnoreSpec.from_lines([*left_out, *NEVER]),
        )
    except (ValueError, re.error) as error:
        raise ConfigurationError(
            f"include= or .flowholdignore has a malformed pattern: {error}"
        ) from error
    found = list(_walk(root, unwanted))
    for pattern in wanted.patterns:
        if pattern.include and not any(map(pattern.match_file, found)):
            raise ConfigurationError(
                f"include={pattern.pattern!r} matches no file in {root}",
                hint="patterns are relative to the script's folder, as in a .gitignore",
            )
    paths = sorted({*wanted.match_files(found), *always})
    chosen = [(path, _status(root, path)) for path in paths]
    check_paths(paths)
    _warn({path: status.st_size for path, status in chosen})
    return chosen


def read_entries(files: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """Return the entries of an envelope's header after checking them.

    Raises:
        IntegrityError: They are malformed, leave their folder or exceed the settings' limits.
    """
    try:
        entries = [
            Entry(
                str(file["path"]), file["size"], str(file["sha256"]), bool(file.get("executable"))
            )
            for file in files
        ]
        if any(type(entry.size) is not int or entry.size < 0 for entry in entries):
            raise TypeError("a size is not a number of bytes")
    except (AttributeError, KeyError, TypeError) as error:
        raise IntegrityError("the list of files of this stored flow is damaged") from error
    limits = settings.current()
    total = sum(entry.size for entry in entries)
    if len(entries) > limits.max_tree_files or total > limits.max_tree_bytes:
        raise IntegrityError(
            f"this stored flow has {len(entries):,} files of {total:,} bytes, more than allowed",
            hint="the settings max_tree_files and max_tree_bytes are the limits",
        )
    try:
        check_paths([entry.path for entry in entries])
    except SerializationError as error:
        raise IntegrityError(f"this stored flow is not safe to unpack: {error}") from error
    return entries


def unpack(frame: memoryview, entries: Sequence[Entry], folder: Path) -> None:
    """Write the files of a zstd frame below an empty folder, each checked.

    Raises:
        IntegrityError: The frame does not hold exactly these files.
    """
    from zstandard import ZstdDecompressor, ZstdError

    try:
        stream = ZstdDecompressor(max_window_size=1 << 27).stream_reader(frame)
        root, made = os.fspath(folder), set()
        for entry in entries:
            # There can be thousands, so without the cost of a Path for each.
            if (parent := entry.path.rpartition("/")[0]) not in made:
                os.makedirs(f"{root}/{parent}", exist_ok=True, mode=0o700)
                made.add(parent)
            digest, left = hashlib.sha256(), entry.size
            file = new_file(f"{root}/{entry.path}", EXECUTABLE if entry.executable else READABLE)
            try:
                while left and (chunk := stream.read(min(left, _CHUNK))):
                    digest.update(chunk)
                    write(file, chunk)
                    left -= len(chunk)
            finally:
                os.close(file)
            if left or digest.hexdigest() != entry.sha256:
                raise IntegrityError(
                    f"{entry.path} in this stored flow is not what its header says"
                )
        if stream.read(1):
            raise IntegrityError("this stored flow holds more than its header says")
    except ZstdError as error:
        raise IntegrityError(
            f"the files of this stored flow cannot be decompressed: {error}"
        ) from error


def check_paths(paths: Sequence[str]) -> None:
    """Check that paths stay in their folder and cannot fall on one another on any file system.

    Raises:
        SerializationError: One of them does not.
    """
    folded: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        if _is_too_long(path, parts) or not _STEPS.isdisjoint(parts) or _UNUSABLE(path):
            raise SerializationError(
                f"the file name {path[:200]!r} cannot be stored", hint="rename it"
            )
        name = path.lower() if path.isascii() else unicodedata.normalize("NFC", path).casefold()
        if name in folded:
            raise SerializationError(f"the file names {folded[name]!r} and {path!r} collide")
        folded[name] = path
    for name, path in folded.items():
        parent = name.rpartition("/")[0]
        while parent:
            if parent in folded:
                raise SerializationError(
                    f"{folded[parent]!r} is both a file and the folder of {path!r}"
                )
            parent = parent.rpartition("/")[0]


def _is_too_long(path: str, parts: Sequence[str]) -> bool:
    if path.isascii() and len(path) <= _LONGEST:
        return False
    try:
        return any(len(part.encode()) > _LONGEST for part in parts) or len(path.encode()) > 1024
    except UnicodeEncodeError:
        return True


def _walk(root: Path, unwanted: Any) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise _unreadable(error.filename, error) from error

    for folder, folders, files in os.walk(root, onerror=refuse):
        base = Path(folder).relative_to(root).as_posix()
        below = "" if base == "." else f"{base}/"
        folders[:] = [name for name in folders if not unwanted.match_file(f"{below}{name}/")]
        # Links to folders are not followed; one that is wanted shall not be missing silently.
        links = [f"{name}/" for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in files + links:
            if not unwanted.match_file(below + name):
                yield below + name


def _status(root: Path, path: str) -> os.stat_result:
    """Return the status of a file, or of the file below the root that a link leads to."""
    # With a slash at its end a link to a folder would be taken for that folder.
    source = os.path.join(root, path.rstrip("/"))
    try:
        status = os.lstat(source)
        if stat.S_ISLNK(status.st_mode):
            if not Path(source).resolve().is_relative_to(root.resolve()):
                raise SerializationError(
                    f"{path} is a link out of {root}", hint="copy what it leads to, or leave it out"
                )
            status = os.stat(source)
    except (FileNotFoundError, NotADirectoryError):
        status = None
    except OSError as error:
        raise _unreadable(source, error) from error
    if status is None or not stat.S_ISREG(status.st_mode):
        raise SerializationError(f"{path} is not a file", hint="leave it out of include=")
    return status


def _read(
    root: Path,
    path: str,
    status: os.stat_result,
    take: Callable[[bytes], object] | None = None,
) -> Entry:
    """Read a file once, and give what is read to a function too."""
    from zstandard import ZstdError

    source, digest, size = os.path.join(root, path), hashlib.sha256(), 0
    try:
        with open(source, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                if take:
                    take(chunk)
            edited = os.fstat(file.fileno()).st_mtime_ns != status.st_mtime_ns
    except PermissionError as error:
        raise _unreadable(source, error) from error
    except (OSError, ZstdError):
        edited = True
    if edited or size != status.st_size:
        raise SerializationError(f"{path} changed while it was being stored", hint="try again")
    return Entry(path, size, digest.hexdigest(), bool(status.st_mode & 0o100))


def _unreadable(source: str, error: OSError) -> SerializationError:
    return SerializationError(f"{source} cannot be read: {error.strerror}")


def _warn(sizes: Mapping[str, int]) -> None:
    secret = [path for path in sizes if any(map(_LIKE_SECRET, path.split("/")))]
    if secret:
        warnings.warn(
            f"these files look like secrets and are stored: {', '.join(secret)}", stacklevel=4
        )
    total = sum(sizes.values())
    if total > _BIG:
        largest = sorted(sizes, key=lambda path: -sizes[path])[:3]
        listed = ", ".join(f"{path} ({sizes[path] >> 20} MiB)" for path in largest)
        warnings.warn(f"{total >> 20} MiB of files are stored; the largest: {listed}", stacklevel=4)
