"""A large payload goes to Azure and comes back without further copies of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to know its memory")

MIB = 1 << 20
CHILD = """
import os, re, sys, warnings
from pathlib import Path
import flowhold
from flowhold.storage import Azure

side, container, size, reference = sys.argv[1:]
warnings.simplefilter("ignore")
if side == "store":
    flow = flowhold.Flow("etl")
    flow.payload = os.urandom(int(size))
    storage = Azure(container, overwrite=True, blob_name=f"flow-{size}")
    Path(reference).write_text(flowhold.register(flow, storage=storage).to_json())
else:
    assert len(flowhold.load(reference).payload) == int(size)
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) << 10)
"""


@pytest.fixture(params=[64 * MIB, pytest.param(512 * MIB, marks=pytest.mark.long)])
def payload(request):
    return request.param


def test_a_large_payload_takes_one_copy_and_96_mib(
    payload, azure_server, azure_container, monkeypatch, tmp_path
):
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)

    def peak(side, size):
        arguments = [side, azure_container, str(size), str(tmp_path / f"{size}.json")]
        done = subprocess.run(
            [sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, timeout=1200
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return int(done.stdout)

    for side in ("store", "load"):
        bare = peak(side, MIB)
        growth = peak(side, payload) - bare
        print(f"{side}: {growth / MIB:.0f} MiB over {bare / MIB:.0f}")
        assert growth <= 2 * payload + 96 * MIB
