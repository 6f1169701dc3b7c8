"""What object stores behind an SDK have in common: keys, errors and lost answers."""

from __future__ import annotations

import hashlib
import os
import threading
import urllib.parse
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, cast

from flowhold._secrets import secret
from flowhold.bodies import Download, ObjectStream, Upload, as_file
from flowhold.clients import check_bounds
from flowhold.errors import (
    ConfigurationError,
    FlowholdError,
    ObjectExistsError,
    ObjectNotFoundError,
    PluginLoadError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.rules import Rules, ours
from flowhold.storage.capabilities import Capability
from flowhold.store import (
    SCRATCH,
    ObjectInfo,
    ObjectStore,
    Parts,
    check_key,
    holds,
    iter_parts,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RemoteStore", "Upload"]


class RemoteStore(ObjectStore):
    """An object store in a bucket (or container) of a service.

    A subclass implements the underscored methods, in terms of keys of the bucket, and lets the
    SDK's errors out of them.

    Args:
        bucket: Name of the bucket.
        prefix: Folder in it that holds the objects.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again where that can help.

    Raises:
        ConfigurationError: One of them cannot be.
    """

    rules: ClassVar[Rules] = {}
    """Errors by the SDK's code or by HTTP status, where they differ from what every service has."""
    resumes: ClassVar[bool] = True
    """Whether a download that breaks off is resumed here; False where the SDK does that."""

    credentials_secret: str | None = None
    """Name of a secret with credentials, where there is one."""

    def __init__(
        self, bucket: str, prefix: str = "", *, timeout: float = 30, retries: int = 3
    ) -> None:
        if not isinstance(bucket, str) or not bucket:
            raise ConfigurationError(f"{bucket!r} cannot be a bucket", hint="give its name")
        check_bounds(timeout, retries)
        self.bucket = bucket
        self.prefix = prefix and f"{check_key(prefix.strip('/'))}/"
        self.timeout = timeout
        self.retries = retries
        self._made: tuple[Any, Any, threading.Lock] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": None}

    @property
    def client(self) -> Any:
        """The SDK's client: this process's, and of the credentials that the secret has now.

        It is made anew after an error that its connection may have had.
        """
        return self._connect()[0]

    @contextmanager
    def exclusive_client(self) -> Iterator[Any]:
        """Lend the client to one thread at a time, where it is not made for several."""
        client, lock = self._connect()
        with lock:
            yield client

    def _connect(self) -> tuple[Any, threading.Lock]:
        found = secret(self.credentials_secret) if self.credentials_secret else None
        key, made = (os.getpid(), found), self._made
        if made is None or made[0] != key:
            try:
                made = self._made = key, self._make_client(found), threading.Lock()
            except ImportError as error:
                raise PluginLoadError(
                    f"the SDK for {self.scheme}:// cannot be imported: {error}",
                    storage=self.scheme,
                    hint=f"reinstall the distribution of {type(self).__name__}",
                ) from error
        return made[1], made[2]

    @classmethod
    def from_url(cls, url: str, options: Mapping[str, Any] | None = None) -> Self:
        """Return the store of ``scheme://bucket/prefix``; options as of the constructor."""
        arguments = cls._from_url(url)
        try:
            return cls(*arguments, **(options or {}))
        except TypeError as error:
            raise ConfigurationError(f"wrong options for {cls.scheme}://: {error}") from error

    @classmethod
    def _from_url(cls, url: str) -> tuple[str, ...]:
        """Return the first arguments of the constructor, which are all that a URL says."""
        bucket, _, prefix = url.partition("://")[2].partition("/")
        if not bucket or set("?#@") & set(url):
            # Without the URL, as it is in these that people put credentials.
            raise ConfigurationError(
                "this URL does not name a bucket, or more than that",
                hint=f"write {cls.scheme}://BUCKET/PREFIX, with %40 for @; credentials are found "
                f"elsewhere",
            )
        return bucket, urllib.parse.unquote(prefix.strip("/"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._place('')!r})"

    # What subclasses implement.

    @abstractmethod
    def _make_client(self, secret: str | None) -> Any:
        """Return the client, by :func:`flowhold.clients.shared_client`.

        Args:
            secret: Value of the secret with the credentials, where one is named.
        """

    @abstractmethod
    def _upload(self, upload: Upload) -> ObjectInfo:
        """Write an object in one step, whatever number of requests that takes."""

    @abstractmethod
    def _download(self, path: str, offset: int, etag: str | None) -> tuple[Download, str]:
        """Return an object from an offset on, and its etag; fail if it has not the etag given."""

    @abstractmethod
    def _head(self, path: str) -> ObjectInfo:
        """Return what is known of an object."""

    @abstractmethod
    def _list(self, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        """Yield objects in byte order of their keys, perhaps others than those asked for too."""

    @abstractmethod
    def _delete(self, path: str) -> None:
        """Remove an object."""

    def _codes(self, error: Exception) -> tuple[list[int | str], str] | None:
        """Return the codes of an SDK's error, the most telling first, and its words.

        None: it is no error of the SDK. Here every error is one, and its classes are the codes.
        """
        return [kind.__name__ for kind in type(error).__mro__], str(error)

    # What users call.

    def put(self, key: str, parts: Parts, *, if_absent: bool = False) -> ObjectInfo:
        """Write an object, atomically; see :meth:`flowhold.ObjectStore.put`."""
        path = self._path(key)
        if_absent = if_absent or Capability.OVERWRITE not in self.capabilities
        if if_absent and Capability.CONDITIONAL_CREATE not in self.capabilities:
            raise StorageError(
                f"{self._place('')} cannot create an object only where there is none",
                storage=self.scheme,
                location=key,
                hint="store with overwrite=True, and keep the catalog elsewhere",
            )
        with as_file(parts) as (file, size):
            upload = Upload(path, file, size, if_absent=if_absent)
            try:
                with self._errors(key, of_caller=hasattr(parts, "read")):
                    return self._own(self._upload(upload))
            except (ObjectExistsError, ObjectNotFoundError) as error:
                # The answer to a first try that was carried out may have been lost.
                if upload.retried and holds(self, key, size, _sha256(file)):
                    return self.head(key)
                if isinstance(error, ObjectNotFoundError):
                    raise self._nowhere() from error
                raise

    def open(self, key: str) -> BinaryIO:
        """Return a stream of the object, which is complete or raises."""
        path, etag = self._path(key), None

        def fetch(offset: int) -> Download:
            nonlocal etag
            try:
                with self._errors(key):
                    download, etag = self._download(path, offset, etag)
            except ObjectExistsError as error:
                raise StorageUnavailableError(
                    f"{self._place(key)} was replaced while it was read",
                    storage=self.scheme,
                    location=key,
                    hint="try again",
                ) from error
            download.chunks = self._translated(key, download.chunks)
            return download

        tries = self.retries + 1 if self.resumes else 1
        return cast("BinaryIO", ObjectStream(fetch, self._place(key), tries))

    def head(self, key: str) -> ObjectInfo:
        """Return what is known of the object."""
        path = self._path(key)
        with self._errors(key):
            return self._own(self._head(path))

    def list(self, prefix: str = "", start_after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield the objects, page by page."""
        behind, scratch = (start_after or "").encode(), f"{self.prefix}{SCRATCH}/"
        beginning = self.prefix + prefix
        try:
            with self._errors(prefix):
                for info in self._list(beginning, self.prefix + (start_after or "")):
                    if not info.key.startswith(beginning) or info.key.startswith(scratch):
                        continue
                    own = self._own(info)
                    if own.key.encode() > behind:
                        yield own
        except ObjectNotFoundError as error:
            raise self._nowhere() from error

    def delete(self, key: str) -> None:
        """Remove the object; do nothing where there is none."""
        path = self._path(key)
        try:
            with self._errors(key):
                self._delete(path)
        except ObjectNotFoundError:
            pass

    def _nowhere(self) -> StorageError:
        return StorageError(
            f"there is no bucket {self.scheme}://{self.bucket}, or no such service where it was "
            f"looked for",
            storage=self.scheme,
            hint="check the bucket's name, and the address of the service",
        )

    def _path(self, key: str) -> str:
        return check_key(self.prefix + check_key(key))

    def _place(self, key: str) -> str:
        return f"{self.scheme}://{self.bucket}/{self.prefix}{key}"

    def _own(self, info: ObjectInfo) -> ObjectInfo:
        return ObjectInfo(info.key[len(self.prefix) :], info.size, info.etag, info.modified)

    def _translated(self, key: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        with self._errors(key):
            yield from chunks

    @contextmanager
    def _errors(self, key: str, *, of_caller: bool = False) -> Iterator[None]:
        """Turn errors of the SDK into ours.

        Args:
            key: What is asked for.
            of_caller: Whether a file of the caller's is read, whose errors are the caller's.
        """
        try:
            yield
        except FlowholdError:
            raise
        except Exception as error:
            known = self._codes(error)
            if known is None and isinstance(error, OSError) and (error.filename or not of_caller):
                known = ["file"], str(error)
            if known is None:
                raise
            raised = ours(self.rules, *known, place=self._place(key), key=key)
            if not isinstance(raised, (ObjectExistsError, ObjectNotFoundError)):
                self._made = None  # its connection may have broken
            raise raised from error


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    for part in iter_parts(file):
        digest.update(part)
    return digest.hexdigest()
