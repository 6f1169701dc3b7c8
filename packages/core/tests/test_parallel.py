"""One call for many items."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

import flowhold
from flowhold.parallel import THREADS, for_each, in_order


def test_calls_run_at_the_same_time():
    together = threading.Barrier(THREADS, timeout=30)
    for_each(lambda _: together.wait(), range(THREADS), "waiting")


def test_after_an_error_nothing_more_is_begun():
    tried = []

    def call(item):
        tried.append(item)
        if item == 1:
            raise ValueError("one")
        time.sleep(0.05)

    with pytest.raises(ValueError, match="one"):
        for_each(call, range(500), "trying")
    assert len(tried) < 200


def test_what_was_begun_ends_before_the_error_is_raised():
    ended = []

    def call(item):
        if item == 0:
            raise ValueError("zero")
        time.sleep(0.2)
        ended.append(item)

    with pytest.raises(ValueError, match="zero"):
        for_each(call, range(THREADS), "trying")
    before = len(ended)
    time.sleep(0.4)
    assert len(ended) == before


def test_an_interrupt_ends_what_has_not_begun():
    source = (
        "import os, signal, sys, time\n"
        "from flowhold.parallel import for_each\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def call(item):\n"
        "    sys.stdout.write('.'); sys.stdout.flush()\n"
        "    if item == 20: os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(0.1)\n"
        "for_each(call, range(2000), 'trying')\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, timeout=60)
    assert b"KeyboardInterrupt" in done.stderr
    assert done.stdout.count(b".") < 500


def test_secrets_of_a_block_are_found_in_every_thread():
    found = []
    with flowhold.secrets({"TOKEN": "t"}):
        for_each(lambda _: found.append(flowhold.secret("TOKEN")), range(40), "asking")
    assert found == ["t"] * 40


def test_what_is_worked_on_ahead_comes_in_order_and_is_not_all_started_at_once():
    started = []

    def call(item):
        started.append(item)
        return -item

    results = in_order(call, range(500))
    assert next(results) == 0
    assert len(started) <= THREADS + 1
    assert [*results] == [-item for item in range(1, 500)]


def test_an_error_comes_where_its_item_would():
    results = in_order(lambda item: 1 // item, [1, 2, 0, 3])
    assert [next(results), next(results)] == [1, 0]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.skipif(sys.platform == "win32", reason="terminals as POSIX has them")
@pytest.mark.parametrize("terminal", [True, False])
def test_a_progress_bar_is_for_terminals_only(terminal):
    import pty

    source = (
        "from flowhold.parallel import for_each; import time;"
        "for_each(lambda _: time.sleep(0.3), range(20), 'Storing flows')"
    )
    controller, end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", source],
        stderr=end if terminal else subprocess.PIPE,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(end)
        shown = b""
        if terminal:
            try:
                while data := os.read(controller, 4096):
                    shown += data
            except OSError:
                pass  # that is how a terminal ends
        else:
            shown = process.stderr.read()
    os.close(controller)
    assert process.returncode == 0
    assert (b"Storing flows" in shown) is terminal
    assert terminal or shown == b""
