"""What building, pulling and pushing is at: as the docker command shows it, or as lines."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Display", "display"]

_log = logging.getLogger("flowhold.docker")
_ENDS = ("complete", "exists", "Mounted", "Pushed")


class Display:
    """Shows what an engine tells: bars of layers on a terminal, else a line for each change.

    Args:
        progress: Bars of rich, None where nobody sees them.
    """

    def __init__(self, progress: Any = None) -> None:
        self._progress = progress
        self._bars: dict[str, Any] = {}
        self._told: dict[str, str] = {}

    def line(self, text: str) -> None:
        """Show a line of output."""
        if not text.strip():
            return
        if self._progress is None:
            _log.info("%s", text.rstrip())
        else:
            self._progress.console.print(text.rstrip(), markup=False, highlight=False)

    def layer(self, name: str, status: str, done: int | None, total: int | None) -> None:
        """Show how far one layer is; `done` of `total` bytes, where that is known."""
        if self._progress is None:
            if self._told.get(name) != status:
                _log.info("%s: %s", name, status)
            self._told[name] = status
            return
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(name, total=None)
        sizes = {"total": total, "completed": done} if total else {}
        if any(word in status for word in _ENDS):
            sizes = {"total": 1, "completed": 1}
        self._progress.update(self._bars[name], description=f"{name}: {status}", **sizes)


@contextmanager
def display() -> Iterator[Display]:
    """Give what shows progress, on a terminal until the block ends."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield Display()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Display(progress)
