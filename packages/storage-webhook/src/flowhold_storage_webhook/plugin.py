"""What Flowhold finds by the entry points of this distribution."""

from __future__ import annotations

import flowhold
from flowhold.plugins import StorageInfo

__all__ = ["flowhold_storages"]


@flowhold.hookimpl
def flowhold_storages() -> list[StorageInfo]:
    """Tell of the storage."""
    return [
        StorageInfo(
            "webhook", "flows behind HTTP requests", "flowhold_storage_webhook.storage:Webhook"
        )
    ]
