"""Storages that keep flows as bytes: pickles, scripts and bundles, wherever the bytes are."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from flowhold import project
from flowhold.errors import StorageError, UnverifiedError
from flowhold.storage.base import Storage
from flowhold.storage.keys import file_name
from flowhold.storage.records import Record, check_new
from flowhold.unpacking import flow_from_bytes, kind_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from flowhold.packing import Packing, Payload

__all__ = ["PackedStorage"]


class PackedStorage(Storage):
    """Packs each flow into bytes that have a digest, and loads it from them.

    A subclass implements :meth:`_read`, :meth:`_free_location`, and the rest of
    :class:`~flowhold.Storage`; what was added and is not stored yet is in ``_pending``.

    Args:
        local_script_path: The script to store with ``stored_as_script``; default: the one being
            registered.
        include: Patterns (as in a .gitignore, relative to the script's folder) of files to store
            with the flow.
        pickle_modules: Modules to pickle by value, besides those beside the script.
        **common: See :class:`~flowhold.Storage`.
    """

    not_serialized: ClassVar[frozenset[str]] = frozenset({"local_script_path"})

    def __init__(
        self,
        *,
        local_script_path: str | None = None,
        include: Sequence[str] | None = None,
        pickle_modules: Sequence[str | ModuleType] | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.local_script_path = local_script_path
        self.include = [include] if isinstance(include, str) else include and list(include)
        modules = [pickle_modules] if isinstance(pickle_modules, str) else pickle_modules or ()
        names = [module if isinstance(module, str) else module.__name__ for module in modules]
        self.pickle_modules = names or None
        self._pending: dict[str, Payload] = {}

    @abstractmethod
    def _read(self, record: Record) -> bytes:
        """Return the bytes at a record, from where they are, checked by its digest if it has one.

        Raises:
            IntegrityError: They are not the bytes that were recorded.
        """

    @abstractmethod
    def _free_location(self, name: str, sha256: str) -> str:
        """Return a location for a flow that no other flow of the storage has."""

    def _is_near(self, record: Record) -> bool:
        """Whether reading is as cheap as a cache would be."""
        return False

    def read(self, record: Record, *, pending: str | None = None) -> bytes:
        """Return the bytes at a record, perhaps cached ones, checked by its digest if it has one.

        Args:
            record: What is recorded of a flow.
            pending: Name of a flow that may not be stored yet.

        Raises:
            IntegrityError: They are not the bytes that were recorded.
        """
        if pending in self._pending:
            return b"".join(self._pending[pending].parts)
        if record.sha256 is None or self._is_near(record):
            return self._read(record)
        from flowhold import cache

        return cache.object_of(record.sha256, lambda: self._read(record))

    def original(self, name: str) -> tuple[bytes, Record] | None:
        """Return the bytes of a flow, verified, and the record of them as an object of their kind.

        None where no digest of them is recorded. Raises as reading does.
        """
        record = self._records[name]
        if record.sha256 is None:
            return None
        data = self.read(record)
        return data, replace(record, kind=self._kind(record, data), revision=None)

    def adopt(self, name: str, data: bytes, record: Record) -> str:
        """Add a flow as another storage holds it, to be written by :meth:`build` byte for byte.

        ``data`` and ``record`` are what :meth:`original` of the other storage returned. Raises
        as :meth:`add_flow` does, and StorageError where objects of that kind are not kept.
        """
        check_new(self._records, name, self.name)
        if record.kind not in {power.value for power in self.capabilities}:
            raise StorageError(f"{self.name} storage keeps no {record.kind}", storage=self.name)
        from flowhold.packing import Payload

        payload = Payload(record.kind, [data], record.environment)
        location = self._free_location(name, payload.sha256)
        self._records[name] = replace(
            record, location=location, sha256=payload.sha256, size=payload.size
        )
        self._pending[name] = payload
        return location

    def emptied(self) -> Self:
        """Return a storage like this one, without flows."""
        storage = copy.copy(self)
        storage._records, storage._pending = {}, {}
        return storage

    def discard(self, name: str) -> None:
        """Forget a flow; what is stored of it stays where it is."""
        super().discard(name)
        self._pending.pop(name, None)

    def fingerprint(self, flow: Any) -> str | None:
        """Return a hash of what would be stored for a flow; None where nothing would be."""
        return self._packing().fingerprint(flow) if self._stores() else None

    def _script(self) -> Path | None:
        """Return the script to store, or whose files to store with a pickle."""
        if self.local_script_path is not None:
            return Path(self.local_script_path)
        return project.registered_script() or project.main_script()

    def _stores(self) -> bool:
        """Whether adding a flow stores bytes, and does not refer to a script that is there."""
        return (
            not self.stored_as_script
            or bool(self.local_script_path)
            or self.include is not None
            or project.registered_script() is not None
        )

    def _packing(self) -> Packing:
        from flowhold.packing import Packing

        return Packing(
            self._script(), self.stored_as_script, self.include, tuple(self.pickle_modules or ())
        )

    def _bare(self, location: str, *, allow_unverified: bool) -> Record | None:
        if allow_unverified or self.stored_as_script:
            return Record(location, "script" if self.stored_as_script else "")
        return None

    def _load(self, name: str | None, record: Record, *, allow_unverified: bool) -> Any:
        data, kind, file = self._contents(name, record)
        if record.sha256 is None and kind != "script" and not allow_unverified:
            raise UnverifiedError(
                f"nothing is recorded to check {record.location} by, so it is not run",
                storage=self.name,
                location=record.location,
                hint="load it by a reference, or with allow_unverified=True if you trust it",
            )
        return flow_from_bytes(
            data,
            kind,
            name=name,
            attribute=record.attribute,
            file=file,
            recorded=record.environment,
        )

    def _contents(self, name: str | None, record: Record) -> tuple[bytes, str, str]:
        """Return the bytes at a record, what they are, and the name of a script's file."""
        data = self.read(record, pending=name)
        kind = self._kind(record, data)
        return data, kind, file_name(record.location, name) if kind == "script" else ""

    def _kind(self, record: Record, data: bytes) -> str:
        """Return whether bytes are a ``pickle``, ``bundle`` or ``script``, by what is recorded."""
        kind = record.kind or kind_of(data)
        if record.sha256 is None and kind == "script" and kind_of(data) == "bundle":
            kind = "bundle"
        return kind

    def _extract(self, name: str | None, record: Record, folder: Path) -> None:
        from flowhold.contents import extract

        extract(*self._contents(name, record), folder)
