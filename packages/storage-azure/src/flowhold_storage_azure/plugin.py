"""What Flowhold finds by the entry points of this distribution."""

from __future__ import annotations

import flowhold
from flowhold.plugins import StorageInfo

__all__ = ["flowhold_storages"]


@flowhold.hookimpl
def flowhold_storages() -> list[StorageInfo]:
    """Tell of the storage and the object store."""
    return [
        StorageInfo(
            "azure",
            "flows in Azure Blob Storage",
            "flowhold_storage_azure.storage:Azure",
            scheme="az",
            object_store_class="flowhold_storage_azure.store:AzureStore",
        )
    ]
