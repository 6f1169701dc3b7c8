"""A large payload is stored and loaded without further copies of it."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to know its memory")

PROMISE = "memory: storing or loading takes 64 MiB over the flow and one copy of its payload"
MIB = 1 << 20


@pytest.mark.parametrize("kind", ["pickle", "bundle", "pickle with files"])
def test_memory(kind, child, trying, size, tmp_path):
    payload = size(512 * MIB, 64 * MIB)
    # A pickle's payload is in the flow itself; of files nothing has to be in memory but a copy.
    flow = payload if kind == "pickle" else 0
    for name in ("bare", "real"):
        (tmp_path / name).mkdir()
    for side in trying(PROMISE, ["store", "load"]):
        bare = child("memory.py", side, kind, MIB, tmp_path / "bare")
        most = child("memory.py", side, kind, payload, tmp_path / "real")
        print(f"{side}: {(most - bare) / MIB:.0f} MiB over {bare / MIB:.0f}")
        assert most - bare <= flow + payload + 64 * MIB
