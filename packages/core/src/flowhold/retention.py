"""Which versions of a flow are older than those that are kept, and which objects versions use."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from flowhold.errors import FlowNotFoundError
from flowhold.keyring import is_strict
from flowhold.trust import is_trusted

if TYPE_CHECKING:
    from flowhold.catalog import Catalog
    from flowhold.reference import Reference

__all__ = ["object_of", "objects_of", "older_than"]


def older_than(catalog: Catalog, name: str, versions: list[int], keep: int) -> list[Reference]:
    """Return the versions before the newest ones that are kept, oldest first.

    What would not load for want of a trusted signature counts for none of these: anybody who may
    write entries could push the others out.

    Args:
        catalog: Where they are.
        name: The flow.
        versions: All of its versions, oldest first.
        keep: How many stay.
    """
    doomed: list[Reference] = []
    strict = is_strict()
    for version in reversed(versions):
        if keep > 0 and not strict:
            keep -= 1
            continue
        reference = catalog.get(name, version)
        if keep > 0:
            keep -= is_trusted(reference)
        else:
            doomed.insert(0, reference)
    return doomed


def objects_of(catalog: Catalog, entries: Iterable[tuple[str, int]]) -> set[tuple[str, str]]:
    """Return the objects that these versions use, by names and numbers."""
    used = set()
    for entry in entries:
        # What another prune has removed meanwhile uses nothing.
        with suppress(FlowNotFoundError):
            used.add(object_of(catalog.get(*entry)))
    return used


def object_of(reference: Reference) -> tuple[str, str]:
    """Return what tells objects apart; options do not, so that in doubt an object stays."""
    return str(reference.storage.get("type")), reference.location
