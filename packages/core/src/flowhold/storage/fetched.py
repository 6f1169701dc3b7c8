"""Storages that write the bytes of each flow to a location of its own, and fetch them from it."""

from __future__ import annotations

import copy
import hashlib
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowhold.errors import IntegrityError, ObjectNotFoundError, StorageError
from flowhold.parallel import for_each
from flowhold.storage.packed import PackedStorage
from flowhold.storage.records import Record, check_new

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FetchedStorage"]


class FetchedStorage(PackedStorage):
    """Writes what was packed, flow by flow, and fetches it by its digest, through the cache.

    A subclass implements :meth:`_free_location`, :meth:`_write` and :meth:`_fetch`.
    """

    @abstractmethod
    def _free_location(self, name: str, sha256: str) -> str:
        """Return a location for a flow that no other flow of the storage has."""

    @abstractmethod
    def _write(self, name: str) -> None:
        """Write what is pending of a flow, and forget that it is."""

    @abstractmethod
    def _fetch(self, record: Record, limit: int | None) -> bytes:
        """Return the bytes at a record as they are there, at most ``limit`` of them."""

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

    def _read(self, record: Record) -> bytes:
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
