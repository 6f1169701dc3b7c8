"""Flows kept by any service that answers HTTP requests."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowhold_storage_webhook.storage import Webhook

__version__ = "0.1.0"

__all__ = ["Webhook", "__version__"]


def __getattr__(name: str) -> Any:
    if name != "Webhook":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.storage").Webhook
