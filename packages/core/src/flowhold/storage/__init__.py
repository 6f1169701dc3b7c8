"""Storages by class name: ``from flowhold.storage import S3`` finds an installed plugin's class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowhold.storage.base import Storage
    from flowhold.storage.capabilities import Capability
    from flowhold.storage.inline import Bytes
    from flowhold.storage.local import Local
    from flowhold.storage.local import Local as LocalStorage
    from flowhold.storage.memory import Memory
    from flowhold.storage.modules import Module
    from flowhold.storage.objects import ObjectStorage
    from flowhold.storage.packed import PackedStorage
    from flowhold.storage.records import Record
    from flowhold.storage.scripts import ScriptStorage

__all__ = [
    "Bytes",
    "Capability",
    "Local",
    "LocalStorage",
    "Memory",
    "Module",
    "ObjectStorage",
    "PackedStorage",
    "Record",
    "ScriptStorage",
    "Storage",
]

_HOMES = {
    "Capability": "capabilities",
    "ObjectStorage": "objects",
    "PackedStorage": "packed",
    "Record": "records",
    "ScriptStorage": "scripts",
    "Storage": "base",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    # Only class names reach the registry: hasattr, doctest and friends ask for many others.
    if not name[:1].isupper() or not name.isidentifier():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from flowhold import plugins

    return plugins.storage_class("local" if name == "LocalStorage" else name.lower())


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
