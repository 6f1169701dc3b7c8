"""Objects as files of any file system that fsspec knows."""

from __future__ import annotations

import shutil
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from flowhold import ObjectInfo
from flowhold.bodies import Download
from flowhold.clients import check_options, secret_mapping
from flowhold.errors import ConfigurationError, StorageError
from flowhold.remote import RemoteStore, Upload
from flowhold.rules import COMMON, PYTHON, Rules
from flowhold.store import SCRATCH
from flowhold_storage_fsspec.protocols import create, lacking, replace


class FsspecStore(RemoteStore):
    """Keeps each object as a file below a URL of fsspec; one call runs at a time.

    Args:
        url: Folder of the objects, such as ``sftp://host/srv/flows``, without credentials.
        storage_options: What fsspec takes for the protocol, without credentials.
        credentials_secret: Name of a secret with further options: a JSON object.
    """

    scheme = "fsspec"
    resumes = False  # an object is read at once, or not at all
    rules: ClassVar[Rules] = {
        **PYTHON,
        **dict.fromkeys(("AuthenticationException", "LogonFailure"), COMMON[403]),
        **dict.fromkeys(("SSHException", "SMBException"), PYTHON["ConnectionError"]),
    }

    def __init__(
        self,
        url: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        credentials_secret: str | None = None,
    ) -> None:
        rest = url.partition("://")[2]
        if not rest or "::" in url or "\0" in url or ":" in rest.rpartition("@")[0]:
            raise ConfigurationError(  # without the URL, in which people put passwords
                "this URL does not name a folder, or more than that",
                hint="write PROTOCOL://HOST/FOLDER; passwords go into the credentials_secret",
            )
        super().__init__(url.rstrip("/"))
        self.url, self.credentials_secret = url, credentials_secret
        self.storage_options = check_options("storage_options", storage_options)
        self.capabilities -= lacking(url)  # type: ignore[misc]

    @classmethod
    def _from_url(cls, url: str) -> tuple[str, ...]:
        return (url.removeprefix("fsspec://"),)

    def _make_client(self, secret: str | None) -> Any:
        import fsspec

        options = secret_mapping(self.credentials_secret or "", secret) if secret else {}
        options = {**self.storage_options, **options, "skip_instance_cache": True}
        fs, root = fsspec.url_to_fs(self.url, **options)
        if "sftp" in fs.protocol:  # small requests shall not wait for each other's receipts
            fs.client.get_transport().sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return fs, root.rstrip("/")

    def _upload(self, upload: Upload) -> ObjectInfo:
        with self.exclusive_client() as (fs, root):
            written, name = f"{root}/{SCRATCH}/{uuid.uuid4().hex}", f"{root}/{upload.path}"
            _insist(fs.makedirs, f"{root}/{SCRATCH}", exist_ok=True)
            try:
                with fs.open(written, "wb") as file:
                    shutil.copyfileobj(upload.file, file, 1 << 20)
                _insist(_publish, fs, create if upload.if_absent else replace, written, name)
            finally:
                with suppress(FileNotFoundError):
                    fs.rm_file(written)
        return ObjectInfo(upload.path, upload.size)

    def _download(self, path: str, offset: int, etag: str | None) -> tuple[Download, str]:
        with self.exclusive_client() as (fs, root):
            try:
                data = fs.cat_file(f"{root}/{path}")[offset:]
            except OSError:
                _size(fs, f"{root}/{path}")  # says more clearly that it is a folder
                raise
        return Download(len(data), iter([data]), lambda: None), ""

    def _head(self, path: str) -> ObjectInfo:
        with self.exclusive_client() as (fs, root):
            return ObjectInfo(path, _size(fs, f"{root}/{path}"))

    def _list(self, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        with self.exclusive_client() as (fs, root):
            fs.invalidate_cache()
            folder = f"{root}/{prefix}".rpartition("/")[0]
            found = fs.find(folder, detail=True, on_error=_raise_unless_gone)
        for name in sorted(found, key=str.encode):
            yield ObjectInfo(name[len(root) + 1 :], found[name]["size"])

    def _delete(self, path: str) -> None:
        with self.exclusive_client() as (fs, root):
            _size(fs, f"{root}/{path}")
            fs.rm_file(f"{root}/{path}")
            with suppress(OSError):
                while path := path.rpartition("/")[0]:
                    fs.rmdir(f"{root}/{path}")  # until one is not empty


def _raise_unless_gone(error: Exception) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def _size(fs: Any, path: str) -> int:
    info = fs.info(path)
    if info["type"] == "directory":  # which is no object
        raise IsADirectoryError(path)
    return int(info["size"])


def _publish(fs: Any, step: Callable[[Any, str, str], object], written: str, name: str) -> None:
    fs.makedirs(name.rpartition("/")[0], exist_ok=True)
    if fs.isdir(name):
        raise StorageError(f"{name} is the folder of other objects")
    step(fs, written, name)


def _insist(action: Callable[..., object], *args: Any, **options: Any) -> None:
    for left in range(9, -1, -1):
        try:
            action(*args, **options)
            return
        except OSError as error:  # others may make and remove the same folders meanwhile
            if not left or isinstance(error, (FileExistsError, PermissionError)):
                raise
