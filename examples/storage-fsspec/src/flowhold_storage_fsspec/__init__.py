"""Flows, results and catalogs wherever fsspec can write."""

from flowhold_storage_fsspec.storage import Fsspec
from flowhold_storage_fsspec.store import FsspecStore

__version__ = "0.1.0"

__all__ = ["Fsspec", "FsspecStore", "__version__"]
