"""A writer that is killed leaves the old, the new or nothing, never a part; the next run works."""

from __future__ import annotations

import os
import signal

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL") or not hasattr(os, "fork"), reason="needs SIGKILL and fork"
)

PROMISE = "crash: a writer killed at any point leaves old, new or nothing, and the next run works"
OPERATIONS = {  # and how many of its points are in the sample
    "Put": 4,
    "Create": 4,
    "CreateWithoutLinks": 3,
    "Register": 4,
    "Unpack": 4,
    "Fill": 3,
    "WriteResult": 3,
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_a_step(operation, child, trying, size, tmp_path):
    count = size(0, OPERATIONS[operation])
    base = tmp_path / "ordeal"
    base.mkdir()
    outcome = child("ordeal.py", operation, "kill", base, os.environ["FLOWHOLD_TEST_SEED"], count)
    assert outcome["points"] > 5
    for problem in trying(PROMISE, outcome["problems"]):
        assert problem == ""


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_a_time(operation, child, trying, size, tmp_path):
    count = size(40, 2)
    base = tmp_path / "ordeal"
    base.mkdir()
    outcome = child("ordeal.py", operation, "time", base, os.environ["FLOWHOLD_TEST_SEED"], count)
    for problem in trying(PROMISE, outcome["problems"]):
        assert problem == ""
