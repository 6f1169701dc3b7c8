"""From a pickle to what is in it, with the files that were stored with it."""

from __future__ import annotations

import io
import pickle
import sys
from types import CodeType, FunctionType, ModuleType
from typing import Any

from flowhold import trees

__all__ = ["load"]

_CLOUDPICKLE = "cloudpickle.cloudpickle"
_OFTEN = ("flowhold.flows", _CLOUDPICKLE)
"""Modules that are in every flow's pickle."""
_names: dict[str, dict[str, Any]] = {}
"""What is in those of them that were imported."""


def load(data: bytes, begin: int, end: int, tree: trees.Tree | None = None) -> Any:
    """Unpickle bytes that were verified before.

    Args:
        data: The pickle, and what is before and behind it.
        begin: Where it begins.
        end: Where it ends; nothing behind that is looked at.
        tree: The files that were stored with it: ``__file__`` of its functions points to them, and
            imports of siblings when a task runs find them.
    """
    file: io.BufferedIOBase
    if end == len(data):
        file = io.BytesIO(data)
        file.seek(begin)
    else:
        file = io.BufferedReader(_Source(memoryview(data)[begin:end]))
    return (_Unpickler(file) if tree is None else _UnpicklerWithFiles(file, tree)).load()


class _Source(io.RawIOBase):
    """Reads a part of bytes that may be large, of which ``io.BytesIO`` would make a copy."""

    def __init__(self, part: memoryview) -> None:
        self._left = part

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class _Unpickler(pickle.Unpickler):
    """Imports once what is in every flow, which takes longer than all else where it is small."""

    def find_class(self, module: str, name: str) -> Any:
        if (known := _names.get(module)) and name in known:
            sys.audit("pickle.find_class", module, name)
            return known[name]
        found = super().find_class(module, name)
        if module in _OFTEN:
            _names[module] = vars(sys.modules[module])
        return found


class _UnpicklerWithFiles(_Unpickler):
    """Gives by-value functions and modules the files that were stored with their pickle."""

    def __init__(self, file: io.BufferedIOBase, tree: trees.Tree) -> None:
        super().__init__(file)
        self._tree = tree

    def find_class(self, module: str, name: str) -> Any:
        if module == _CLOUDPICKLE:
            own = {
                "_make_function": self._function,
                "_function_setstate": self._set_state,
                "dynamic_subimport": self._module,
            }
            if name in own:
                return own[name]
        return super().find_class(module, name)

    def _function(self, code: CodeType, namespace: dict[str, Any], *rest: Any) -> FunctionType:
        self._settle(namespace)
        return FunctionType(code, namespace, *rest)

    def _set_state(self, function: FunctionType, state: Any) -> None:
        super().find_class(_CLOUDPICKLE, "_function_setstate")(function, state)
        self._settle(function.__globals__)

    def _module(self, name: str, namespace: dict[str, Any]) -> ModuleType:
        self._settle(namespace)
        module: ModuleType = super().find_class(_CLOUDPICKLE, "dynamic_subimport")(name, namespace)
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
