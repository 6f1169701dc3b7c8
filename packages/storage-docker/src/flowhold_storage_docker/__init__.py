"""Flows in Docker images: built, pushed, pinned by digest, and run in containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowhold_storage_docker.storage import Docker

__version__ = "0.1.0"

__all__ = ["Docker", "__version__"]


def __getattr__(name: str) -> Any:
    if name != "Docker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from flowhold_storage_docker.storage import Docker

    return Docker
