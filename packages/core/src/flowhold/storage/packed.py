"""Storages that keep each flow as bytes of their own: a pickle, a script or a bundle."""

from __future__ import annotations

import copy
import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flowhold.errors import IntegrityError, ObjectNotFoundError, StorageError, UnverifiedError
from flowhold.parallel import for_each
from flowhold.storage.base import Storage
from flowhold.storage.keys import file_name
from flowhold.storage.records import Record, check_new
from flowhold.unpacking import flow_from_bytes, kind_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from flowhold.packing import Packing, Payload

__all__ = ["PackedStorage"]


class PackedStorage(Storage):
    """Packs flows into bytes, has them written, and runs none that are not as recorded.

    A subclass names its options and implements :meth:`_script`, :meth:`_free_location`,
    :meth:`_write` and :meth:`_fetch`.

    Args:
        include: Patterns (as in a .gitignore, relative to the script's folder) of files to store
            with the flow.
        pickle_modules: Modules to pickle by value, besides those beside the script.
        **common: See :class:`~flowhold.Storage`.
    """

    def __init__(
        self,
        *,
        include: Sequence[str] | None = None,
        pickle_modules: Sequence[str | ModuleType] | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.include = [include] if isinstance(include, str) else include and list(include)
        modules = [pickle_modules] if isinstance(pickle_modules, str) else pickle_modules or ()
        names = [module if isinstance(module, str) else module.__name__ for module in modules]
        self.pickle_modules = names or None
        self._pending: dict[str, Payload] = {}

    @abstractmethod
    def _script(self) -> Path | None:
        """Return the script to store, or whose files to store with a pickle."""

    @abstractmethod
    def _free_location(self, name: str, sha256: str) -> str:
        """Return a location for a flow that no other flow of the storage has."""

    @abstractmethod
    def _write(self, name: str) -> None:
        """Write what is pending of a flow, and forget that it is."""

    @abstractmethod
    def _fetch(self, record: Record, limit: int | None) -> bytes:
        """Return the bytes at a record as they are there, at most ``limit`` of them."""

    def _is_near(self, record: Record) -> bool:
        """Whether reading is as cheap as a cache would be."""
        return False

    def discard(self, name: str) -> None:
        """Forget a flow; what is stored of it stays where it is."""
        super().discard(name)
        self._pending.pop(name, None)

    def fingerprint(self, flow: Any) -> str | None:
        """Return a hash of what would be stored for a flow."""
        return self._packing().fingerprint(flow)

    def _packing(self) -> Packing:
        from flowhold.packing import Packing

        return Packing(
            self._script(), self.stored_as_script, self.include, tuple(self.pickle_modules or ())
        )

    def _add(self, flow: Any) -> Record:
        payload = self._packing().pack(flow)
        record = Record(
            self._free_location(flow.name, payload.sha256),
            payload.kind,
            payload.sha256,
            payload.size,
            environment=payload.environment,
        )
        self._pending[flow.name] = payload
        return record

    def _build(self) -> None:
        for_each(self._write, list(self._pending), f"Storing flows in {self.name}")

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
        kind = record.kind or kind_of(data)
        if record.sha256 is None and kind == "script" and kind_of(data) == "bundle":
            kind = "bundle"
        return data, kind, file_name(record.location, name) if kind == "script" else ""

    def _extract(self, name: str | None, record: Record, folder: Path) -> None:
        from flowhold.contents import extract

        extract(*self._contents(name, record), folder)

    def adopt(self, name: str, data: bytes, record: Record) -> str:
        """Add a flow as another storage holds it, to be written by :meth:`build` byte for byte.

        ``data`` is the whole object, verified; ``record`` what the other storage knows. Raises
        as :meth:`add_flow` does, and StorageError where objects of that kind are not kept.
        """
        check_new(self._records, name, self.name)
        if record.kind not in {power.value for power in self.capabilities}:
            raise StorageError(f"{self.name} storage keeps no {record.kind}", storage=self.name)
        from flowhold.packing import Payload

        payload = Payload(record.kind, [data], record.environment)
        location = self._free_location(name, payload.sha256)
        self._records[name] = replace(
            record, location=location, sha256=payload.sha256, size=payload.size, revision=None
        )
        self._pending[name] = payload
        return location

    def emptied(self) -> Self:
        """Return a storage like this one, without flows."""
        storage = copy.copy(self)
        storage._records, storage._pending = {}, {}
        return storage

    def read(self, record: Record, *, pending: str | None = None) -> bytes:
        """Return the bytes at a record, checked by its digest where it has one.

        Raises:
            IntegrityError: They are not the bytes that were recorded.
        """
        if pending in self._pending:
            return b"".join(self._pending[pending].parts)
        if record.sha256 is None or self._is_near(record):
            return self._read(record)
        from flowhold import cache

        return cache.object_of(record.sha256, lambda: self._read(record))

    def _read(self, record: Record) -> bytes:
        """Do the same as :meth:`read` past the cache."""
        # One byte more than recorded tells a longer object; the digest tells the rest.
        limit = None if record.size is None else record.size + 1
        try:
            data = self._fetch(record, limit)
        except ObjectNotFoundError as error:
            error.hint = error.hint or "restore it, or store it anew: `flowhold register --force`"
            raise
        if record.sha256 is not None and hashlib.sha256(data).hexdigest() != record.sha256:
            raise IntegrityError(
                f"the object at {record.location} is not the one that was recorded; nothing of it "
                f"was run",
                storage=self.name,
                location=record.location,
                hint="find out who changed it; `flowhold register --force` stores the flow anew",
            )
        return data

    def _check(self, record: Record) -> str:
        data = self._read(record)
        state = "floating" if record.sha256 is None else "sha256 as recorded"
        return f"{record.location}: {len(data):,} bytes, {state}"
