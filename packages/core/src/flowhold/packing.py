"""From a flow to the object that is stored: a pickle, a script's bytes, or a bundle of files."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from flowhold import environment, project, trees
from flowhold.adapters import unadapt
from flowhold.envelope import seal
from flowhold.errors import ConfigurationError

__all__ = ["Packing", "Payload"]


class Payload:
    """An object to store.

    Attributes:
        kind: ``pickle``, ``script`` or ``bundle``.
        parts: Its bytes, to be written one after another.
        environment: What it was made with.
        size: In bytes.
        sha256: Digest of the bytes, in hex.
    """

    def __init__(self, kind: str, parts: list[bytes], environment: dict[str, Any]) -> None:
        self.kind, self.parts, self.environment = kind, parts, environment
        self.size = sum(map(len, parts))
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        self.sha256 = digest.hexdigest()


@dataclass
class Packing:
    """How a storage packs its flows.

    Args:
        script: The script's file; None where no script is known.
        as_script: Store the script instead of a pickle.
        include: Patterns of files to store with it, or None.
        modules: Modules to pickle by value.
    """

    script: Path | None
    as_script: bool = False
    include: Sequence[str] | None = None
    modules: Sequence[str | ModuleType] = ()

    def fingerprint(self, flow: Any) -> str:
        """Return the fingerprint of what :meth:`pack` would store, without packing it."""
        digest = hashlib.sha256()
        if not self.as_script:
            from flowhold.fingerprint import fingerprint

            digest.update(fingerprint(unadapt(flow), self.modules).encode())
        elif self.include is None:
            digest.update(self._path().read_bytes())
        if self.include is not None:
            from flowhold.bundles import collect

            entries = collect(self._path().parent, self.include, self._always())
            digest.update(seal({"files": [entry.to_json() for entry in entries]}))
            digest.update(self._path().name.encode())
        return digest.hexdigest()

    def pack(self, flow: Any) -> Payload:
        """Return the object to store for a flow."""
        header: dict[str, Any] = {}
        body: list[bytes] = []
        if self.as_script:
            kind = "script" if self.include is None else "bundle"
            own = project.own_modules(self._path().parent)
            recorded = environment.record(_imported_by(sys.modules[name] for name in own))
            if self.include is None:
                return Payload(kind, [self._path().read_bytes()], recorded)
        else:
            from flowhold.pickling import dump

            kind = "pickle"
            body, used = dump(unadapt(flow), self.modules)
            recorded = environment.record(used)
            header = {"flow": flow.name, "environment": recorded, "pickle": sum(map(len, body))}
        if self.include is not None:
            from flowhold.bundles import pack

            path = self._path()
            entries, frame = pack(path.parent, self.include, self._always())
            body += frame
            header |= {"script": path.name, "files": [entry.to_json() for entry in entries]}
            if not self.as_script:
                header["modules"] = _relative(path.parent)
        return Payload(kind, [seal({**header, "kind": kind}), *body], recorded)

    def _always(self) -> set[str]:
        """Return the paths of the files to store whatever `include` says."""
        path = self._path()
        return {path.name, *_relative(path.parent).values()} if self.as_script else set()

    def _path(self) -> Path:
        if self.script is None:
            raise ConfigurationError(
                "there is no script to store",
                hint="give local_script_path=, or register by `flowhold register FILE`",
            )
        if not self.script.is_file():
            raise ConfigurationError(
                f"the script {self.script} does not exist", hint="check local_script_path"
            )
        return self.script.absolute()


def _relative(root: Path) -> dict[str, str]:
    """Return the paths below ``root`` of the user's loaded modules, by name."""
    own = project.own_modules(root)
    return {name: file.relative_to(root).as_posix() for name, file in own.items()}


def _imported_by(modules: Iterable[ModuleType]) -> set[str]:
    """Return the names of the modules that the top-level values of ``modules`` come from."""
    names = set()
    for module in modules:
        for value in vars(module).values():
            is_module = isinstance(value, ModuleType)
            name = getattr(value, "__name__" if is_module else "__module__", "")
            if isinstance(name, str) and not name.startswith(trees.PREFIX):
                names.add(name)
    return names
