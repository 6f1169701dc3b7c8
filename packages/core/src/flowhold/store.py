"""The byte layer under storages, results and catalogs: objects by key."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, ClassVar

from flowhold.errors import (
    ConfigurationError,
    FlowholdError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.storage.capabilities import Capability

__all__ = [
    "SCRATCH",
    "ObjectInfo",
    "ObjectStore",
    "Parts",
    "check_key",
    "holds",
    "iter_parts",
    "open_store",
    "read_object",
]

Parts = bytes | Iterable[bytes | bytearray | memoryview] | BinaryIO
"""Bytes, an iterable of buffers (written one after another), or a seekable binary file."""

CHUNK = 1 << 20
SCRATCH = ".flowhold-tmp"
"""No key begins with this folder: stores may keep what is being written there."""


@dataclass(frozen=True)
class ObjectInfo:
    """What a store knows of an object without reading it."""

    key: str
    size: int
    """In bytes."""
    etag: str | None = None
    """Changes whenever the bytes do; opaque."""
    modified: float | None = None
    """Seconds since the epoch."""


class ObjectStore(ABC):
    """Keeps objects by key. Subclasses implement five methods; everything else is derived.

    Keys are POSIX paths (see :func:`check_key`). A put is atomic: a reader sees the old bytes, the
    new bytes or nothing.
    """

    scheme: ClassVar[str] = ""
    """URL scheme by which catalogs and results name this store."""

    local: ClassVar[bool] = False
    """True where reading is as cheap as a cache would be."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.OVERWRITE,
            Capability.CONDITIONAL_CREATE,
            Capability.LIST,
            Capability.DELETE,
        }
    )

    @classmethod
    @abstractmethod
    def from_url(cls, url: str, options: Mapping[str, Any] | None = None) -> ObjectStore:
        """Return the store of a URL such as ``file:///srv/flows`` or ``s3://bucket/prefix``."""

    @abstractmethod
    def put(self, key: str, parts: Parts, *, if_absent: bool = False) -> ObjectInfo:
        """Write an object, atomically.

        Args:
            key: Where to write it.
            parts: Its bytes.
            if_absent: Write only if there is no object at that key; of several writers one wins.

        Raises:
            ObjectExistsError: ``if_absent`` and an object is there.
        """

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """Return a stream of the object's bytes; raise ObjectNotFoundError where there is none."""

    @abstractmethod
    def head(self, key: str) -> ObjectInfo:
        """Return what is known of the object; raise ObjectNotFoundError where there is none."""

    @abstractmethod
    def list(self, prefix: str = "", start_after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with ``prefix``, in byte order of their keys.

        Args:
            prefix: Beginning of the keys, of any length.
            start_after: Yield only keys that sort behind this one.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object; do nothing where there is none."""

    def get(self, key: str) -> bytes:
        """Return the whole object; raise ObjectNotFoundError where there is none."""
        return read_object(self, key)


@lru_cache(maxsize=1024)
def check_key(key: str) -> str:
    """Return ``key`` if every store can hold it.

    A key has 1 to 1,024 bytes of UTF-8 and is a relative POSIX path: components of at most 255
    bytes, none of them empty, ``.`` or ``..``, without control characters.

    Raises:
        ConfigurationError: It cannot be a key.
    """
    try:
        data = key.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"key {key!r} is not valid Unicode") from None
    parts = data.split(b"/")
    if (
        not 1 <= len(data) <= 1024
        or any(part in (b"", b".", b"..") or len(part) > 255 for part in parts)
        or parts[0] == SCRATCH.encode()
        or re.search(r"[\x00-\x1f\x7f]", key)
    ):
        raise ConfigurationError(
            f"{key[:200]!r} cannot be a key",
            hint="use 1 to 1,024 bytes of printable text: names of at most 255 bytes with '/' "
            "between them, none of them empty, '.' or '..'",
        )
    return key


def read_object(store: ObjectStore, key: str, limit: int | None = None) -> bytes:
    """Return an object's bytes, at most ``limit`` of them.

    Raises:
        ObjectNotFoundError: There is none.
        StorageUnavailableError: Reading broke off.
        StorageError: It does not fit into memory.
    """
    try:
        with store.open(key) as stream:
            return stream.read() if limit is None else stream.read(limit)
    except FlowholdError:
        raise
    except OSError as error:
        raise StorageUnavailableError(f"{key} cannot be read: {error}", location=key) from error
    except MemoryError as error:
        raise StorageError(f"{key} does not fit into memory", location=key) from error


def iter_parts(parts: Parts) -> Iterator[bytes | bytearray | memoryview]:
    """Yield the buffers of ``parts`` one after another, a file in chunks from where it stands."""
    if isinstance(parts, (bytes, bytearray, memoryview)):
        yield parts
    elif hasattr(parts, "read"):
        while chunk := parts.read(CHUNK):
            yield chunk
    else:
        yield from parts


def holds(store: ObjectStore, key: str, size: int, sha256: str) -> bool:
    """Whether the object at a key has these bytes; raise what keeps from telling."""
    import hashlib

    digest = hashlib.sha256()
    try:
        if store.head(key).size != size:
            return False
        with store.open(key) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    except ObjectNotFoundError:
        return False
    return digest.hexdigest() == sha256


def open_store(
    url: str | os.PathLike[str], options: Mapping[str, Any] | None = None
) -> ObjectStore:
    """Return the object store of a URL or local path.

    Args:
        url: ``scheme://…`` with the scheme of an installed plugin, or a path of this machine.
        options: Further arguments of that store, for example ``client_options``.

    Raises:
        PluginNotFoundError: No installed plugin knows the scheme.
    """
    text = os.fspath(url)
    scheme, separator, _ = text.partition("://")
    if not separator:
        scheme, text = "file", os.path.abspath(os.path.expanduser(text))
    from flowhold import plugins

    store: type[ObjectStore] = plugins.object_store_class(scheme.lower())
    return store.from_url(text, options)
