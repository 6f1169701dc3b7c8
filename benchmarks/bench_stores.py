"""S3, GCS and Azure beside the raw SDKs, Prefect 1.4.1, s3fs and obstore, on local servers.

Usage: python benchmarks/bench_stores.py [s3] [gcs] [azure]

Each contender is a process of its own; they take turns, and the best round of each counts: a local
server takes about as long as the work that is compared. Makes the environments of the peers when
first run.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from contenders import BOTO3, GOOGLE, MICROSOFT, OBSTORE, OURS, PREFECT, RAW, S3FS
from peers import ROOT, Worker, environment, in_turn, prefect_1
from side_by_side import report

sys.path.insert(0, str(ROOT / "tests" / "plugins"))
import servers

KINDS = ("s3", "gcs", "azure")
COUNT = 10
ROUNDS = 24
FLOWS = 300

# The most that our time may be of the other's. What stores and loads a flow does more than the raw
# SDK with a pickle (it describes, checks and caches), so that ratio is told and has no goal.
GOALS: dict[str, dict[str, float | None]] = {
    "store an object of 20 kB": {"raw SDK": 1.15},
    "load an object of 20 kB": {"raw SDK": 1.15},
    "store a flow of 20 kB": {"raw SDK": None, "Prefect 1.4.1": None},
    "load a flow of 20 kB": {"raw SDK": None, "Prefect 1.4.1": None},
    # 0.9 of the throughput.
    "build() of many flows": {"raw SDK": 1 / 0.9},
}
PREFECT_GOALS = {"s3": 1 / 2.5}


def prepare(name: str, folder: Path) -> tuple[Any, dict[str, Any], str]:
    """Return a running server's context, the settings of the contenders and the raw program."""
    common = {"count": COUNT, "flows": FLOWS, "options": {}, "prefect": {}}
    if name == "s3":
        return servers.serving_s3(folder), {
            **common, "module": "flowhold_storage_s3", "store": "S3Store", "storage": "S3",
        }, BOTO3  # fmt: skip
    if name == "gcs":
        return servers.serving_gcs(folder), {
            **common, "module": "flowhold_storage_gcs", "store": "GCSStore", "storage": "GCS",
        }, GOOGLE  # fmt: skip
    return servers.serving_azure(folder), {
        **common, "module": "flowhold_storage_azure", "store": "AzureStore", "storage": "Azure",
    }, MICROSOFT  # fmt: skip


def compare(name: str, folder: Path, prefect: str | None, stores: str | None) -> bool:
    """Compare the contenders on one kind of storage; return whether the goals are met."""
    serving, settings, raw = prepare(name, folder)
    with serving as server:
        settings["bucket"] = server.bucket() if name != "azure" else server.container()
        if name == "s3":
            options = {"client_options": {"endpoint_url": server.url}}
            settings.update(options=options, prefect=options)
            os.environ.update(
                AWS_ACCESS_KEY_ID=server.access_key,
                AWS_SECRET_ACCESS_KEY=server.secret_key,
                AWS_DEFAULT_REGION=server.region,
                AWS_EC2_METADATA_DISABLED="true",
            )
        elif name == "gcs":
            os.environ.update(STORAGE_EMULATOR_HOST=server.url, GOOGLE_CLOUD_PROJECT="project")
        else:
            os.environ["AZURE_STORAGE_CONNECTION_STRING"] = server.connection_string
        workers = {
            "flowhold": Worker(sys.executable, OURS, settings),
            "raw SDK": Worker(sys.executable, RAW.replace("CLIENT", raw), settings),
        }
        if prefect:
            workers["Prefect 1.4.1"] = Worker(prefect, PREFECT, settings)
        if stores and name == "s3":
            workers["s3fs"] = Worker(stores, S3FS, settings)
            workers["obstore"] = Worker(stores, OBSTORE, settings)
        met = True
        for measure, times in in_turn(workers, ROUNDS).items():
            count = FLOWS if measure.startswith("build") else COUNT
            each = {contender: seconds / count for contender, seconds in times.items()}
            goals = {
                ("flowhold", peer): PREFECT_GOALS.get(name) if peer == "Prefect 1.4.1" else goal
                for peer, goal in GOALS[measure].items()
                if peer in each
            }
            met &= report(f"{name}: {measure}, each", each, goals)
    return met


def main() -> int:
    """Run all and return 0 if every goal is met."""
    begin = time.perf_counter()
    names = [name for name in sys.argv[1:] if name in KINDS] or [*KINDS]
    prefect = prefect_1()
    stores = environment("bench-stores", "3.11", ["s3fs", "obstore"])
    met = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("DATA", "CACHE", "CONFIG"):
            os.environ[f"FLOWHOLD_{kind}_DIR"] = os.path.join(folder, kind.lower())
        for name in names:
            own = Path(folder, name)
            own.mkdir()
            met.append(compare(name, own, prefect, stores))
    print(
        f"\n{'all goals met' if all(met) else 'goals missed'}; "
        f"took {time.perf_counter() - begin:.0f} s"
    )
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
