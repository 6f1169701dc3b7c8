"""Cloudpickle as used here: the user's own modules travel by value, the rest by name."""

from __future__ import annotations

import builtins
import importlib
import io
import pickle
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

from flowhold import flows, project, trees
from flowhold.errors import ConfigurationError, SerializationError

__all__ = ["Pickler", "carrying", "dump", "dumps"]

_lock = threading.RLock()
_NAMED = (type, FunctionType, BuiltinFunctionType)
_BASE = {
    id(value): (module, value)
    for module in (builtins, cloudpickle.cloudpickle, flows)
    for value in vars(module).values()
    if isinstance(value, _NAMED) and value.__module__ == module.__name__
}
"""What every flow has some of, by its identity: pickled by name, and cloudpickle need not be asked.

Of an environment the modules of these are always recorded, or never.
"""
_NO_FILE = "<dynamic-code>"
_PRIVATE = ("__builtins__", "__cached__", "__loader__", "__spec__")


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """A cloudpickle pickler that notes which modules the pickle refers to by name."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=5)
        self.modules: set[str] = set()
        self._plain: set[type] = set()

    def reducer_override(self, obj: Any) -> Any:
        """Reduce modules without what belongs to their import, and code with the name of its file.

        The rest is left to cloudpickle.
        """
        if type(obj) in self._plain:
            return NotImplemented
        if (home := _BASE.get(id(obj))) and getattr(home[0], obj.__name__, None) is obj:
            return NotImplemented
        if isinstance(obj, CodeType):
            # Since cloudpickle 3.1.3 no error would show where in the flow it was raised.
            make, parts = cloudpickle.cloudpickle._code_reduce(obj)
            if _NO_FILE in parts:
                place = parts.index(_NO_FILE)
                parts = (*parts[:place], obj.co_filename, *parts[place + 1 :])
            return make, parts
        if isinstance(obj, ModuleType):
            if not cloudpickle.cloudpickle._should_pickle_by_reference(obj):
                state = {key: value for key, value in vars(obj).items() if key not in _PRIVATE}
                return cloudpickle.cloudpickle.dynamic_subimport, (obj.__name__, state)
            self.modules.add(obj.__name__)
        elif not isinstance(obj, _NAMED):
            # Most of a large flow: cloudpickle has nothing to say of it.
            self.modules.add(type(obj).__module__)
            if obj.__class__ is type(obj):  # proxies can stand for anything
                self._plain.add(type(obj))
            return NotImplemented
        elif name := getattr(obj, "__module__", None):
            if isinstance(obj, BuiltinFunctionType) and name.startswith(trees.PREFIX):
                module = name.rpartition(".")[2]
                raise pickle.PicklingError(f"the compiled module {module} cannot go along")
            self.modules.add(name)
        return cloudpickle.Pickler.reducer_override(self, obj)


def dump(flow: Any, modules: Sequence[str | ModuleType] = ()) -> tuple[list[bytes], set[str]]:
    """Pickle a flow.

    Args:
        flow: What to pickle.
        modules: Modules to carry by value besides the user's own.

    Returns:
        The buffers of the pickle, in order, large ones not copied; and the names of the top-level
        modules that it refers to, besides those of each flow.

    Raises:
        SerializationError: Something in the flow cannot be pickled.
    """
    parts = _Parts()
    with carrying(flow, modules) as carried:
        pickler = Pickler(parts)
        pickler.dump(flow)
    return parts, {name.partition(".")[0] for name in pickler.modules} - carried


class _Parts(list[bytes]):
    """What a pickler writes, as it writes it."""

    def write(self, data: bytes) -> None:
        self.append(bytes(data))


def dumps(obj: Any) -> bytes:
    """Return the pickle of an object that goes to another process, as cloudpickle would."""
    file = io.BytesIO()
    Pickler(file).dump(obj)
    return file.getvalue()


class carrying:  # noqa: N801 (it is used as a function)
    """Pickle a flow in this block: what is the user's own goes along, what is raised says why.

    Carried by value are the modules that are given, those of private trees, and those below the
    folder of the script that Python runs. The block gets the names of the top-level ones.

    Args:
        flow: What is pickled.
        modules: Modules to carry by value besides the user's own.

    Raises:
        ConfigurationError: One of the modules cannot be imported.
        SerializationError: Something in the flow cannot be pickled.
    """

    def __init__(self, flow: Any, modules: Sequence[str | ModuleType] = ()) -> None:
        self._flow, self._modules = flow, modules
        self._new: list[ModuleType] = []

    def __enter__(self) -> set[str]:
        """Begin to pickle."""
        _lock.acquire()
        try:
            chosen = {module.__name__: module for module in [*_named(self._modules), *_own()]}
            known = cloudpickle.list_registry_pickle_by_value()
            for name, module in chosen.items():
                if name not in known:
                    cloudpickle.register_pickle_by_value(module)
                    self._new.append(module)
            return {"__main__", *(name.partition(".")[0] for name in chosen)}
        except BaseException:
            self._end()
            raise

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Carry no module any more; raise an error that says which flow and why."""
        self._end()
        if isinstance(error, Exception):
            raise SerializationError(
                f"the flow {getattr(self._flow, 'name', self._flow)!r} cannot be pickled: {error}",
                hint="keep what cannot be pickled out of module level and of the flow, or store it "
                "as a script",
            ) from error

    def _end(self) -> None:
        for module in self._new:
            # What is pickled may have done so itself.
            with suppress(ValueError):
                cloudpickle.unregister_pickle_by_value(module)
        _lock.release()


def _named(modules: Iterable[str | ModuleType]) -> Iterator[ModuleType]:
    for module in modules:
        if isinstance(module, ModuleType):
            yield module
            continue
        try:
            yield importlib.import_module(module)
        except ImportError as error:
            raise ConfigurationError(
                f"pickle_modules names {module!r}, which cannot be imported: {error}",
                hint="name modules by their dotted import name",
            ) from error


def _own() -> Iterator[ModuleType]:
    for tree in trees.open_trees():
        yield sys.modules[tree.name]
    main = project.main_folder()
    for name in project.own_modules(main) if main else ():
        module = sys.modules[name]
        if name != "__main__" and not name.startswith(trees.PREFIX) and module.__name__ == name:
            yield module
