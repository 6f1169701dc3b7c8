"""The private trees of modules that are open in this process, all found by one meta-path finder."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from flowhold.errors import FlowNotFoundError
from flowhold.imports import PREFIX, Tree

__all__ = [
    "PREFIX",
    "Tree",
    "is_loading",
    "loading_code",
    "neutral",
    "open_folder",
    "open_tree",
    "open_trees",
]

_NAME = re.compile(rf"{PREFIX}[0-9a-f]+")

_loading: ContextVar[bool] = ContextVar("flowhold_loading", default=False)
_trees: dict[str, Tree] = {}
_lock = threading.RLock()


def is_loading() -> bool:
    """Whether a flow's script or module is being loaded by Flowhold right now, in this context."""
    return _loading.get()


@contextmanager
def loading_code() -> Iterator[None]:
    """Mark the block as loading a flow's code: ``register()`` and ``run()`` in it do nothing."""
    token = _loading.set(True)
    try:
        yield
    finally:
        _loading.reset(token)


class _Finder:
    """Finds the modules of every open tree."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not fullname.startswith(PREFIX):
            return None
        tree = _trees.get(fullname.partition(".")[0])
        return tree.find(fullname) if tree else None


def open_tree(
    digest: str,
    root: Path,
    script: str,
    manifest: Mapping[str, str],
    pickled: Mapping[str, str] | None = None,
) -> Tree:
    """Return the tree of a verified, unpacked flow; one tree for one digest and script.

    Args:
        digest: sha256 (hex) of the stored object.
        root: Folder with its files.
        script: Path of the script below ``root``.
        manifest: sha256 (hex) of each file by its path.
        pickled: Path by name of the modules that a pickle carries by value.
    """
    mark = hashlib.sha256(script.encode()).hexdigest()[:8]
    return _open(Tree(f"{PREFIX}{digest[:32]}{mark}", root, script, manifest, pickled or {}))


def open_folder(script: Path) -> Tree:
    """Return the tree of a script that runs in place; a new one when one of its files was changed.

    Raises:
        FlowNotFoundError: There is no such file, or it is not a ``.py`` file.
    """
    path = Path(os.path.abspath(script))
    if not path.is_file() or path.suffix != ".py":
        problem = "is not a .py file" if path.is_file() else "does not exist"
        raise FlowNotFoundError(
            f"the script {path} {problem}", location=str(path), hint="check the path"
        )
    digest = hashlib.sha256(f"{path}\0".encode() + path.read_bytes())
    with _lock:
        while (tree := _trees.get(PREFIX + digest.hexdigest()[:40])) and tree.is_stale():
            for relative in sorted(tree.sources):
                file = tree.root / relative
                digest.update(file.read_bytes() if file.is_file() else b"")
            digest.update(tree.name.encode())
        return _open(Tree(PREFIX + digest.hexdigest()[:40], path.parent, path.name))


def open_trees() -> list[Tree]:
    """Return the trees of this process that have modules loaded."""
    with _lock:
        return [tree for tree in _trees.values() if tree.name in sys.modules]


def neutral(text: str) -> str:
    """Return ``text`` with the names of trees, which depend on the machine, blanked."""
    return _NAME.sub(PREFIX, text)


def _open(tree: Tree) -> Tree:
    """Return the open tree of that name and folder, or make this one it."""
    with _lock:
        if _Finder not in sys.meta_path:
            # Before the finder of Python's own that would look into the folders of packages.
            sys.meta_path.insert(0, _Finder)
        known = _trees.get(tree.name)
        if known is not None and known.root == tree.root:
            return known
        for module in known.modules() if known else ():
            del sys.modules[module.__name__]
        _trees[tree.name] = tree
        return tree
