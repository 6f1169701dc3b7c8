"""The files that travel with a flow: chosen by patterns, packed reproducibly, unpacked safely."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowhold import settings
from flowhold.errors import ConfigurationError, IntegrityError, SerializationError

__all__ = ["Entry", "collect", "pack", "read_entries", "unpack"]

NEVER = ["__pycache__/", "*.pyc", ".git", ".venv"]
_SECRET = [".env*", "*.pem", "*.key", "*.p12", "*.pfx", "id_rsa*", "id_ed25519*", "id_ecdsa*"]
_SECRET += [".netrc", ".npmrc", ".pypirc", "credentials*", "secrets.*"]
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
    """Return the files to store, sorted by path.

    Args:
        root: Folder to which paths and patterns are relative; ``.flowholdignore`` in it is
            respected.
        include: Patterns as in a ``.gitignore``, here saying what is taken.
        always: Paths to take in any case.

    Raises:
        ConfigurationError: A pattern is malformed, or takes no file that is there.
        SerializationError: A file cannot be read or its name cannot be stored.
    """
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
    entries = [_entry(root, path) for path in paths]
    check_paths(paths)
    _warn(entries)
    return entries


def pack(root: Path, entries: Sequence[Entry]) -> list[bytes]:
    """Return the files' bytes as one zstd frame, in buffers.

    Raises:
        SerializationError: A file changed since it was collected.
    """
    from zstandard import ZstdCompressor, ZstdError

    compressor = ZstdCompressor(level=3).compressobj(size=sum(entry.size for entry in entries))
    parts = []
    for entry in entries:
        digest = hashlib.sha256()
        try:
            with open(os.path.join(root, entry.path), "rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    parts.append(compressor.compress(chunk))
        except (OSError, ZstdError):
            digest = hashlib.sha256(b"gone, or larger than it was")
        if digest.hexdigest() != entry.sha256:
            raise SerializationError(
                f"{entry.path} changed while it was being stored", hint="try again"
            )
    return [part for part in [*parts, compressor.flush()] if part]


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
        made = set()
        for entry in entries:
            # There can be thousands, so without the cost of a Path for each.
            target = os.path.join(folder, entry.path)
            if (parent := os.path.dirname(target)) not in made:
                os.makedirs(parent, exist_ok=True, mode=0o700)
                made.add(parent)
            digest, left = hashlib.sha256(), entry.size
            with open(target, "xb") as file:
                while left and (chunk := stream.read(min(left, _CHUNK))):
                    digest.update(chunk)
                    file.write(chunk)
                    left -= len(chunk)
            if left or digest.hexdigest() != entry.sha256:
                raise IntegrityError(
                    f"{entry.path} in this stored flow is not what its header says"
                )
            os.chmod(target, 0o500 if entry.executable else 0o400)
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
        try:
            too_long = any(len(part.encode()) > 255 for part in parts) or len(path.encode()) > 1024
        except UnicodeEncodeError:
            too_long = True
        bad_part = any(part in ("", ".", "..") for part in parts)
        if too_long or bad_part or "\\" in path or any(ord(char) < 32 for char in path):
            raise SerializationError(
                f"the file name {path[:200]!r} cannot be stored", hint="rename it"
            )
        name = unicodedata.normalize("NFC", path).casefold()
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


def _walk(root: Path, unwanted: Any) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise SerializationError(f"{error.filename} cannot be read: {error.strerror}") from error

    for folder, folders, files in os.walk(root, onerror=refuse):
        base = Path(folder).relative_to(root).as_posix()
        below = "" if base == "." else f"{base}/"
        folders[:] = [name for name in folders if not unwanted.match_file(f"{below}{name}/")]
        # Links to folders are not followed; one that is wanted shall not be missing silently.
        links = [f"{name}/" for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in files + links:
            if not unwanted.match_file(below + name):
                yield below + name


def _entry(root: Path, path: str) -> Entry:
    source = root / path
    if source.is_symlink() and not source.resolve().is_relative_to(root.resolve()):
        raise SerializationError(
            f"{path} is a link out of {root}", hint="copy what it leads to, or leave it out"
        )
    if not source.is_file():
        raise SerializationError(f"{path} is not a file", hint="leave it out of include=")
    digest = hashlib.sha256()
    try:
        with open(source, "rb") as file:
            status = os.fstat(file.fileno())
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            size = file.tell()
    except OSError as error:
        raise SerializationError(f"{source} cannot be read: {error.strerror}") from error
    return Entry(path, size, digest.hexdigest(), bool(status.st_mode & 0o100))


def _warn(entries: Sequence[Entry]) -> None:
    from pathspec import GitIgnoreSpec

    secret = list(GitIgnoreSpec.from_lines(_SECRET).match_files(entry.path for entry in entries))
    if secret:
        warnings.warn(
            f"these files look like secrets and are stored: {', '.join(secret)}", stacklevel=4
        )
    total = sum(entry.size for entry in entries)
    if total > _BIG:
        largest = sorted(entries, key=lambda entry: -entry.size)[:3]
        listed = ", ".join(f"{entry.path} ({entry.size >> 20} MiB)" for entry in largest)
        warnings.warn(f"{total >> 20} MiB of files are stored; the largest: {listed}", stacklevel=4)
