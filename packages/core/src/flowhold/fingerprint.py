"""A hash of a flow's content that is the same in every process, for telling whether it changed.

Cloudpickle's bytes are not reproducible: sets have no order, classes get random tracker ids, and
whether two equal strings are one object depends on how they were loaded. What is hashed here is a
canonical pickling that is never stored nor loaded: strings, bytes, code and sets enter by their
values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

from cloudpickle import cloudpickle

from flowhold import pickling, project, trees

__all__ = ["fingerprint"]

_TRACKER_LENGTH = 32
_PLAIN = {int, float, bool, type(None)}
# Methods, and a deprecated twin of co_linetable.
_LEFT = {"co_lines", "co_positions", "co_branches", "co_lnotab"}


def fingerprint(flow: Any, modules: Sequence[str | ModuleType] = ()) -> str:
    """Return the fingerprint of a flow that is stored as a pickle.

    Args:
        flow: What would be pickled.
        modules: As for :func:`flowhold.pickling.dump`.

    Raises:
        SerializationError: Something in the flow cannot be pickled.
    """
    roots = [str(tree.root) for tree in trees.open_trees()]
    if main := project.main_folder():
        roots.append(main)
    with pickling.carrying(flow, modules):
        return _digest(flow, tuple(roots), frozenset())


def _digest(obj: Any, roots: tuple[str, ...], inside: frozenset[int]) -> str:
    sink = hashlib.sha256()
    _Canonical(sink, roots, inside).dump(obj)
    return sink.hexdigest()


class _Canonical(pickling.Pickler):
    def __init__(self, sink: Any, roots: tuple[str, ...], inside: frozenset[int]) -> None:
        super().__init__(SimpleNamespace(write=sink.update))
        self.roots = roots
        self.inside = inside
        self.unordered: dict[int, Any] = {}

    def persistent_id(self, obj: Any) -> str | None:
        kind = type(obj)
        if kind is str:
            return self._text(obj)
        if kind is bytes:
            return f"bytes:{hashlib.sha256(obj).hexdigest()}"
        if kind is set or kind is frozenset:
            return f"{kind.__name__}:{self._members(obj)}"
        if kind is CodeType:
            return f"code:{self._code(obj)}"
        if kind is tuple:
            return f"names:{sorted(obj)}" if id(obj) in self.unordered else None
        if isinstance(obj, type):
            # Python 3.13 derives this tuple of a class from a set.
            names = vars(obj).get("__static_attributes__")
            if names:
                self.unordered[id(names)] = names
        return None

    def _text(self, text: str) -> str:
        if len(text) == _TRACKER_LENGTH and text in cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID:
            return "tracker"
        for root in self.roots:
            if text.startswith(root):
                return f"file:{text[len(root) :]}"
        return f"text:{trees.neutral(text)}"

    def _members(self, members: Any) -> str:
        if id(members) in self.inside:
            return "itself"
        inside = self.inside | {id(members)}
        return ",".join(
            sorted(
                f"{type(member).__name__}:{member!r}"
                if type(member) in _PLAIN
                else _digest(member, self.roots, inside)
                for member in members
            )
        )

    def _code(self, code: CodeType) -> str:
        fields: list[Any] = []
        for name in dir(code):
            if name.startswith("co_") and name not in _LEFT:
                field = getattr(code, name)
                if isinstance(field, tuple):
                    # Whether equal constants are one object depends on whether the code came from
                    # a .pyc file.
                    field = [_digest(item, self.roots, self.inside) for item in field]
                fields.append(field)
        return _digest(fields, self.roots, self.inside)
