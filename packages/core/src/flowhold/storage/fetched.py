"""Storages that write the bytes of each flow to a location of its own, and fetch them from it."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from typing import Any

from flowhold.errors import IntegrityError, ObjectNotFoundError
from flowhold.parallel import for_each
from flowhold.storage.packed import PackedStorage
from flowhold.storage.records import Record

__all__ = ["FetchedStorage"]


class FetchedStorage(PackedStorage):
    """Writes what was packed, flow by flow, and fetches it by its digest, through the cache.

    A subclass implements :meth:`_write`, :meth:`_fetch` and :meth:`_free_location`.
    """

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
