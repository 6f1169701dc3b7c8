"""Flows, results and catalogs in Azure Blob Storage."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowhold_storage_azure.results import AzureResult
    from flowhold_storage_azure.storage import Azure
    from flowhold_storage_azure.store import AzureStore

__version__ = "0.1.0"

__all__ = ["Azure", "AzureResult", "AzureStore", "__version__"]

_HOMES = {"Azure": "storage", "AzureResult": "results", "AzureStore": "store"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
