"""The conformance kit: tests that every storage and object store must pass."""

from __future__ import annotations

# typing.TYPE_CHECKING without the import: this package is imported in every run of pytest.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from flowhold.testing.faults import FaultProxy
    from flowhold.testing.network import Network, NetworkTests
    from flowhold.testing.storages import StorageTests
    from flowhold.testing.stores import ObjectStoreTests
    from flowhold.testing.stores.access import RefusedAccessTests
    from flowhold.testing.suite import replaces

__all__ = [
    "FaultProxy",
    "Network",
    "NetworkTests",
    "ObjectStoreTests",
    "RefusedAccessTests",
    "StorageTests",
    "replaces",
]

_HOMES = {
    "FaultProxy": "faults",
    "Network": "network",
    "NetworkTests": "network",
    "ObjectStoreTests": "stores",
    "RefusedAccessTests": "stores.access",
    "StorageTests": "storages",
    "replaces": "suite",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        import_module("pytest")
    except ImportError as error:
        raise ImportError(
            'the conformance kit needs pytest: pip install "flowhold[testing]"'
        ) from error
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
