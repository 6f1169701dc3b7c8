"""Memory

The most memory of a process that stores a flow with a payload of 512 MiB, or loads it, over that of
one with a payload of 1 MiB. Allowed is the flow itself, one copy of its payload and 64 MiB. Plain
is `cloudpickle.dump` to a file and `pickle.load`, without a digest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from peers import OWN, ROOT, Interpreter, interpreter
from rows import Row

MIB = 1 << 20
PROGRAM = ROOT / "benchmarks" / "contenders" / "memory.py"


def rows(size) -> Iterator[Row]:
    """Yield storing and loading, in Local and in S3."""
    sys.path.insert(0, str(ROOT / "tests" / "plugins"))
    import servers

    payload, peer = size(512, 8), interpreter("prefect1")
    contenders = {
        "flowhold": ("Flowhold", OWN),
        "cloudpickle": ("Cloudpickle", OWN),
        "Prefect 1.4.1": ("Prefect1", peer),
    }
    with tempfile.TemporaryDirectory() as folder:
        yield from both("Local", contenders, payload, Path(folder), {})
    with tempfile.TemporaryDirectory() as folder, servers.serving_s3(Path(folder)) as server:
        os.environ.update(
            AWS_ENDPOINT_URL=server.url,
            AWS_ACCESS_KEY_ID=server.access_key,
            AWS_SECRET_ACCESS_KEY=server.secret_key,
            AWS_DEFAULT_REGION=server.region,
        )
        own = {"flowhold": ("Flowhold", OWN)}
        yield from both("S3", own, payload, Path(folder), {"bucket": server.bucket()})


def both(
    where: str,
    contenders: dict[str, tuple[str, Interpreter]],
    payload: int,
    folder: Path,
    settings: dict[str, object],
) -> Iterator[Row]:
    """Yield what is taken over a small payload, by each side."""
    for side in ("store", "load"):
        values: dict[str, float | str] = {}
        for name, (kind, python) in contenders.items():
            values[name] = python.missing or (
                peak(kind, python, side, payload, folder / f"{kind}-big", settings)
                - peak(kind, python, side, 1, folder / f"{kind}-small", settings)
            )
        # The payload of a flow that is stored was in it before.
        values["allowed"] = 2 * payload + 64
        yield Row(f"{where}: {side} {payload} MiB", values, {"allowed": 1}, "MiB")


def peak(
    kind: str,
    python: Interpreter,
    side: str,
    payload: int,
    folder: Path,
    settings: dict[str, object],
) -> float:
    """Return the most memory of one process, in MiB."""
    folder.mkdir(exist_ok=True)
    told = json.dumps(settings | {"folder": str(folder), "size": payload * MIB})
    env = os.environ | {"FLOWHOLD_DATA_DIR": str(folder), "FLOWHOLD_CACHE_DIR": str(folder / "c")}
    command = [python.path, "-W", "ignore", PROGRAM, kind, side, told]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{kind} {side}: {done.stderr[-1000:]}")
    return int(done.stdout.splitlines()[-1]) / MIB
