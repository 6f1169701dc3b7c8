"""From a flow to a version in the catalog; nothing is written for a flow that did not change."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flowhold import plugins, settings
from flowhold.adapters import adapt_flow
from flowhold.catalog import Catalog
from flowhold.errors import ConfigurationError, DuplicateFlowError, StorageError
from flowhold.flows import Flow
from flowhold.parallel import for_each
from flowhold.reference import Reference
from flowhold.signing import Signer, as_signer
from flowhold.storage.base import Storage
from flowhold.storage.capabilities import Capability
from flowhold.storage.documents import are_alike, option_parameters
from flowhold.trees import is_loading

__all__ = ["Registration", "default_storage", "register", "register_all"]

_FRESH = 5.0


@dataclass(frozen=True)
class Registration:
    """The version of a flow in the catalog, and whether it was there before."""

    reference: Reference
    unchanged: bool


@dataclass
class _Candidate:
    """A flow on its way into the catalog."""

    flow: Any
    storage: Storage
    fingerprint: str | None
    reference: Reference | None = None
    unchanged: bool = False
    newest: int | None = None
    looked: float = 0

    def look_up(self, catalog: Catalog, signer: Signer | None) -> None:
        """Take over the newest version if it is of the flow as it is now, signed as it will be."""
        newest = catalog.newest(self.flow.name)
        self.newest = newest.version if newest else 0
        self.looked = time.monotonic()
        signed = newest is not None and (signer is None or signer.has_signed(newest))
        if newest is not None and signed and self._is_same(newest):
            self.reference, self.unchanged = newest, True

    def _is_same(self, newest: Reference) -> bool:
        described, record = self.storage._describe(), newest.record()
        return (
            newest.fingerprint == self.fingerprint
            and are_alike(newest.storage, described)
            and record.attribute == getattr(self.flow, "_attribute", None)
            and self.storage.still_has(record)
        )

    def add_to(self, catalog: Catalog, signer: Signer | None) -> None:
        """Add what was built as a new version."""
        assert self.reference is not None  # noqa: S101
        # What was seen a while ago may have been pruned, and its number must not be used again.
        known = self.newest if time.monotonic() - self.looked < _FRESH else None
        self.reference = catalog.add(self.reference, newest=known, sign=signer)
        if isinstance(self.flow, Flow) and self.flow.storage is None:
            self.flow.storage = self.storage


def register(
    flow: Any,
    *,
    catalog: Catalog | str | os.PathLike[str] | None = None,
    storage: Storage | None = None,
    force: bool = False,
    sign: Signer | str | Sequence[str] | None = None,
) -> Reference | None:
    """Store a flow and add it to the catalog, unless its newest version is the same.

    Args:
        flow: A flow, or any object that an adapter makes one of.
        catalog: Where to add it; default: as :class:`~flowhold.Catalog`.
        storage: Where to store it; default: ``flow.storage``, else the one that the settings name.
        force: Add a version even if nothing changed.
        sign: Name or path of a private key, or several: the version is signed with it. One that the
            key has not signed counts as changed.

    Returns:
        Its reference with its version; None while Flowhold loads the script that calls this.

    Raises:
        StorageError: It could not be stored.
        SerializationError: It cannot be pickled.
        SignatureError: It is floating and cannot be signed, or the extra ``signing`` is missing.
    """
    if is_loading():
        warnings.warn("register() does nothing while Flowhold loads this script", stacklevel=2)
        return None
    options: dict[str, Any] = {"catalog": catalog, "storage": storage, "force": force, "sign": sign}
    return register_all([flow], **options)[0].reference


def register_all(
    flows: Sequence[Any],
    *,
    catalog: Catalog | str | os.PathLike[str] | None = None,
    storage: Storage | None = None,
    force: bool = False,
    sign: Signer | str | Sequence[str] | None = None,
) -> list[Registration]:
    """Register flows, those that share a storage together; arguments as :func:`register`."""
    where = catalog if isinstance(catalog, Catalog) else Catalog(catalog)
    signer = as_signer(sign)
    candidates: list[_Candidate] = []
    names: set[str] = set()
    shared = storage
    for flow in flows:
        adapted = adapt_flow(flow)
        own = getattr(adapted, "storage", None)
        chosen = storage or (own if isinstance(own, Storage) else shared)
        if chosen is None:
            chosen = shared = default_storage()
        _check_lasting(chosen, adapted.name)
        if adapted.name in names:
            raise DuplicateFlowError(f"two flows to register have the name {adapted.name!r}")
        names.add(adapted.name)
        candidates.append(_Candidate(adapted, chosen, chosen.fingerprint(adapted)))
    if not force:
        for_each(
            lambda each: each.look_up(where, signer), candidates, "Looking flows up in the catalog"
        )
    changed = [each for each in candidates if not each.unchanged]
    try:
        for chosen in {id(each.storage): each.storage for each in changed}.values():
            _build(chosen, [each for each in changed if each.storage is chosen])
    finally:
        # Where some could not be stored, the others are kept all the same.
        stored = [each for each in changed if each.reference]
        for_each(lambda each: each.add_to(where, signer), stored, "Adding flows to the catalog")
    return [Registration(each.reference, each.unchanged) for each in candidates if each.reference]


def default_storage(name: str | None = None, **options: Any) -> Storage:
    """Return a storage made from its name, by default the one that the settings name.

    Raises:
        ConfigurationError: It needs options that are not given, or does not know one that is.
    """
    name = name or settings.current().storage
    cls: type[Storage] = plugins.storage_class(name)
    try:
        return cls(**options)
    except TypeError as error:
        text = re.sub(r"\w+\.__init__\(\)", f"{name} storage", str(error))
        raise ConfigurationError(
            text, hint=f"options of {name}: {', '.join(option_parameters(cls))}"
        ) from error


def _check_lasting(storage: Storage, flow: str) -> None:
    """Refuse a storage from which no reference could find the flow again."""
    if Capability.SERIALIZES_FLOWS not in storage.capabilities:
        raise StorageError(
            f"{storage.name} storage keeps {flow!r} in this process only: no reference could find "
            f"it",
            storage=storage.name,
            hint="register with Local or another storage that lasts",
        )
    name = plugins.storage_name(type(storage))
    if plugins.storage_class(name) is not type(storage):
        raise ConfigurationError(
            f"{type(storage).__qualname__} is not the storage that is known as {name!r}, so no "
            f"reference could find it again",
            hint="give the class a type_name, and register it as a plugin",
        )


def _build(storage: Storage, candidates: Sequence[_Candidate]) -> None:
    """Store the flows and give each its reference."""
    for each in candidates:
        name = each.flow.name
        known = storage._records.get(name)
        # Of what was added by hand nobody knows whether it is the flow as it is now.
        same = each.fingerprint is not None and known and known.fingerprint == each.fingerprint
        if known is None or not same or not storage.still_has(known):
            storage.discard(name)
            storage.add_flow(each.flow)
            storage._records[name].fingerprint = each.fingerprint
    try:
        storage.build()
    except StorageError as error:
        pending = getattr(storage, "_pending", None)
        written = [
            each for each in candidates if pending is not None and each.flow.name not in pending
        ]
        _take_references(storage, written)
        if written:
            error.hint = (
                f"{len(written)} of {len(candidates)} flows were stored and registered; register "
                f"again for the others. {error.hint or ''}".strip()
            )
        raise
    _take_references(storage, candidates)


def _take_references(storage: Storage, candidates: Sequence[_Candidate]) -> None:
    references = {reference.flow: reference for reference in storage.references()}
    for each in candidates:
        each.reference = references[each.flow.name]
