"""The plugin that Flowhold itself is: its own storages and flow adapters."""

from __future__ import annotations

from typing import Any

from flowhold.hookspecs import hookimpl
from flowhold.plugins import StorageInfo


@hookimpl
def flowhold_storages() -> list[StorageInfo]:
    """Return the storages that need nothing but Flowhold."""
    return [
        StorageInfo(
            "local",
            "files in a folder of this machine",
            "flowhold.storage.local:Local",
            scheme="file",
            object_store_class="flowhold.filestore:FileStore",
        ),
        StorageInfo("memory", "flow objects of this process", "flowhold.storage.memory:Memory"),
        StorageInfo("bytes", "pickles inside the reference", "flowhold.storage.inline:Bytes"),
        StorageInfo("module", "importable modules", "flowhold.storage.modules:Module"),
    ]


@hookimpl(trylast=True)
def flowhold_adapt_flow(obj: Any) -> Any | None:
    """Adapt the flows of Prefect 1 and 3, also those of a user's own subclass."""
    if not any(kind.__module__.partition(".")[0] == "prefect" for kind in type(obj).__mro__):
        return None
    from flowhold.adapters import adapt_prefect

    return adapt_prefect(obj)
