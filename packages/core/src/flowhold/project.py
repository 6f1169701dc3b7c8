"""The user's own code: the script that is run or registered, and the modules beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

__all__ = ["main_script", "own_modules", "registered_script", "registering"]

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
    if not file or _is_installed(path := Path(os.path.abspath(file))):
        return None
    return path


def own_modules(folder: Path) -> dict[str, Path]:
    """Return the loaded modules with a ``.py`` file below a folder: file by module name, sorted.

    What is installed there, Python and its packages among it, is not the user's own.
    """
    found = {}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and not name.startswith("flowhold."):
            path = Path(os.path.abspath(file))
            if path.is_relative_to(folder) and not _is_installed(path) and path.is_file():
                found[name] = path
    found.pop("flowhold", None)
    return found


def _is_installed(path: Path) -> bool:
    prefixes = {os.path.abspath(prefix) for prefix in (sys.prefix, sys.base_prefix)}
    return "site-packages" in path.parts or any(path.is_relative_to(prefix) for prefix in prefixes)
