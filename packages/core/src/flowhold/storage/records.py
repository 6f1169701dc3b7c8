"""What a storage knows of one of its flows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowhold.reference import Reference

__all__ = ["Record"]


@dataclass
class Record:
    """What a storage knows of one of its flows."""

    location: str
    kind: str
    sha256: str | None = None
    size: int | None = None
    revision: str | None = None
    attribute: str | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    fingerprint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields that say something."""
        return {name: value for name, value in asdict(self).items() if value not in (None, {})}

    def to_reference(self, flow: str, storage: Mapping[str, Any]) -> Reference:
        """Return the reference of the flow; ``storage`` is the serialized storage without flows."""
        from flowhold.reference import Reference

        known = self.to_json()
        attribute = known.pop("attribute", None)
        flows = {flow: {"attribute": attribute} if attribute else {}}
        return Reference(flow=flow, storage={**storage, "flows": flows}, **known)
