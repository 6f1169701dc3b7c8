"""Flowhold: keep a workflow's definition anywhere, load and run it from a small reference."""

from __future__ import annotations

# typing.TYPE_CHECKING without the import, which takes longer than all the rest here.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from flowhold._secrets import secret, secrets
    from flowhold.catalog import Catalog
    from flowhold.errors import FlowholdError
    from flowhold.flows import Flow, Parameter, Task, flow, task
    from flowhold.hookspecs import hookimpl
    from flowhold.loading import load
    from flowhold.reference import Reference
    from flowhold.registering import register
    from flowhold.results import LocalResult, Result
    from flowhold.running import FlowRun, TaskRun, logger
    from flowhold.storage.base import Storage
    from flowhold.storage.capabilities import Capability
    from flowhold.store import ObjectInfo, ObjectStore

_HOMES = {
    "Capability": "flowhold.storage.capabilities",
    "Catalog": "flowhold.catalog",
    "Flow": "flowhold.flows",
    "FlowRun": "flowhold.running",
    "FlowholdError": "flowhold.errors",
    "LocalResult": "flowhold.results",
    "ObjectInfo": "flowhold.store",
    "ObjectStore": "flowhold.store",
    "Parameter": "flowhold.flows",
    "Reference": "flowhold.reference",
    "Result": "flowhold.results",
    "Storage": "flowhold.storage.base",
    "Task": "flowhold.flows",
    "TaskRun": "flowhold.running",
    "flow": "flowhold.flows",
    "hookimpl": "flowhold.hookspecs",
    "load": "flowhold.loading",
    "logger": "flowhold.running",
    "register": "flowhold.registering",
    "secret": "flowhold._secrets",
    "secrets": "flowhold._secrets",
    "task": "flowhold.flows",
}

__version__ = "0.1.0"

__all__ = [
    "Capability",
    "Catalog",
    "Flow",
    "FlowRun",
    "FlowholdError",
    "LocalResult",
    "ObjectInfo",
    "ObjectStore",
    "Parameter",
    "Reference",
    "Result",
    "Storage",
    "Task",
    "TaskRun",
    "__version__",
    "flow",
    "hookimpl",
    "load",
    "logger",
    "register",
    "secret",
    "secrets",
    "task",
]


def __getattr__(name: str) -> Any:
    # Names are imported when first used, so that `import flowhold` costs next to nothing.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
