"""Where a flow may run: the check of default labels, which name the host that has its files."""

from __future__ import annotations

import socket

from flowhold.errors import StorageError
from flowhold.reference import Reference

__all__ = ["check_host"]


def check_host(reference: Reference) -> None:
    """Return if a flow may run on this host by its default labels, or if it has none.

    Raises:
        StorageError: They are another host's.
    """
    labels = reference.storage.get("default_labels") or []
    here = socket.gethostname()
    if labels and here not in labels:
        storage = reference.storage.get("type")
        raise StorageError(
            f"flow {reference.flow!r} is in {storage} storage of host "
            f"{', '.join(map(str, labels))}, and this is host {here}",
            storage=None if storage is None else str(storage),
            location=reference.location,
            hint="run it there; or, if this host has the same files, with --any-host (register "
            "with --no-default-labels to drop the label)",
        )
