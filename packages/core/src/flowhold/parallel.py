"""Runs one call for many items in threads: all at once, or in order and a little ahead."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

__all__ = ["THREADS", "for_each", "in_order"]

THREADS = 16
"""How many calls run at once."""

_T = TypeVar("_T")
_R = TypeVar("_R")


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


def in_order(call: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
    """Yield ``call(item)`` for each item in their order, while threads work a little ahead."""
    from concurrent.futures import Future, ThreadPoolExecutor
    from contextvars import copy_context

    with ThreadPoolExecutor(THREADS) as executor:
        ahead: deque[Future[_R]] = deque()
        for item in items:
            ahead.append(executor.submit(copy_context().run, call, item))
            if len(ahead) > THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _progress() -> Any:
    """Return rich's progress bars on a terminal, else a context without any."""
    if sys.stderr is None or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)
