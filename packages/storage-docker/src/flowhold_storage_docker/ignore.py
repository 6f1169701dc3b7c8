"""What the patterns of a ``.dockerignore`` leave out of a folder, as Docker reads them."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

from flowhold.errors import ConfigurationError

__all__ = ["Ignore", "read_ignore"]

# What Python makes by itself, and never the same twice.
_ALWAYS = ("**/__pycache__", "**/*.pyc")
_PIECE = re.compile(r"(?s)\*\*/?|\*|\?|\[(?P<negated>\^?)(?P<set>(?:\\.|[^\]\\])+)\]|\\.|.")


class Ignore:
    """Says which paths are left out: the last pattern that fits them, or a folder above, decides.

    Args:
        patterns: As in a ``.dockerignore``; ``!`` before one takes back what others leave out.

    Raises:
        ConfigurationError: One of them is no pattern.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        self._kept: list[str] = []
        for pattern in (*patterns, *_ALWAYS):
            kept = pattern.startswith("!")
            path = posixpath.normpath(pattern[kept:].strip() or "!").lstrip("/")
            if path == "!":
                raise ConfigurationError("a `!` in the ignore file has no pattern behind it")
            if path in ("", "."):
                continue
            self._rules.append((kept, _compiled(path)))
            if kept:
                self._kept.append(path)

    def leaves_out(self, path: str) -> bool:
        """Whether a path, relative and with ``/``, is left out."""
        for kept, expression in reversed(self._rules):
            if expression.fullmatch(path):
                return not kept
        return False

    def may_keep_below(self, folder: str) -> bool:
        """Whether something in a folder that is left out may be kept."""
        return any(kept.startswith(f"{folder}/") or set("*?[\\") & set(kept) for kept in self._kept)


def read_ignore(path: str | os.PathLike[str] | None) -> list[str]:
    """Return the patterns of a ``.dockerignore`` file, of none where there is no path.

    Raises:
        ConfigurationError: It cannot be read, or has in it what is no pattern.
    """
    if path is None:
        return []
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the ignore file {path} cannot be read: {error}") from error
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    Ignore(patterns)
    return patterns


def _compiled(pattern: str) -> re.Pattern[str]:
    """Return an expression for the paths that a pattern fits, and for all below them."""
    parts = []
    for found in _PIECE.finditer(pattern):
        piece = found[0]
        if piece.startswith("**"):
            parts.append(".*" if found.end() == len(pattern) else "(?:.*/)?")
        elif piece in ("*", "?"):
            parts.append("[^/]*" if piece == "*" else "[^/]")
        elif found["set"]:
            # Python would take some pairs in it for operations on sets.
            chars = re.sub(r"([\[&|~])", r"\\\1", found["set"])
            parts.append(f"[{found['negated']}{chars}]")
        else:
            parts.append(re.escape(piece[-1]))
    try:
        return re.compile(f"{''.join(parts)}(?:/.*)?", re.DOTALL)
    except re.error as error:
        raise ConfigurationError(
            f"{pattern!r:.80} in the ignore file is no pattern: {error}"
        ) from error
