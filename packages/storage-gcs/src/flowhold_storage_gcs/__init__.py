"""Flows, results and catalogs in Google Cloud Storage."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowhold_storage_gcs.results import GCSResult
    from flowhold_storage_gcs.storage import GCS
    from flowhold_storage_gcs.store import GCSStore

__version__ = "0.1.0"

__all__ = ["GCS", "GCSResult", "GCSStore", "__version__"]

_HOMES = {"GCS": "storage", "GCSResult": "results", "GCSStore": "store"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
