"""Runs one call for many items in threads: all at once, or in order and a little ahead."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue
from typing import Any, TypeVar

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
    with _threads(min(THREADS, len(items))) as start, _progress() as progress:
        ended = SimpleQueue[_Outcome]()
        for item in items:
            start(call, item, ended)
        task = progress and progress.add_task(what, total=len(items))
        for _ in items:
            _result(ended)
            if progress:
                progress.advance(task)


def in_order(call: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
    """Yield ``call(item)`` for each item in their order, while threads work a little ahead."""
    with _threads(THREADS) as start:
        ahead: deque[SimpleQueue[_Outcome]] = deque()
        for item in items:
            ahead.append(SimpleQueue())
            start(call, item, ahead[-1])
            if len(ahead) > THREADS:
                yield _result(ahead.popleft())
        while ahead:
            yield _result(ahead.popleft())


_Outcome = tuple[Any, "BaseException | None"]


def _result(ended: SimpleQueue[_Outcome]) -> Any:
    """Wait for what a call returned, or raise what it raised."""
    result, error = ended.get()
    if error is not None:
        raise error
    return result


@contextmanager
def _threads(most: int) -> Iterator[Callable[..., None]]:
    """Give what runs calls in threads; on an error what has not begun is dropped.

    Futures are not used: an interrupt of a wait can leave one locked, and its thread never ends.
    """
    from contextvars import copy_context
    from threading import Thread

    todo = SimpleQueue[Any]()
    threads: list[Thread] = []
    dropped = False

    def work() -> None:
        while (task := todo.get()) is not None:
            run, call, item, ended = task
            if dropped:
                continue
            try:
                ended.put((run(call, item), None))
            except BaseException as error:  # noqa: BLE001 - is raised by what waits for it
                ended.put((None, error))
        todo.put(None)

    def start(call: Callable[[_T], Any], item: _T, ended: SimpleQueue[_Outcome]) -> None:
        # Secrets that a block gives are found in the threads too.
        todo.put((copy_context().run, call, item, ended))
        if len(threads) < most:
            thread = Thread(target=work)
            thread.start()
            threads.append(thread)

    wait = True
    try:
        yield start
    except BaseException as error:
        dropped = True
        # What was begun ends first, unless somebody is waiting at a keyboard.
        wait = isinstance(error, Exception)
        raise
    finally:
        todo.put(None)
        for thread in threads if wait else ():
            thread.join()


def _progress() -> Any:
    """Return rich's progress bars on a terminal, else a context without any."""
    if sys.stderr is None or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)
