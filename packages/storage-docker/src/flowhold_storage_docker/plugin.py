"""What Flowhold finds by the entry point of this distribution."""

from __future__ import annotations

import flowhold
from flowhold.plugins import StorageInfo

__all__ = ["flowhold_storages"]


@flowhold.hookimpl
def flowhold_storages() -> list[StorageInfo]:
    """Tell of the storage."""
    return [
        StorageInfo("docker", "flows in Docker images", "flowhold_storage_docker.storage:Docker")
    ]
