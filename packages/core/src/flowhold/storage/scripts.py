"""Storages that find scripts or modules where they are, and store nothing themselves."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from flowhold.storage.base import Storage
from flowhold.storage.capabilities import Capability
from flowhold.storage.records import Record

__all__ = ["ScriptStorage"]


class ScriptStorage(Storage):
    """Finds flows in a script or module, perhaps at a revision; always script based.

    A subclass implements :meth:`_locate` and :meth:`_load`.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.SCRIPT, Capability.MANY_FLOWS, Capability.SERIALIZES_FLOWS}
    )

    def __init__(self, **common: Any) -> None:
        super().__init__(**{**common, "stored_as_script": True})

    @abstractmethod
    def _locate(self, flow: Any) -> Record:
        """Return where the flow's script is."""

    def _add(self, flow: Any) -> Record:
        return self._locate(flow)
