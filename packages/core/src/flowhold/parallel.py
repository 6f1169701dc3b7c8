"""Runs one call for many items in threads, with a progress bar where somebody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

__all__ = ["THREADS", "for_each"]

THREADS = 16
"""How many calls run at once."""

_T = TypeVar("_T")


def for_each(call: Callable[[_T], Any], items: Sequence[_T], what: str) -> None:
    """Run ``call(item)`` for each item; all are run, then the first error is raised.

    Args:
        call: Is run in threads, unless there is one item only.
        items: What it is run for.
        what: Says at the progress bar what is being done.
    """
    if len(items) < 2:
        for item in items:
            call(item)
        return
    from concurrent.futures import ThreadPoolExecutor, as_completed
    from contextvars import copy_context

    with ThreadPoolExecutor(min(THREADS, len(items))) as executor, _progress() as progress:
        # Secrets that a block gives are found in the threads too.
        futures = [executor.submit(copy_context().run, call, item) for item in items]
        if progress is not None:
            task = progress.add_task(what, total=len(futures))
            for _ in as_completed(futures):
                progress.advance(task)
    for future in futures:
        future.result()


def _progress() -> Any:
    """Return rich's progress bars on a terminal, else a context without any."""
    if sys.stderr is None or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)
