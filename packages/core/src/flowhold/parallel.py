"""Runs one call for many items in threads: all at once, or in order and a little ahead."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["THREADS", "for_each", "in_order"]

THREADS = 16
"""How many calls run at once."""

_T = TypeVar("_T")
_R = TypeVar("_R")


def for_each(call: Callable[[_T], Any], items: Sequence[_T], what: str) -> None:
    """Run ``call(item)`` for each item; after an error none is begun, and the error is raised.

    Args:
        call: Is run in threads, unless there is one item only.
        items: What it is run for.
        what: Says at the progress bar what is being done.
    """
    if len(items) < 2:
        for item in items:
            call(item)
        return
    from concurrent.futures import as_completed

    with _threads(len(items)) as submit, _progress() as progress:
        futures = [submit(call, item) for item in items]
        task = progress and progress.add_task(what, total=len(futures))
        for future in as_completed(futures):
            future.result()
            if progress:
                progress.advance(task)


def in_order(call: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
    """Yield ``call(item)`` for each item in their order, while threads work a little ahead."""
    with _threads(THREADS) as submit:
        ahead: deque[Future[_R]] = deque()
        for item in items:
            ahead.append(submit(call, item))
            if len(ahead) > THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


@contextmanager
def _threads(count: int) -> Iterator[Callable[..., Future[Any]]]:
    """Give what runs calls in threads; on an error what has not begun is dropped."""
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    executor = ThreadPoolExecutor(min(THREADS, count))
    try:
        # Secrets that a block gives are found in the threads too.
        yield lambda call, item: executor.submit(copy_context().run, call, item)
    except BaseException as error:
        # What was begun ends first, unless somebody is waiting at a keyboard.
        executor.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    executor.shutdown()


def _progress() -> Any:
    """Return rich's progress bars on a terminal, else a context without any."""
    if sys.stderr is None or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)
