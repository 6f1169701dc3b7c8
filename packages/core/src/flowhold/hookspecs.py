"""The hooks that a plugin can implement, and the decorator that marks an implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from flowhold.plugins import StorageInfo
    from flowhold.reference import Reference
    from flowhold.storage.base import Storage

__all__ = ["hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("flowhold")
hookimpl = pluggy.HookimplMarker("flowhold")


@hookspec
def flowhold_storages() -> list[StorageInfo]:
    """Return the storages of this plugin; called when one of them is first asked for by name.

    It belongs in the module that the entry points ``flowhold.storage.v1`` and
    ``flowhold.object_store.v1`` name, which imports no SDK. All other hooks belong in the module of
    an entry point ``flowhold.plugins.v1``.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def flowhold_secret(name: str) -> str | None:
    """Return a secret, None if unknown here; called when nothing else has it.

    An error stops the search, so that no other provider's value stands in for the right one. One of
    :mod:`flowhold.errors` is shown as it is, of any other the type only: its text may hold values.
    """


@hookspec(firstresult=True)
def flowhold_adapt_flow(obj: Any) -> Any | None:
    """Return `obj` as a flow, something with a ``name`` and ``run``, or None if it is not yours.

    Called for every object that may be a flow, so look at its type before anything else.
    """


@hookspec
def flowhold_built(storage: Storage, references: list[Reference]) -> None:
    """Called after a storage has stored its flows, with the references to them."""


@hookspec
def flowhold_loaded(reference: Reference, flow: Any) -> None:
    """Called after a flow has been loaded from a reference."""
