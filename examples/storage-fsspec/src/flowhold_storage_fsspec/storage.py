"""Flows wherever fsspec can write."""

from __future__ import annotations

from typing import ClassVar

from flowhold.storage import ObjectStorage
from flowhold_storage_fsspec.store import FsspecStore


class Fsspec(ObjectStorage):
    """Keeps flows below a URL of fsspec; its arguments are those of the store."""

    store_class = FsspecStore
    shown: ClassVar[tuple[str, ...]] = ("url",)
