"""What a storage knows of one of its flows."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowhold.errors import DuplicateFlowError, FlowNotFoundError, IntegrityError
from flowhold.storage.capabilities import Capability

if TYPE_CHECKING:
    from flowhold.reference import Reference

__all__ = ["Record", "check_new", "check_pin", "not_found", "pick"]


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
        return {name: value for name, value in vars(self).items() if value not in (None, {})}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Record:
        """Return the record of these fields; raise TypeError or ValueError if it is none."""
        record = cls(**document)
        texts = (record.location, record.kind, record.sha256, record.revision, record.attribute)
        if None in texts[:2] or not all(text is None or isinstance(text, str) for text in texts):
            raise ValueError("a location, kind, digest, revision or attribute is not text")
        return record

    def to_reference(self, flow: str, storage: Mapping[str, Any]) -> Reference:
        """Return the reference of the flow; ``storage`` is the serialized storage without flows."""
        from flowhold.reference import Reference

        known = self.to_json()
        attribute = known.pop("attribute", None)
        flows = {flow: {"attribute": attribute} if attribute else {}}
        return Reference(flow=flow, storage={**storage, "flows": flows}, **known)


def check_new(records: Mapping[str, Record], name: str, storage: str) -> None:
    """Raise DuplicateFlowError if there is a flow of that name."""
    if name in records:
        raise DuplicateFlowError(
            f'Name conflict: Flow with the name "{name}" is already present in this storage.',
            storage=storage,
        )


def pick(records: Mapping[str, Record], wanted: str | None) -> tuple[str, Record] | None:
    """Return name and record of the flow of a name or location, for None of the only one."""
    if wanted is None and len(records) == 1:
        return next(iter(records.items()))
    if wanted is not None and wanted in records:
        return wanted, records[wanted]
    return next((item for item in records.items() if item[1].location == wanted), None)


def not_found(records: Mapping[str, Record], wanted: str | None, storage: str) -> FlowNotFoundError:
    """Return the error that says which flows there are instead."""
    listed = ", ".join(map(repr, records)) or "none"
    if wanted is None:
        return FlowNotFoundError(f"which flow? {storage} storage holds: {listed}", storage=storage)
    return FlowNotFoundError(
        f"flow {wanted!r} is not contained in this {storage} storage; it holds: {listed}",
        storage=storage,
        location=wanted,
        hint="check the name; a bare location of a pickle needs allow_unverified=True",
    )


def check_pin(record: Record, capabilities: Container[Capability], storage: str) -> None:
    """Refuse what says that it is pinned where the storage would not check that."""
    unchecked = record.sha256 and Capability.STORE not in capabilities
    revises = Capability.IMAGE if record.kind == "image" else Capability.REVISIONS
    if unchecked or (record.revision and revises not in capabilities):
        raise IntegrityError(
            f"{storage} storage cannot check the digest or revision that is recorded",
            storage=storage,
            location=record.location,
        )
