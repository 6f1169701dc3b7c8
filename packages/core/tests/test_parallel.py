"""One call for many items."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

import flowhold
from flowhold.parallel import THREADS, for_each, in_order


def test_calls_run_at_the_same_time():
    together = threading.Barrier(THREADS, timeout=30)
    for_each(lambda _: together.wait(), range(THREADS), "waiting")


def test_all_items_are_tried_before_the_first_error_is_raised():
    tried = []

    def call(item):
        tried.append(item)
        if item % 2:
            raise ValueError(item)

    with pytest.raises(ValueError, match=r"^1$"):
        for_each(call, range(9), "trying")
    assert sorted(tried) == [*range(9)]


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
