"""From a flow to a version in the catalog; nothing is written for a flow that did not change."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flowhold import plugins, settings
from flowhold.adapters import adapt_flow
from flowhold.catalog import Catalog
from flowhold.errors import ConfigurationError, StorageError
from flowhold.flows import Flow
from flowhold.reference import Reference
from flowhold.storage.base import Storage
from flowhold.storage.capabilities import Capability
from flowhold.storage.documents import COMPARED, option_parameters
from flowhold.trees import is_loading

__all__ = ["Registration", "default_storage", "register", "register_all"]


@dataclass(frozen=True)
class Registration:
    """The version of a flow in the catalog, and whether it was there before."""

    reference: Reference
    unchanged: bool


def register(
    flow: Any,
    *,
    catalog: Catalog | str | os.PathLike[str] | None = None,
    storage: Storage | None = None,
    force: bool = False,
) -> Reference | None:
    """Store a flow and add it to the catalog, unless its newest version is the same.

    Args:
        flow: A flow, or any object that an adapter makes one of.
        catalog: Where to add it; default: as :class:`~flowhold.Catalog`.
        storage: Where to store it; default: ``flow.storage``, else the one that the settings name.
        force: Add a version even if nothing changed.

    Returns:
        Its reference with its version; None while Flowhold loads the script that calls this.

    Raises:
        StorageError: It could not be stored.
        SerializationError: It cannot be pickled.
    """
    if is_loading():
        warnings.warn("register() does nothing while Flowhold loads this script", stacklevel=2)
        return None
    return register_all([flow], catalog=catalog, storage=storage, force=force)[0].reference


def register_all(
    flows: Sequence[Any],
    *,
    catalog: Catalog | str | os.PathLike[str] | None = None,
    storage: Storage | None = None,
    force: bool = False,
) -> list[Registration]:
    """Register flows, those that share a storage together; arguments as :func:`register`."""
    where = catalog if isinstance(catalog, Catalog) else Catalog(catalog)
    outcome: list[Registration | None] = [None] * len(flows)
    changed: dict[int, list[tuple[int, Any, Storage, str | None]]] = {}
    shared = storage
    for index, flow in enumerate(flows):
        adapted = adapt_flow(flow)
        own = getattr(adapted, "storage", None)
        if shared is None and not isinstance(own, Storage):
            shared = default_storage()
        chosen = storage or (own if isinstance(own, Storage) else shared)
        assert chosen is not None  # noqa: S101
        if Capability.SERIALIZES_FLOWS not in chosen.capabilities:
            raise StorageError(
                f"{chosen.name} storage keeps {adapted.name!r} in this process only: no reference "
                f"could find it",
                storage=chosen.name,
                hint="register with Local or another storage that lasts",
            )
        _check_name(chosen)
        fingerprint = chosen.fingerprint(adapted)
        newest = None if force else where.newest(adapted.name)
        if newest is not None and _is_same(newest, adapted, chosen, fingerprint):
            outcome[index] = Registration(newest, unchanged=True)
        else:
            changed.setdefault(id(chosen), []).append((index, adapted, chosen, fingerprint))
    for group in changed.values():
        built = _build([(flow, chosen, fingerprint) for _, flow, chosen, fingerprint in group])
        for (index, flow, _, _), reference in zip(group, built, strict=True):
            outcome[index] = Registration(where.add(reference), unchanged=False)
            if isinstance(flow, Flow) and flow.storage is None:
                flow.storage = group[0][2]
    return [registration for registration in outcome if registration is not None]


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
        text = (
            str(error)
            .replace(f"{cls.__name__}.__init__()", f"{name} storage")
            .replace("__init__()", name)
        )
        raise ConfigurationError(
            text, hint=f"options of {name}: {', '.join(option_parameters(cls))}"
        ) from error


def _check_name(storage: Storage) -> None:
    name = plugins.storage_name(type(storage))
    if plugins.storage_class(name) is not type(storage):
        raise ConfigurationError(
            f"{type(storage).__qualname__} is not the storage that is known as {name!r}, so no "
            f"reference could find it again",
            hint="give the class a type_name, and register it as a plugin",
        )


def _is_same(newest: Reference, flow: Any, storage: Storage, fingerprint: str | None) -> bool:
    described, record = storage._describe(), newest.record()
    return (
        newest.fingerprint == fingerprint
        and all(newest.storage.get(name) == described.get(name) for name in COMPARED)
        and record.attribute == getattr(flow, "_attribute", None)
        and storage.still_has(record)
    )


def _build(group: list[tuple[Any, Storage, str | None]]) -> list[Reference]:
    storage = group[0][1]
    for flow, _, fingerprint in group:
        known = storage._records.get(flow.name)
        # Of what was added by hand nobody knows whether it is the flow as it is now.
        same = known is not None and fingerprint is not None and known.fingerprint == fingerprint
        if known is None or not same or not storage.still_has(known):
            storage.discard(flow.name)
            storage.add_flow(flow)
            storage._records[flow.name].fingerprint = fingerprint
    storage.build()
    references = {reference.flow: reference for reference in storage.references()}
    return [references[flow.name] for flow, _, _ in group]
