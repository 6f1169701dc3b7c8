"""Objects as files below one folder of this machine."""

from __future__ import annotations

import errno
import os
import stat
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowholdError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
)
from flowhold.store import SCRATCH, ObjectInfo, ObjectStore, Parts, check_key, iter_parts
from flowhold.writing import AT_ONCE, pieces, unused_name

__all__ = ["FileStore"]

_SCRATCH_SECONDS = 24 * 3600
_TRIES = 100
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


class FileStore(ObjectStore):
    """Keeps each object as a file; what a put returns from is on the disk (fsync).

    Args:
        root: Folder that holds the objects; made when first written to.
    """

    scheme: ClassVar[str] = "file"
    local: ClassVar[bool] = True

    def __init__(self, root: str | os.PathLike[str]) -> None:
        try:
            usable = b"\0" not in os.fsencode(root)
        except UnicodeEncodeError:
            usable = False
        if not usable:
            raise ConfigurationError(f"{os.fspath(root)[:200]!r} cannot be the name of a folder")
        self.root = Path(root)
        self._swept = False

    @classmethod
    def from_url(cls, url: str, options: Mapping[str, Any] | None = None) -> FileStore:
        """Return the store of a ``file:///absolute/path`` URL or of a plain path."""
        if options:
            raise ConfigurationError(f"a file store takes no options, got {', '.join(options)}")
        if url[:7].lower() != "file://":
            return cls(url)
        host, slash, path = url[7:].partition("/")
        if host not in ("", "localhost") or not slash or set("?#") & set(url):
            raise ConfigurationError(
                f"{url!r} does not name a folder of this machine",
                hint="write file:///absolute/path, with %3F for ? and %23 for #",
            )
        return cls(urllib.parse.unquote(slash + path))

    def __repr__(self) -> str:
        return f"FileStore({str(self.root)!r})"

    def put(self, key: str, parts: Parts, *, if_absent: bool = False) -> ObjectInfo:
        """Write an object to a temporary file, then publish it under its key in one step."""
        target = self._path(key)
        with self._errors(key):
            temporary = os.path.join(self._scratch(), unused_name())
            try:
                with open(temporary, "xb", AT_ONCE) as file:
                    for part in iter_parts(parts):
                        for piece in pieces(part):
                            file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
                    status = os.fstat(file.fileno())
                self._publish(temporary, target, if_absent=if_absent)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary)
        return _info(key, status)

    def open(self, key: str) -> BinaryIO:
        """Open the object's file for reading."""
        with self._errors(key):
            return open(self._path(key), "rb")

    def head(self, key: str) -> ObjectInfo:
        """Return size and time of the object's file."""
        with self._errors(key):
            status = os.stat(path := self._path(key))
            if stat.S_ISDIR(status.st_mode):
                raise FileNotFoundError(errno.ENOENT, "is a folder", path)
            return _info(key, status)

    def list(self, prefix: str = "", start_after: str | None = None) -> Iterator[ObjectInfo]:
        """Walk the folder in byte order of the keys, one folder in memory at a time."""
        folder = prefix.rpartition("/")[0]
        if folder:
            try:
                self._path(folder)
            except ConfigurationError:
                return
        yield from self._walk(f"{folder}/" if folder else "", prefix, start_after or "")

    def delete(self, key: str) -> None:
        """Remove the object's file and the folders that it leaves empty."""
        path = self._path(key)
        with self._errors(key), suppress(FileNotFoundError, NotADirectoryError):
            if not os.path.isdir(path):
                os.unlink(path)
        with suppress(OSError):
            for folder in Path(path).parents:
                if folder == self.root:
                    break
                folder.rmdir()

    def _path(self, key: str) -> str:
        return os.path.join(self.root, check_key(key))

    def _scratch(self) -> str:
        """Return the folder of temporary files, rid of what writers that died left there."""
        scratch = os.path.join(self.root, SCRATCH)
        try:
            _make_folder(scratch)
        except FileExistsError as error:
            # A file, or a link to nowhere as of a disk that is not mounted: no key's object.
            raise StorageError(
                f"{error.filename} is not a folder", hint="check the path"
            ) from error
        if not self._swept:
            self._swept = True
            oldest = time.time() - _SCRATCH_SECONDS
            with os.scandir(scratch) as entries:
                for left in entries:
                    with suppress(OSError):
                        if not left.name.endswith(".lock") and left.stat().st_mtime < oldest:
                            os.unlink(left)
        return scratch

    def _publish(self, temporary: str, target: str, *, if_absent: bool) -> None:
        parent = os.path.dirname(target)
        while True:
            self._make_parent(parent)
            try:
                if not if_absent:
                    os.replace(temporary, target)
                elif os.name == "nt":
                    os.rename(temporary, target)
                else:
                    self._link(temporary, target)
                break
            except FileNotFoundError:
                # A concurrent delete took the empty folder away; if the file is gone, it is an
                # error.
                if not os.path.exists(temporary):
                    raise
            except IsADirectoryError as error:
                raise StorageError(f"{target} is the folder of other objects") from error
        if os.name != "nt":
            # Where the folder is gone, a concurrent delete took the object.
            with suppress(FileNotFoundError):
                folder = os.open(parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    @staticmethod
    def _make_parent(folder: str) -> None:
        for _ in range(_TRIES):
            try:
                return _make_folder(folder)
            except (FileExistsError, FileNotFoundError):
                # A concurrent delete took it, or one above it, away between two steps.
                if os.path.isfile(folder):
                    break
            except NotADirectoryError:
                break
        raise StorageError(f"the folder {folder} cannot be made: an object or file is in the way")

    def _link(self, temporary: str, target: str) -> None:
        try:
            os.link(temporary, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            from filelock import FileLock

            with FileLock(self.root / SCRATCH / "publish.lock"):
                if os.path.exists(target):
                    raise FileExistsError(errno.EEXIST, "exists", target) from None
                os.replace(temporary, target)

    def _walk(self, base: str, prefix: str, after: str) -> Iterator[ObjectInfo]:
        try:
            with self._errors(base.rstrip("/")), os.scandir(self.root / base) as entries:
                names = sorted(
                    f"{entry.name}/" if entry.is_dir() else entry.name
                    for entry in entries
                    if base or entry.name != SCRATCH
                )
        except StorageError as error:
            if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                return
            raise
        with self._errors(base.rstrip("/")):
            for name in names:
                key = base + name
                if key.endswith("/"):
                    wanted = key.startswith(prefix) or prefix.startswith(key)
                    if wanted and (key > after or after.startswith(key)):
                        yield from self._walk(key, prefix, after)
                elif key.startswith(prefix) and key > after:
                    # What vanished since the folder was read is not listed.
                    with suppress(FileNotFoundError):
                        yield _info(key, os.stat(self.root / key))

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FlowholdError:
            raise
        except OSError as error:
            raise self._translated(error, key) from error

    def _translated(self, error: OSError, key: str) -> StorageError:
        where = str(self.root / key)
        if isinstance(error, FileExistsError):
            return ObjectExistsError(f"{where} exists already", location=key)
        if isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError)):
            return ObjectNotFoundError(f"there is no file {where}", location=key)
        if isinstance(error, PermissionError):
            return AccessDeniedError(
                f"no permission for {error.filename or where}",
                location=key,
                hint="check who owns the folder, or choose another one",
            )
        return StorageError(f"{where}: {error.strerror or error}", location=key)


def _make_folder(folder: str) -> None:
    """Make a folder, and those above it, unless it is there."""
    try:
        os.mkdir(folder)
    except FileNotFoundError:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError:
        # Systems give one reason or another where it is there, as for the root of a drive.
        if not os.path.isdir(folder):
            raise


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    # The clock of a file system is coarse: what tells two quick puts apart is the inode.
    etag = f"{status.st_mtime_ns:x}-{status.st_ino:x}-{status.st_size:x}"
    return ObjectInfo(key, status.st_size, etag, status.st_mtime)
