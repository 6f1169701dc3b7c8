"""How the modules of a private tree are found and imported.

The modules of a tree live as ``flowhold_tree_<digest>.…``. Absolute imports of siblings resolve
through a ``__import__`` of the tree's own in the ``__builtins__`` of its modules: the script's
folder first, then the tree's root. ``sys.path`` and the working directory never change.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from flowhold.errors import IntegrityError

__all__ = ["PREFIX", "Tree"]

PREFIX = "flowhold_tree_"
_SUFFIXES = [*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES]


@dataclass(eq=False)
class Tree:
    """A folder whose modules are private to the flows loaded from it.

    Args:
        name: Name of the tree's root package.
        root: The folder.
        script: Path of the script below ``root``, with ``/`` between its parts.
        manifest: sha256 (hex) by path of the files that belong to the tree; None trusts the folder.
        pickled: Path by name of the modules that a pickle carries by value.
    """

    name: str
    root: Path
    script: str
    manifest: Mapping[str, str] | None = None
    pickled: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.builtins = {**vars(builtins), "__import__": self._import}
        self.sources: dict[str, str] = {}
        self._tops: dict[str, str | None] = {}

    @property
    def path(self) -> Path:
        """The script's file."""
        return self.root / self.script

    def load(self) -> ModuleType:
        """Import the script, once in this process, and return its module."""
        return importlib.import_module(self.module_name(self.script))

    def module_name(self, path: str) -> str:
        """Return the full name of the module that a ``.py`` file of the tree is."""
        parts = path.removesuffix(".py").split("/")
        if parts[-1] == "__init__":
            parts.pop()
        return ".".join(
            [self.name, *(part.replace("%", "%25").replace(".", "%2E") for part in parts)]
        )

    def modules(self) -> list[ModuleType]:
        """Return the modules of the tree that are loaded, the root package first."""
        return [
            module
            for name, module in sorted(sys.modules.items())
            if name == self.name or name.startswith(f"{self.name}.")
        ]

    def read(self, path: str, data: bytes) -> bytes:
        """Return the bytes of a Python file if they are the ones that belong to the tree.

        Raises:
            IntegrityError: The file was changed after it was verified and unpacked, or added.
        """
        relative = Path(path).relative_to(self.root).as_posix()
        if self.manifest is not None and relative not in self.manifest:
            # It may be reached by a link to a folder of the tree.
            real = os.path.relpath(os.path.realpath(path), os.path.realpath(self.root))
            relative = real.replace(os.sep, "/")
        digest = hashlib.sha256(data).hexdigest()
        if self.manifest is not None and self.manifest.get(relative) != digest:
            raise IntegrityError(
                f"{relative} is not the file that was stored with the flow",
                location=path,
                hint=f"remove the folder {self.root.parent}; it is made anew when the flow is "
                f"loaded",
            )
        self.sources[relative] = digest
        return data

    def is_stale(self) -> bool:
        """Whether a file was changed after it was imported from a folder that is not verified."""
        if self.manifest is not None:
            return False
        for relative, digest in list(self.sources.items()):
            try:
                data = (self.root / relative).read_bytes()
            except OSError:
                return True
            if hashlib.sha256(data).hexdigest() != digest:
                return True
        return False

    def find(self, fullname: str) -> ModuleSpec | None:
        """Return the spec of a module of this tree, or None where no file or folder is it."""
        parts = fullname.split(".")[1:]
        base = self.root.joinpath(*(part.replace("%2E", ".").replace("%25", "%") for part in parts))
        package = base / "__init__.py"
        if package.is_file():
            return self._spec(fullname, package, [str(base)])
        if parts and (file := base.parent / f"{base.name}.py").is_file():
            return self._spec(fullname, file, None)
        if base.is_dir():
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(base)]
            return spec
        other = PathFinder.find_spec(fullname, [str(base.parent)])
        if other is not None and other.origin:
            # An extension module, for example.
            self.read(other.origin, Path(other.origin).read_bytes())
        return other

    def _spec(self, fullname: str, path: Path, search: list[str] | None) -> ModuleSpec | None:
        loader = _Loader(fullname, str(path), self)
        return importlib.util.spec_from_file_location(
            fullname, path, loader=loader, submodule_search_locations=search
        )

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Stand in for ``builtins.__import__`` in the modules of the tree."""
        top = name.partition(".")[0]
        if level == 0 and (private := self._top(top)):
            name = private + name[len(top) :]
            if not fromlist:
                importlib.import_module(name)
                return sys.modules[private]
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    def _top(self, top: str) -> str | None:
        """Return the private name of a sibling module, or None for a module from outside."""
        private = self._tops.get(top)
        # A folder that is not verified can get another file at any time.
        if private is None and (self.manifest is None or top not in self._tops):
            private = self._tops[top] = self._find_top(top)
        return private

    def _find_top(self, top: str) -> str | None:
        # As for a script that Python runs: built-in modules come before the script's folder, and a
        # folder without __init__.py counts only where nothing else has the name.
        if top == "flowhold" or top in sys.builtin_module_names:
            return None
        if self.manifest is not None and len(self.manifest) == 1:
            # A script stored alone has no siblings, and its file is named after its flow.
            return None
        folder = self.script.rpartition("/")[0]
        namespaces = []
        for base in dict.fromkeys([folder, ""]):
            if base != folder and top in sys.stdlib_module_names:
                continue
            path = f"{base}/{top}" if base else top
            files = [f"{path}/__init__.py", *(f"{path}{suffix}" for suffix in _SUFFIXES)]
            if any((self.root / file).is_file() for file in files):
                return self.module_name(path)
            if (self.root / path).is_dir():
                namespaces.append(path)
        if namespaces and not _is_installed(top):
            return self.module_name(namespaces[0])
        return None


class _Loader(SourceFileLoader):
    """Runs a verified source file with the builtins of its tree, and never writes byte code."""

    def __init__(self, fullname: str, path: str, tree: Tree) -> None:
        super().__init__(fullname, path)
        self.tree = tree

    def get_data(self, path: str) -> bytes:
        data = super().get_data(path)
        return self.tree.read(path, data) if path == self.path else data

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self.tree.builtins
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102


def _is_installed(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False
