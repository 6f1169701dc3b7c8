"""What a build prints: its lines by step, without the values of build arguments."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from flowhold_storage_docker.errors import BuildError, failure, of_command

__all__ = ["BuildLog"]

_TAIL = 30
_SHORTEST = 4
"""Characters of a value that is masked: masking each 1 would leave nothing to be read."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_HINTS = (
    (
        ("No matching distribution", "Could not find a version", "NewConnectionError"),
        "check python_dependencies; PIP_INDEX_URL and the like can be given by env_vars, and "
        "build_kwargs={'network_mode': 'host'} gives the build this machine's network",
    ),
    (
        ("requires a different Python", "requires Python"),
        "the image to build on has a Python that is too old: take one such as python:3.11-slim",
    ),
    (
        ('"python": executable file not found', "No module named pip"),
        "the image to build on needs `python` with pip on its PATH, as python:3.11-slim has",
    ),
    (
        ("externally-managed-environment",),
        "the Python of this image is its distribution's: set PIP_BREAK_SYSTEM_PACKAGES=1 by "
        "env_vars, or build on an image such as python:3.11-slim",
    ),
)


class BuildLog:
    """Lines of a build as they come, and the error of one that fails.

    Args:
        name: Of the image.
        secrets: Texts that are masked wherever they occur.
    """

    def __init__(self, name: str, secrets: Iterable[object] = ()) -> None:
        self.name = name
        lines = {line for text in secrets for line in str(text).splitlines()}
        # The longest first, as one may be a part of another.
        self._hidden = sorted((it for it in lines if len(it) >= _SHORTEST), key=len, reverse=True)
        self._step = ""
        self._begun = ""
        self._tail = deque[str](maxlen=_TAIL)

    def hear(self, text: str) -> Iterator[str]:
        """Take a piece of output, and yield the lines that end in it."""
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            yield self._add(line)

    def end(self) -> Iterator[str]:
        """Yield the line that has no end."""
        begun, self._begun = self._begun, ""
        if begun:
            yield self._add(begun)

    def _add(self, text: str) -> str:
        line = self.masked(_COLOURS.sub("", text)).rstrip()
        if line.startswith("Step "):
            self._step = line
            self._tail.clear()
        elif line.strip() and not line.startswith((" --->", "Removing intermediate container")):
            self._tail.append(line)
        return line

    def masked(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in self._hidden:
            text = text.replace(secret, "***")
        return text

    def error(self, problem: Any) -> BuildError:
        """Return the error to raise for what an engine, or the SDK, says of a failed build."""
        known = failure(problem, self.name)
        said = self.masked(problem if isinstance(problem, str) else str(known))
        output = "\n".join([said, *self._tail])
        hint = next((hint for marks, hint in _HINTS if any(mark in output for mark in marks)), None)
        if hint is None and not of_command(said):
            hint = known.hint
        where = f" at {self._step}" if self._step else ""
        return BuildError(
            f"the image {self.name} could not be built{where}: {output}",
            storage="Docker",
            hint=hint or "the output above says what failed",
        )
