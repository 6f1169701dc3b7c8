"""The command ``flowhold``: a thin layer over the library, for people and for programs."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

__all__ = ["collect_as_usual", "main"]

_USUAL = gc.get_threshold()
_INTERRUPTED = (130, 143)


def main() -> None:
    """Run the command with the arguments of this process, then exit."""
    # What is made while modules are imported stays: looking for garbage then finds none.
    gc.set_threshold(500_000)
    from flowhold.cli.app import run

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)
    arguments = sys.argv[1:]
    code = run(arguments)
    if "--json" in arguments and sys.stderr is not None:
        # The document is out; what is printed while Python exits must not come behind it.
        os.dup2(2, 1)
    if code in _INTERRUPTED:
        # Requests that nobody waits for any more must not keep the process.
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):
                stream.flush()
        os._exit(code)
    if gc.get_threshold() != _USUAL:
        # No flow has run: what is left needs no last look before Python frees it.
        gc.freeze()
    sys.exit(code)


def _end(number: int, _frame: FrameType | None, _own: int = os.getpid()) -> None:
    """End as after an interrupt: what was begun, a container for example, is not left behind."""
    from flowhold.cli.failures import Terminated

    if os.getpid() == _own:
        raise Terminated
    # The workers of an executor end as they do elsewhere.
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def collect_as_usual() -> None:
    """Let Python look for garbage as often as it does elsewhere, before a user's flow runs."""
    # But not through what start-up has made, which stays.
    gc.freeze()
    gc.set_threshold(*_USUAL)
