"""The process's standard streams: who may write to which, and what becomes of messages."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from flowhold import trees
from flowhold.redaction import mask

__all__ = ["broken_pipe", "messages", "stdout_to_stderr"]


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send to stderr what anything writes to stdout, subprocesses and C code included."""
    if sys.stdout is None:
        yield
        return
    sys.stdout.flush()
    saved = os.dup(1)
    sink = os.dup(2) if sys.stderr is not None else os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.close(sink)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        for stream in (sys.__stdout__, sys.stdout, sys.stderr):
            if stream is not None:
                with suppress(ValueError, OSError):
                    stream.flush()
        os.dup2(saved, 1)
        os.close(saved)


@contextmanager
def messages(warn: Callable[[str], None], note: Callable[[str], None]) -> Iterator[None]:
    """Hand on Python's warnings, and what Flowhold and its tasks log, as text."""

    def showwarning(message: Warning | str, *_args: Any, **_options: Any) -> None:
        warn(mask(str(message)))

    logger = logging.getLogger("flowhold")
    handler = _Handler(warn, note)
    level, runs = logger.level, logging.getLogger("flowhold.run")
    # What fails in a run is reported at its end.
    quiet, runs.disabled = runs.disabled, True
    logger.addHandler(handler)
    if level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("default", UserWarning)
                # Who registers a script is told of what it should call otherwise.
                warnings.filterwarnings("default", "", DeprecationWarning, trees.PREFIX)
            warnings.showwarning = showwarning
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        runs.disabled = quiet


class _Handler(logging.Handler):
    def __init__(self, warn: Callable[[str], None], note: Callable[[str], None]) -> None:
        super().__init__()
        self.warn = warn
        self.note = note

    def emit(self, record: logging.LogRecord) -> None:
        # A script that sets up logging sees to these itself.
        if logging.getLogger().handlers:
            return
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 (arguments that do not fit)
            self.handleError(record)
            return
        if record.levelno < logging.WARNING:
            self.note(f"{record.name.removeprefix('flowhold.task.')}: {text}")
        else:
            self.warn(text)


def broken_pipe() -> int:
    """Return the exit code where nobody reads stdout any more, and write no more to it."""
    with suppress(OSError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.close(sink)
        # What is left in the buffer goes nowhere, too.
        sys.stdout.flush()
    return 1
