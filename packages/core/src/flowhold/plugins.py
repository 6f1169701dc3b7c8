"""Finds plugins by name, loads them one at a time and calls their hooks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from flowhold.errors import (
    PluginConflictError,
    PluginError,
    PluginNotFoundError,
    PluginVersionError,
)

if TYPE_CHECKING:
    from flowhold._registry import Registry
    from flowhold.storage.base import Storage
    from flowhold.store import ObjectStore

__all__ = [
    "KNOWN",
    "StorageInfo",
    "call_all",
    "call_first",
    "listing",
    "object_store_class",
    "register",
    "storage_class",
    "storage_info",
    "storage_name",
    "taken",
    "unregister",
]

_OURS = "s3 gcs azure docker git github gitlab bitbucket codecommit webhook"
KNOWN = {name: name for name in _OURS.split()}
"""Storages of Flowhold's own distributions, and the extra that installs each."""


@dataclass(frozen=True)
class StorageInfo:
    """What a plugin says of one of its storages; the classes are imported when needed."""

    name: str
    """In lower case; also the name of its entry point in ``flowhold.storage.v1``."""
    summary: str
    """One line for people."""
    storage_class: str
    """``"module:attr"`` of the :class:`flowhold.Storage`."""
    scheme: str | None = None
    """URL scheme of its object store; also the entry point in ``flowhold.object_store.v1``."""
    object_store_class: str | None = None
    """``"module:attr"`` of the :class:`flowhold.ObjectStore`."""


def storage_class(name: str) -> type[Storage]:
    """Return the class of the storage `name`.

    Raises:
        PluginNotFoundError: No installed plugin has it, or it is disabled.
        PluginConflictError: Two distributions have it.
        PluginVersionError: Its plugin is written for another version of the plugin interface.
        PluginLoadError: Its plugin does not import or does not do what a plugin has to.
    """
    found: type[Storage] = _registry().load_class("storage", name)
    return found


def storage_info(name: str) -> StorageInfo:
    """Return what its plugin says of the storage `name`; raises as :func:`storage_class` does."""
    return _registry().find("storage", name)[1]


def object_store_class(scheme: str) -> type[ObjectStore]:
    """Return the object store of a URL scheme; raises as :func:`storage_class` does."""
    found: type[ObjectStore] = _registry().load_class("object store", scheme)
    return found


def storage_name(cls: type[Storage]) -> str:
    """Return the name of a storage class: its own ``type_name``, else its name in lower case."""
    return vars(cls).get("type_name") or cls.__name__.lower()


def register(obj: Any, name: str | None = None) -> None:
    """Add a plugin to this process, without a distribution: for tests and notebooks.

    Its storages come before installed ones of the same names, never before built-in ones.

    Args:
        obj: A module or object with functions decorated with ``@flowhold.hookimpl``.
        name: What errors call it.

    Raises:
        PluginConflictError: It, its name or one of its storages is registered already.
        PluginLoadError: Its hooks are not those of Flowhold, or do not describe storages.
    """
    _registry().register(obj, name)


def unregister(obj: Any) -> None:
    """Remove what :func:`register` added; raise PluginNotFoundError if it is not there."""
    _registry().unregister(obj)


def call_first(hook_name: str, **arguments: Any) -> Any:
    """Return the first answer to a hook that is not None; the latest plugin is asked first.

    A plugin that raises is logged and passed over, except in ``flowhold_secret``.

    Raises:
        PluginError: A provider of secrets failed; another's value must not stand in for its.
    """
    return next(_registry().answers(hook_name, arguments), None)


def call_all(hook_name: str, **arguments: Any) -> list[Any]:
    """Return all answers to a hook that are not None; a plugin that raises is logged."""
    return list(_registry().answers(hook_name, arguments))


def is_heard(hook_name: str) -> bool:
    """Whether any plugin implements a hook."""
    return _registry().is_heard(hook_name)


def taken() -> set[str]:
    """Return the names and URL schemes that a new plugin cannot have; imports no plugin."""
    from flowhold._claims import EXTRAS

    known = {name for names in EXTRAS.values() for name in names}
    return known | {claim.name for claim in _registry().claims()}


def listing(check: bool = False) -> list[dict[str, Any]]:
    """Return a row for each plugin that is built in, installed or known to be available.

    Args:
        check: Import each plugin and its classes too; otherwise only metadata is read.

    Returns:
        Dicts of name, kind ("storage" or "plugin"; "object store" only where one cannot be used),
        distribution, version, status, hint and error.
    """
    registry = _registry()
    rows = []
    for claim in (claims := registry.claims()):
        hint = error = None
        status = "built-in" if claim.distribution == "flowhold" else "installed"
        try:
            registry.check(claim, claims, load=check)
        except PluginError as problem:
            status, hint, error = _STATUS.get(type(problem), "broken"), problem.hint, str(problem)
        if claim.kind != "object store" or status not in ("built-in", "installed", "disabled"):
            rows.append(
                {
                    "name": claim.name,
                    "kind": claim.kind,
                    "distribution": claim.distribution,
                    "version": claim.version,
                    "status": status,
                    "hint": hint,
                    "error": error,
                }
            )
    for name in KNOWN.keys() - {claim.name for claim in claims if claim.kind == "storage"}:
        row = {"name": name, "kind": "storage", "distribution": None, "version": None}
        hint = f'pip install "flowhold[{KNOWN[name]}]"'
        rows.append({**row, "status": "available", "hint": hint, "error": None})
    return sorted(rows, key=lambda row: (row["status"] == "available", row["name"]))


_STATUS: dict[type[PluginError], str] = {
    PluginNotFoundError: "disabled",
    PluginConflictError: "conflict",
    PluginVersionError: "incompatible",
}


@cache
def _registry() -> Registry:
    from flowhold._registry import Registry

    return Registry()
