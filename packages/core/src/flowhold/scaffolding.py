"""Writes the beginning of a distribution with a storage of one's own."""

from __future__ import annotations

import keyword
import os
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from flowhold import __version__, plugins
from flowhold.errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.abc import Traversable

__all__ = ["write_storage"]

_SUFFIX = ".txt"
"""Of templates, so that no tool takes them for modules and projects."""


def write_storage(name: str, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a distribution whose storage works, to be changed; return the paths of its files.

    Args:
        name: Of the storage, and the scheme of its URLs: lower-case letters and digits.
        folder: Where to; made where there is none.

    Raises:
        ConfigurationError: The name cannot be one or is taken, or the folder is not empty.
    """
    if not re.fullmatch("[a-z][a-z0-9]{0,39}", name) or keyword.iskeyword(name):
        raise ConfigurationError(
            f"{name[:60]!r} cannot be the name of a storage",
            hint="use lower-case letters and digits, a letter first, as in 'mynas'",
        )
    if name in plugins.taken():
        raise ConfigurationError(
            f"the name {name!r} is taken", hint="see `flowhold plugins`, and choose another one"
        )
    root = Path(folder)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ConfigurationError(
            f"{root} is there already, and not an empty folder", hint="choose another folder"
        )
    package = f"flowhold_storage_{name}"
    values = {
        "name": name,
        "class_name": name.capitalize(),
        "package": package,
        "version": ".".join(__version__.split(".")[:2]),
    }
    texts = {path: Template(text).substitute(values) for path, text in _templates()}
    texts["src/package/py.typed"] = ""
    written = []
    for place, text in sorted(texts.items()):
        path = root / place.replace("src/package", f"src/{package}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _templates() -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each template."""
    folders: list[tuple[str, Traversable]] = [("", files("flowhold") / "scaffold")]
    for base, folder in folders:
        for entry in folder.iterdir():
            if entry.is_dir():
                folders.append((f"{base}{entry.name}/", entry))
            elif entry.name.endswith(_SUFFIX):
                yield base + entry.name.removesuffix(_SUFFIX), entry.read_text(encoding="utf-8")
