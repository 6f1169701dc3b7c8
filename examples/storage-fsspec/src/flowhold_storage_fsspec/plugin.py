"""What Flowhold finds by the entry points of this distribution."""

from __future__ import annotations

from flowhold import hookimpl
from flowhold.plugins import StorageInfo


@hookimpl
def flowhold_storages() -> list[StorageInfo]:
    """Tell of the storage and, once for each scheme, of the object store."""
    return [
        StorageInfo(
            "fsspec",
            "files wherever fsspec can write: SFTP, SMB and others",
            "flowhold_storage_fsspec.storage:Fsspec",
            scheme=scheme,
            object_store_class="flowhold_storage_fsspec.store:FsspecStore",
        )
        for scheme in ("fsspec", "sftp", "smb")
    ]
