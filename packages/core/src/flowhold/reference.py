"""The small document that finds one stored flow again; all that anybody has to record."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from flowhold.dsse import Envelope
from flowhold.errors import SerializationError
from flowhold.storage.records import Record

if TYPE_CHECKING:
    from flowhold.storage.base import Storage

__all__ = ["KINDS", "PAYLOAD_TYPE", "SCHEMA", "Reference", "now"]

SCHEMA = "flowhold.reference/1"
KINDS = ("pickle", "script", "bundle", "image", "module")
PAYLOAD_TYPE = "application/vnd.flowhold.reference+json"


def now() -> str:
    """Return the present time, ISO 8601 in UTC, so exact that no two entries are the same."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Reference:
    """Where one flow is, what its bytes are, and what it was stored with.

    A reference is as powerful as code: whoever can write one can make you import a module. It is
    safe to load as far as you trust where it comes from.
    """

    flow: str
    """Name of the flow."""
    storage: Mapping[str, Any]
    """The serialized storage, for this flow only; labels and names of secrets are in it."""
    location: str
    """Where in that storage."""
    kind: str
    """One of ``pickle``, ``script``, ``bundle``, ``image``, ``module``."""
    version: int | None = None
    """Number in its catalog, from 1; None where it is in none."""
    sha256: str | None = None
    """Digest of the stored object in hex; None: not pinned by one."""
    size: int | None = None
    """Of the stored object, in bytes."""
    revision: str | None = None
    """Commit or image digest to which it is pinned."""
    fingerprint: str | None = None
    """Hash of the flow's content, for telling whether it changed."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """``python`` and ``packages`` (version by distribution) with which it was stored."""
    created: str = field(default_factory=now)
    """Time of registration, ISO 8601 with its offset."""
    schema: str = SCHEMA
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Fields that a newer Flowhold wrote; kept."""
    signed: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    """The DSSE envelope that this reference was read from, if it is signed."""

    def __hash__(self) -> int:
        return hash((self.flow, self.version, self.location, self.sha256, self.created))

    @property
    def pinned(self) -> bool:
        """Whether what is loaded is certain: by a digest or a revision."""
        digest = self.sha256 if self.kind in ("pickle", "script", "bundle") else None
        return bool(digest or (self.revision if self.kind in ("script", "image") else None))

    @property
    def state(self) -> str:
        """``pinned``; ``unverified``, which loads only where that is allowed; or ``floating``."""
        if self.pinned:
            return "pinned"
        return "unverified" if self.kind in ("pickle", "bundle") else "floating"

    @property
    def labels(self) -> list[str]:
        """User labels and default labels, sorted."""
        storage = self.storage
        return sorted({*(storage.get("labels") or []), *(storage.get("default_labels") or [])})

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types, unknown ones included; and ``signed`` if it is."""
        known = {name: getattr(self, name) for name in _FIELDS}
        signed = {} if self.signed is None else {"signed": self.signed}
        return {**self.extra, **known, **signed}

    def to_json(self) -> str:
        """Return the document; of a signed reference, the signed one as it was read."""
        document = self.to_dict() if self.signed is None else self.signed
        return json.dumps(document, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Reference:
        """Read a reference, signed or not; signatures are not checked here.

        Raises:
            SerializationError: It is not one, or a newer major version of the schema.
        """
        return cls.from_dict(_parse(text))

    @classmethod
    def from_dict(cls, document: Any) -> Reference:
        """Read a reference from its fields, or from a signed one; see :meth:`from_json`."""
        if not isinstance(document, Mapping) or not {"payloadType", "signed"} & document.keys():
            return cls._from_fields(document)
        if "payloadType" in document:
            return cls._from_envelope(document)
        # Fields beside what is signed are for who reads them, and must say the same.
        reference = cls._from_envelope(document["signed"])
        beside = {name: value for name, value in document.items() if name in _FIELDS}
        signed = {name: getattr(reference, name) for name in beside}
        if _canonical(beside) != _canonical(signed):
            raise SerializationError("the fields of this reference are not those that are signed")
        return reference

    @classmethod
    def _from_envelope(cls, document: Any) -> Reference:
        envelope = Envelope.from_document(document)
        if envelope.payload_type != PAYLOAD_TYPE:
            raise SerializationError(f"this signs a {envelope.payload_type!r}, not a reference")
        content = _parse(envelope.payload)
        if isinstance(content, dict) and {"payloadType", "signed"} & content.keys():
            raise SerializationError("this is not a reference: what is signed is signed itself")
        return replace(cls._from_fields(content), signed=document)

    @classmethod
    def _from_fields(cls, document: Any) -> Reference:
        schema = document.get("schema") if isinstance(document, Mapping) else None
        if not isinstance(schema, str) or schema.partition("/")[0] != SCHEMA.partition("/")[0]:
            raise SerializationError(
                "this is not a reference: its schema is missing",
                hint="references are what `flowhold register` and flow.register() give",
            )
        if schema != SCHEMA:
            raise SerializationError(
                f"this reference has the schema {schema}, this Flowhold reads {SCHEMA}",
                hint="upgrade flowhold",
            )
        for name, (types, required) in _FIELDS.items():
            value = document.get(name)
            absent = value is None and not required
            fits = isinstance(value, types) and not isinstance(value, bool)
            if not absent and not (fits and (types is not int or 0 <= value < 1 << 62)):
                raise SerializationError(
                    f"this is not a reference: its field {name!r} is wrong or missing"
                )
        if document["kind"] not in KINDS:
            raise SerializationError(f"this reference has the unknown kind {document['kind']!r}")
        sha256 = document.get("sha256")
        if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
            raise SerializationError("this is not a reference: its field 'sha256' is not a digest")
        for name in ("labels", "default_labels", "secrets"):
            names = document["storage"].get(name) or []
            if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
                raise SerializationError(
                    f"this is not a reference: {name!r} of its storage is not a list of strings"
                )
        known = {name: document[name] for name in _FIELDS if document.get(name) is not None}
        extra = {name: value for name, value in document.items() if name not in _FIELDS}
        return cls(**known, extra=extra)

    def record(self) -> Record:
        """Return what the storage knows of this flow."""
        flows = self.storage.get("flows")
        own = flows.get(self.flow) if isinstance(flows, Mapping) else None
        return Record(
            location=self.location,
            kind=self.kind,
            sha256=self.sha256,
            size=self.size,
            revision=self.revision,
            environment=dict(self.environment),
            attribute=own.get("attribute") if isinstance(own, Mapping) else None,
        )

    def open_storage(self) -> Storage:
        """Return the storage that holds this flow.

        Raises:
            PluginNotFoundError: Its plugin is not installed.
        """
        from flowhold.storage.base import Storage

        flows = {self.flow: self.record().to_json()}
        return Storage.deserialize({**self.storage, "flows": flows})


def _parse(text: str | bytes) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"this is not a reference: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what readers could take for different documents."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is in it twice")
    return found


def _canonical(document: Mapping[str, Any]) -> str:
    try:
        return json.dumps(document, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise SerializationError(f"this is not a reference: {error}") from error


_REQUIRED = {"schema", "flow", "storage", "location", "kind", "created"}
_TYPES: dict[str, type] = {"storage": Mapping, "environment": Mapping, "version": int, "size": int}
_FIELDS = {
    each.name: (_TYPES.get(each.name, str), each.name in _REQUIRED)
    for each in fields(Reference)
    if each.name not in ("extra", "signed")
}
