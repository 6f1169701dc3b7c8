"""A large flow is stored and loaded without further copies of it, and comes back as it was."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MIB = 1 << 20
CHILD = """
import hashlib, json, os, re, sys, flowhold
from pathlib import Path
from flowhold_storage_gcs import GCS

side, bucket, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
if side == "store":
    flow = flowhold.Flow("etl")
    flow.payload = os.urandom(size)
    reference = flowhold.register(flow, storage=GCS(bucket))
    Path("reference.json").write_text(reference.to_json())
else:
    flow = flowhold.load("reference.json")
digest = hashlib.sha256(flow.payload).hexdigest()
# Not getrusage: that also counts what the process that started this one had.
peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(json.dumps([digest, int(peak) << 10]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to know its memory")
@pytest.mark.parametrize("size", [64 * MIB, pytest.param(512 * MIB, marks=pytest.mark.long)])
def test_a_large_flow_takes_96_mib_over_itself_and_one_copy_of_its_payload(gcs_bucket, size):
    def child(side, payload):
        call = [sys.executable, "-W", "ignore", "-c", CHILD, side, gcs_bucket, str(payload)]
        done = subprocess.run(call, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout)

    bare = [child("store", MIB)[1], child("load", MIB)[1]]
    (stored, most_to_store), (loaded, most_to_load) = child("store", size), child("load", size)
    assert stored == loaded
    for least, most in zip(bare, (most_to_store, most_to_load), strict=True):
        print(f"{(most - least - 2 * size) / MIB:.0f} MiB over the flow and one copy")
        assert most - least <= 2 * size + 96 * MIB
