"""Flows in modules that the machine running them can import."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, ClassVar

from flowhold import environment
from flowhold.errors import FlowNotFoundError
from flowhold.selection import find_flow, import_named, module_of_main, no_module, split_target
from flowhold.storage.records import Record
from flowhold.storage.scripts import ScriptStorage

__all__ = ["Module", "check_module", "extract_module", "flow_of_module", "module_fingerprint"]


class Module(ScriptStorage):
    """Finds flows in an importable module; it floats with what is installed.

    Args:
        module: ``pkg.mod`` or ``pkg.mod:attr``, where ``attr`` is a flow or a function without
            arguments that returns one. ``Module(__name__)`` works in the file that is run.
        **common: See :class:`~flowhold.Storage`.
    """

    shown: ClassVar[tuple[str, ...]] = ("module",)

    def __init__(self, module: str, **common: Any) -> None:
        super().__init__(**common)
        target, attribute = split_target(module)
        if target == "__main__":
            target = module_of_main()
        self.module = f"{target}:{attribute}" if attribute else target

    def _locate(self, flow: Any) -> Record:
        return Record(self.module, "module")

    def _bare(self, location: str, *, allow_unverified: bool) -> Record | None:
        return Record(location, "module") if location == self.module else None

    def _load(self, name: str | None, record: Record, *, allow_unverified: bool) -> Any:
        target, attribute = split_target(record.location)
        return flow_of_module(target, name, attribute or record.attribute, record.environment)

    def _check(self, record: Record) -> str:
        return check_module(split_target(record.location)[0])

    def _extract(self, name: str | None, record: Record, folder: Path) -> None:
        extract_module(split_target(record.location)[0], folder)

    def fingerprint(self, flow: Any) -> str | None:
        """Return a hash of the module's source as it is here."""
        return module_fingerprint(split_target(self.module)[0])


def flow_of_module(
    target: str, name: str | None, attribute: str | None, recorded: Mapping[str, Any]
) -> Any:
    """Import a module by its name and return one of its flows."""
    where = f"the module {target}"
    with environment.explained(recorded, where):
        return find_flow(import_named(target), name, attribute, where=where)


def check_module(target: str) -> str:
    """Return where a module is, without importing it itself; raise FlowNotFoundError if nowhere."""
    return f"{target} is {_spec(target).origin or 'a namespace package'}, floating"


def module_fingerprint(target: str) -> str | None:
    """Return the sha256 (hex) of a module's source file, or None where it has none."""
    source = _source(target)
    return None if source is None else hashlib.sha256(source.read_bytes()).hexdigest()


def extract_module(target: str, folder: Path) -> None:
    """Copy a module's source file into a folder; raise FlowNotFoundError where it has none."""
    source = _source(target)
    if source is None:
        raise FlowNotFoundError(f"the module {target!r} has no source file", location=target)
    (folder / source.name).write_bytes(source.read_bytes())


def _source(target: str) -> Path | None:
    origin = Path(_spec(target).origin or "")
    return origin if origin.is_file() else None


def _spec(target: str) -> ModuleSpec:
    """Find a module as an import would, but without importing the packages that it is in."""
    top, *parts = target.split(".")
    spec = None
    with suppress(ImportError, ValueError, AttributeError):
        spec = importlib.util.find_spec(top)
        for part in parts:
            folders = (spec and spec.submodule_search_locations) or []
            spec = PathFinder.find_spec(f"{top}.{part}", [*folders])
            top = f"{top}.{part}"
    if spec is None:
        raise no_module(target)
    return spec
