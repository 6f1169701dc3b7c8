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
            "s3",
            "flows in Amazon S3 or a compatible server",
            "flowhold_storage_s3.storage:S3",
            scheme="s3",
            object_store_class="flowhold_storage_s3.store:S3Store",
        )
    ]
