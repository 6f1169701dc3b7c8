"""Flows kept as bytes inside the serialized storage itself."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, BinaryIO, ClassVar

from flowhold.errors import ConfigurationError, ObjectExistsError, ObjectNotFoundError
from flowhold.storage.objects import ObjectStorage
from flowhold.store import ObjectInfo, ObjectStore, Parts, iter_parts

__all__ = ["Bytes", "DictStore"]


_lock = threading.Lock()


class DictStore(ObjectStore):
    """Objects in a dictionary of this process."""

    local: ClassVar[bool] = True

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    @classmethod
    def from_url(cls, url: str, options: Mapping[str, Any] | None = None) -> DictStore:
        """Refuse: no URL names a dictionary."""
        raise ConfigurationError(f"{url!r} names nothing another process could open")

    def put(self, key: str, parts: Parts, *, if_absent: bool = False) -> ObjectInfo:
        """Keep the bytes."""
        data = b"".join(iter_parts(parts))
        with _lock:
            if if_absent and key in self.objects:
                raise ObjectExistsError(f"{key} exists already", location=key)
            self.objects[key] = data
        return self.head(key)

    def open(self, key: str) -> BinaryIO:
        """Return a stream of the bytes."""
        data = self.objects.get(key)
        if data is None:
            raise ObjectNotFoundError(f"there is no object {key!r}", location=key)
        return io.BytesIO(data)

    def head(self, key: str) -> ObjectInfo:
        """Return the size of the bytes."""
        with self.open(key) as stream:
            data = stream.read()
        return ObjectInfo(key, len(data), hashlib.sha256(data).hexdigest())

    def list(self, prefix: str = "", start_after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield the objects in byte order of their keys."""
        for key in sorted(self.objects, key=str.encode):
            if key.startswith(prefix) and key.encode() > (start_after or "").encode():
                # What was deleted meanwhile is not listed.
                with suppress(ObjectNotFoundError):
                    yield self.head(key)

    def delete(self, key: str) -> None:
        """Forget the object."""
        self.objects.pop(key, None)


class Bytes(ObjectStorage):
    """Keeps the stored bytes in itself; ``serialize()`` carries them, base64-encoded.

    The location of a flow is its name. For small flows that travel with their reference.
    """

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
        self._objects: dict[str, bytes] = {}

    def open_store(self) -> ObjectStore:
        """Return the store of this storage's own dictionary."""
        return DictStore(self._objects)

    def _restore(self, document: Mapping[str, Any]) -> None:
        super()._restore(document)
        try:
            for name, text in (document.get("objects") or {}).items():
                self._objects[str(name)] = base64.b64decode(text, validate=True)
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"the bytes of this Bytes storage are damaged: {error}"
            ) from error

    def discard(self, name: str) -> None:
        """Forget a flow and its bytes."""
        super().discard(name)
        self._objects.pop(name, None)

    def _free_location(self, name: str, sha256: str) -> str:
        return name

    def _carried(self, names: Iterable[str]) -> dict[str, Any]:
        self._build()
        objects = {name: base64.b64encode(self._objects[name]).decode() for name in names}
        return {"objects": objects}
