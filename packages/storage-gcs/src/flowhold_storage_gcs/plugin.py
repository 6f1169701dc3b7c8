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
            "gcs",
            "flows in Google Cloud Storage",
            "flowhold_storage_gcs.storage:GCS",
            scheme="gs",
            object_store_class="flowhold_storage_gcs.store:GCSStore",
        )
    ]
