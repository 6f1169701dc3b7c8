"""The user's own code: the script that is run or registered, and the modules beside it."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = [
    "is_installed",
    "main_folder",
    "main_script",
    "own_modules",
    "registered_script",
    "registering",
]

_script: ContextVar[Path | None] = ContextVar("flowhold_script", default=None)


@contextmanager
def registering(script: Path) -> Iterator[None]:
    """Mark ``script`` as the one whose flows are registered in this block."""
    token = _script.set(Path(os.path.abspath(script)))
    try:
        yield
    finally:
        _script.reset(token)


def registered_script() -> Path | None:
    """Return the script whose flows are being registered, if any."""
    return _script.get()


def main_script() -> Path | None:
    """Return the script that Python runs, unless it is an installed program or there is none."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return _own_script(file) if file else None


def main_folder() -> str | None:
    """Return the folder of the script that :func:`main_script` returns."""
    script = main_script()
    return _folder_of(script) if script else None


@lru_cache(maxsize=8)
def _own_script(file: str) -> Path | None:
    path = Path(os.path.abspath(file))
    return None if is_installed(path) else path


@lru_cache(maxsize=8)
def _folder_of(script: Path) -> str:
    return str(script.parent)


def own_modules(folder: str | os.PathLike[str]) -> Mapping[str, Path]:
    """Return the loaded modules with a ``.py`` file below a folder: file by module name, sorted.

    What is installed there, Python and its packages among it, is not the user's own.
    """
    # Many flows are stored one after another, with a thousand modules loaded that do not change.
    number, last = _loaded()
    folder = os.fspath(folder)
    known = _known.get(folder)
    if known is None or known.number != number or known.last is not last:
        while len(_known) >= 8:
            _known.pop(next(iter(_known)), None)
        known = _known[folder] = _Known(number, last, _own_modules(folder))
    return MappingProxyType(known.modules)


class _Known(NamedTuple):
    number: int
    last: Any
    modules: dict[str, Path]


_known: dict[str, _Known] = {}


def _loaded() -> tuple[int, Any]:
    """Return what changes with the modules that are loaded: their number, and the last one.

    What is imported comes last, and is another object if it was there before.
    """
    try:
        return len(sys.modules), sys.modules.get(next(reversed(sys.modules)))
    except RuntimeError:  # another thread is importing
        return 0, object()


def _own_modules(folder: str) -> dict[str, Path]:
    found = {}
    for name in sorted(sys.modules.copy()):
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and name.partition(".")[0] != "flowhold":
            path = Path(os.path.abspath(file))
            if path.is_relative_to(folder) and not is_installed(path) and path.is_file():
                found[name] = path
    return found


@lru_cache(maxsize=4096)
def is_installed(path: Path) -> bool:
    """Whether a file is of Python, of an installed package, or a program of one."""
    # Not all that is below sys.prefix: that can be /usr, and a project below it.
    if not {"site-packages", "dist-packages"}.isdisjoint(path.parts):
        return True
    return any(path.is_relative_to(home) for home in _homes())


@lru_cache(maxsize=1)
def _homes() -> list[str]:
    homes = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "scripts")]
    return [*homes, os.path.join(sys.base_prefix, "bin")]
