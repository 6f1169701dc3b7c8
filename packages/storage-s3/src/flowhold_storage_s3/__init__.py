"""Flows, results and catalogs in Amazon S3 and servers compatible with it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowhold_storage_s3.results import S3Result
    from flowhold_storage_s3.storage import S3
    from flowhold_storage_s3.store import S3Store

__version__ = "0.1.0"

__all__ = ["S3", "S3Result", "S3Store", "__version__"]

_HOMES = {"S3": "storage", "S3Result": "results", "S3Store": "store"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
