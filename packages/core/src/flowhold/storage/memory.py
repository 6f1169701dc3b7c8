"""Flows kept as objects of this process, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from flowhold.errors import FlowNotFoundError
from flowhold.storage.base import Storage
from flowhold.storage.capabilities import Capability
from flowhold.storage.records import Record

if TYPE_CHECKING:
    from flowhold.reference import Reference

__all__ = ["Memory"]


class Memory(Storage):
    """Keeps the flow objects themselves: no bytes, no digest; serialized, it holds no flow."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.STORE, Capability.MANY_FLOWS}
    )

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
        self._kept: dict[str, Any] = {}

    def _add(self, flow: Any) -> Record:
        self._kept[flow.name] = flow
        return Record(flow.name, "memory")

    def discard(self, name: str) -> None:
        """Forget a flow."""
        super().discard(name)
        self._kept.pop(name, None)

    def _load(self, name: str | None, record: Record, *, allow_unverified: bool) -> Any:
        if record.location not in self._kept:
            raise FlowNotFoundError(
                f"the flow {record.location!r} was kept in the memory of another process",
                storage=self.name,
                location=record.location,
                hint="use Local or Bytes storage for flows that travel",
            )
        return self._kept[record.location]

    def _check(self, record: Record) -> str:
        self._load(None, record, allow_unverified=False)
        return f"{record.location} is in memory"

    def references(self) -> list[Reference]:
        """Return nothing: no reference could find the flows from another process."""
        return []

    def serialize(self) -> dict[str, Any]:
        """Return the options; the flows stay in this process."""
        return {**super().serialize(), "flows": {}}
