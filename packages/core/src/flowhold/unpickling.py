"""From a pickle to what is in it, with the files that were stored with it."""

from __future__ import annotations

import io
import pickle
import sys
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

from flowhold import trees

__all__ = ["load"]

_CLOUDPICKLE = "cloudpickle.cloudpickle"
_OFTEN = ("flowhold.flows", _CLOUDPICKLE)
"""Modules that nearly every flow's pickle names, several times."""
_SMALL = 64 << 10
"""Bytes of a pickle beside which an import takes long, and a copy does not."""


def load(pickled: bytes | memoryview, tree: trees.Tree | None = None) -> Any:
    """Unpickle bytes that were verified before.

    Args:
        pickled: The pickle.
        tree: The files that were stored with it: ``__file__`` of its functions points to them, and
            imports of siblings when a task runs find them.
    """
    if tree is not None:
        return _UnpicklerWithFiles(io.BufferedReader(_Source(pickled)), tree).load()
    if len(pickled) > _SMALL:
        return pickle.loads(pickled)
    return _Unpickler(io.BytesIO(pickled)).load()


class _Source(io.RawIOBase):
    """Reads a buffer that may be large, of which ``io.BytesIO`` would make a copy."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._left = memoryview(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class _Unpickler(pickle.Unpickler):
    """Takes what is often named from its module, which pickle would import again each time."""

    def find_class(self, module: str, name: str) -> Any:
        if (
            module in _OFTEN
            and (there := sys.modules.get(module))
            and name in (known := vars(there))
        ):
            sys.audit("pickle.find_class", module, name)
            return known[name]
        return super().find_class(module, name)


class _UnpicklerWithFiles(_Unpickler):
    """Gives by-value functions and modules the files that were stored with their pickle."""

    def __init__(self, file: io.BufferedReader, tree: trees.Tree) -> None:
        super().__init__(file)
        self._tree = tree

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        if module == _CLOUDPICKLE:
            own = {
                "_make_function": self._function,
                "_function_setstate": partial(self._set_state, found),
                "dynamic_subimport": partial(self._module, found),
            }
            return own.get(name, found)
        return found

    def _function(self, code: CodeType, namespace: dict[str, Any], *rest: Any) -> FunctionType:
        self._settle(namespace)
        return FunctionType(code, namespace, *rest)

    def _set_state(self, set_state: Any, function: FunctionType, state: Any) -> None:
        set_state(function, state)
        self._settle(function.__globals__)

    def _module(self, make: Any, name: str, namespace: dict[str, Any]) -> ModuleType:
        self._settle(namespace)
        module: ModuleType = make(name, namespace)
        return module

    def _settle(self, namespace: dict[str, Any]) -> None:
        namespace["__builtins__"] = self._tree.builtins
        path = self._tree.pickled.get(namespace.get("__name__", ""))
        if path is not None:
            own = self._tree.module_name(path)
            namespace["__file__"] = str(self._tree.root / path)
            namespace["__package__"] = (
                own if path.endswith("__init__.py") else own.rpartition(".")[0]
            )
