"""Copies of stored flows in other storages and catalogs, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from flowhold.catalog import Catalog
from flowhold.errors import ObjectExistsError, StorageError
from flowhold.reference import Reference, now
from flowhold.signing import Signer
from flowhold.storage.base import Storage
from flowhold.storage.capabilities import Capability
from flowhold.storage.objects import ObjectStorage
from flowhold.storage.packed import PackedStorage
from flowhold.storage.records import check_new
from flowhold.trust import check_trust

__all__ = ["copy_flows"]

_MOST_HISTORY = 64 << 10
"""Characters of a signed original that goes along with a copy."""


def copy_flows(
    references: Iterable[Reference],
    storage: Storage,
    catalog: Catalog,
    *,
    sign: Signer | None = None,
) -> Iterator[Reference]:
    """Copy flows one after another into a storage and a catalog, and yield the new references.

    A copy has the bytes, digest, kind, fingerprint, environment and time of the original, and the
    field ``copied_from``. In an image its kind is ``image``; a copy from or to one has no
    fingerprint, as that is over all that is in an image. It asks for the secrets and has the labels
    of both storages, and the original's ``result`` where the storage has none of its own. As it
    names another storage, the signature of the original is not its own: it is in ``copied_from``,
    with all that it is over.

    Args:
        references: What to copy, oldest first.
        storage: Where to put the bytes.
        catalog: What the copies become the next versions in.
        sign: What signs the copies; without it they are not signed.

    Raises:
        SignatureError: The original is signed by nobody who is trusted.
        DuplicateFlowError: A flow of that name was added to the storage itself.
        StorageError: One of them is floating or has no bytes of its own, or the storage cannot keep
            its kind; or reading or writing failed. Those before it are copied.
        ObjectExistsError: Two of them would be at one key, or another object is there.
    """
    if not isinstance(storage, PackedStorage):
        raise StorageError(
            f"{storage.name} storage keeps no copies",
            storage=storage.name,
            hint="choose one that keeps the bytes of flows, as local, s3 or docker",
        )
    taken: set[str] = set()
    for reference in references:
        trusted = check_trust(reference) if sign is None else sign.vouched(reference)
        copied = _put(trusted, storage, taken)
        of_image = "image" in (reference.kind, copied.kind)
        yield catalog.add(
            replace(
                copied,
                created=reference.created,
                fingerprint=None if of_image else reference.fingerprint,
                extra={**reference.extra, "copied_from": _origin(reference)},
            ),
            sign=sign,
        )


def _origin(reference: Reference) -> dict[str, Any]:
    """Return what a copy says of its original; of one that is signed, all of it."""
    origin = {
        "version": reference.version,
        "storage": reference.storage.get("type"),
        "location": reference.location,
        "at": now(),
    }
    if reference.signed is not None:
        # Each holds the one before, so that a long history is cut.
        if len(reference.to_json()) <= _MOST_HISTORY:
            return {**origin, "signed": reference.signed}
        return origin
    before = reference.extra.get("copied_from")
    return origin if before is None else {**origin, "copied_from": before}


def _put(reference: Reference, storage: PackedStorage, taken: set[str]) -> Reference:
    """Put the bytes of a flow into a storage like this one, and return the reference to them."""
    name = reference.flow
    source = reference.open_storage()
    check_new(storage._records, name, storage.name)
    original = source.original(name) if isinstance(source, PackedStorage) else None
    if original is None:
        state = "has no bytes of its own there" if reference.pinned else "is floating"
        raise StorageError(
            f"{name}@{reference.version} {state}, so there are no recorded bytes to copy",
            storage=source.name,
            location=reference.location,
            hint="register it again in a storage that keeps the bytes of flows",
        )
    target = storage.emptied()
    target.secrets = list(dict.fromkeys([*storage.secrets, *source.secrets]))
    target._labels = sorted({*storage._labels, *source._labels})
    target._result = source._result if storage._result is None else storage._result
    target.stored_as_script = source.stored_as_script
    location = target.adopt(name, *original)
    # A version must not take the place of one before it, whatever else it may overwrite.
    if Capability.IMAGE in target.capabilities:
        target.build()  # each version has an image of its own, found by its digest
    elif not isinstance(target, ObjectStorage):
        if location in taken:
            raise ObjectExistsError(
                f"another version is at {location} already",
                storage=storage.name,
                location=location,
                hint="give each version a place of its own: a template with {sha256}",
            )
        target.build()
    else:
        overwrite, target.overwrite = target.overwrite, target.overwrite and location not in taken
        target.build()
        target.overwrite = overwrite
    taken.add(location)
    (copied,) = target.references()
    target.discard(name)
    return copied
