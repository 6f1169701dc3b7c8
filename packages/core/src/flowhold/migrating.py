"""References for flows that another system stored; what it stored stays where it is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flowhold.catalog import Catalog
from flowhold.entries import folder_of
from flowhold.errors import (
    ConfigurationError,
    DuplicateFlowError,
    FlowholdError,
    ObjectExistsError,
    SerializationError,
)
from flowhold.prefect1 import Found, open_pickle, read_flows
from flowhold.reference import Reference
from flowhold.signing import Signer, as_signer
from flowhold.storage.base import Storage
from flowhold.storage.capabilities import Capability
from flowhold.storage.documents import are_alike
from flowhold.storage.packed import PackedStorage
from flowhold.unpacking import kind_of

__all__ = ["PINS", "Migration", "add_to_catalog", "migrate_prefect1", "write_files"]

PINS = ("pickles", "all", "none")


@dataclass(frozen=True)
class Migration:
    """What became of one flow."""

    flow: str | None
    """Its name; None where not even that is known."""
    reference: Reference | None
    """The reference, or None where there can be none."""
    notes: tuple[str, ...] = ()
    """What means something else now, or is not kept."""
    error: FlowholdError | None = None
    """Why there is no reference."""
    unchanged: bool = False
    """Whether the catalog had the reference already."""


def migrate_prefect1(text: str | bytes, *, pin: str = "pickles") -> list[Migration]:
    """Return a reference for each flow that Prefect 0.5 to 1.4 stored.

    Nothing is written and nothing of the flows is run. What cannot be migrated is said in the
    entry of that flow.

    Args:
        text: JSON that Prefect wrote; see :func:`flowhold.prefect1.read_flows`.
        pin: What to read now, so that its digest, or for a repository its commit, is recorded and
            later loads are checked by it: ``pickles``, ``all`` for scripts as well, or ``none``.
            Pickles that are not pinned load with ``allow_unverified=True`` only; scripts that are
            not pinned float, as they did in Prefect.

    Raises:
        SerializationError: It is nothing that Prefect wrote.
        ConfigurationError: There is no such `pin`.
    """
    if pin not in PINS:
        raise ConfigurationError(f"pin must be one of {', '.join(PINS)}, not {pin!r}")
    done: list[Migration] = []
    for found in read_flows(text):
        try:
            if found.flow is not None and found.flow in {each.flow for each in done}:
                raise DuplicateFlowError(f"two flows have the name {found.flow!r}")
            reference = _reference(found, pin)
            done.append(Migration(found.flow, reference, tuple(found.notes)))
        except FlowholdError as error:
            done.append(Migration(found.flow, None, tuple(found.notes), error))
    return done


def add_to_catalog(
    migrations: Iterable[Migration],
    catalog: Catalog,
    *,
    sign: Signer | str | Sequence[str] | None = None,
) -> list[Migration]:
    """Add references to a catalog, but those that are its newest versions already.

    Args:
        migrations: Those without a reference are left out.
        catalog: Where to add them.
        sign: Name or path of a private key, or several, to sign with.

    Returns:
        The migrations, with the versions of the catalog.

    Raises:
        DuplicateFlowError: The catalog has a flow of such a name that was not migrated; nothing is
            added then.
        SignatureError: One is not pinned and cannot be signed.
    """
    signer = as_signer(sign)
    wanted = [(each, each.reference) for each in migrations if each.reference is not None]
    newest = {reference.flow: catalog.newest(reference.flow) for _, reference in wanted}
    for name, known in newest.items():
        if known is not None and "migrated_from" not in known.extra:
            raise DuplicateFlowError(
                f"the catalog has a flow {name!r}, version {known.version}, that was not migrated",
                location=name,
                hint="migrate into another catalog, or leave that flow out",
            )
    if signer is not None:
        for _, reference in wanted:
            signer(reference)  # so that what cannot be signed is found before any is added
    done = []
    for each, reference in wanted:
        known = newest[reference.flow]
        signed = known is not None and (signer is None or signer.has_signed(known))
        if known is not None and signed and _is_same(known, reference):
            done.append(replace(each, reference=known, unchanged=True))
        else:
            done.append(replace(each, reference=catalog.add(reference, sign=signer)))
    return done


def write_files(
    migrations: Iterable[Migration], folder: str | os.PathLike[str]
) -> list[tuple[Migration, str]]:
    """Write each reference to a file of its own, ``<flow name, percent-encoded>.json``.

    Args:
        migrations: Those without a reference are left out.
        folder: Made if it is not there.

    Returns:
        The path of each.

    Raises:
        ObjectExistsError: Such a file is there already; nothing is written then.
    """
    target = Path(folder)
    wanted = [
        (each, each.reference, target / f"{folder_of(each.reference.flow)}.json")
        for each in migrations
        if each.reference is not None
    ]
    for _, _, path in wanted:
        if path.exists():
            raise ObjectExistsError(
                f"{path} is there already",
                location=str(path),
                hint="choose another folder, or remove it",
            )
    target.mkdir(parents=True, exist_ok=True)
    for _, reference, path in wanted:
        with path.open("x", encoding="utf-8") as file:
            file.write(reference.to_json())
    return [(each, str(path)) for each, _, path in wanted]


def _reference(found: Found, pin: str) -> Reference:
    if found.error or found.storage is None:
        raise found.error or SerializationError("this flow has no storage")
    storage = Storage.deserialize(found.storage)
    ((name, record),) = storage._records.items()
    if found.release and record.kind == "pickle":
        record.environment = {"packages": {"prefect": found.release}}
    if Capability.REVISIONS in storage.capabilities and pin == "all":
        storage.pin = True  # type: ignore[attr-defined]
        storage._build()
    elif isinstance(storage, PackedStorage) and record.kind in _PINNED[pin]:
        _pin(storage, name)
    (reference,) = storage.references()
    origin = {"system": "prefect", "release": found.release, "type": found.written}
    return replace(reference, extra={"migrated_from": origin})


def _pin(storage: PackedStorage, name: str) -> None:
    """Record the digest of what is at a location now."""
    record = storage._records[name]
    data = storage.read(record)
    kind = kind_of(data)
    if kind != record.kind:
        raise SerializationError(
            f"at {record.location} is a {kind}, and not a {record.kind}, as Prefect recorded",
            location=record.location,
        )
    if known := open_pickle(data):
        record.environment = known[1]
    record.sha256, record.size = hashlib.sha256(data).hexdigest(), len(data)


def _is_same(known: Reference, reference: Reference) -> bool:
    def facts(each: Reference) -> list[Any]:
        return [each.location, each.kind, each.sha256, each.revision]

    return are_alike(known.storage, reference.storage) and facts(known) == facts(reference)


_PINNED = {"pickles": ("pickle",), "all": ("pickle", "script"), "none": ()}
