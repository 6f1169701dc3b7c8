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

from peers import ROOT, Worker, environment, in_turn
from side_by_side import report

sys.path.insert(0, str(ROOT / "tests" / "plugins"))
import servers

KINDS = ("s3", "gcs", "azure")
COUNT = 40
FLOWS = 300

OBJECTS = """
data = os.urandom(20_000)
def measures(round):
    names = [f"{label}/{round}/{number}" for number in range(settings["count"])]
    yield "store an object of 20 kB", lambda: [put(name, data) for name in names]
    yield "load an object of 20 kB", lambda: [get(name) for name in names]
"""

# The task keeps its data as a default value, so that its pickle has 20 kB.
FLOW = """
def function():
    def task(data=os.urandom(19_000)):
        return len(data)
    return task
"""

OURS = (
    """
import importlib, os
from flowhold import Flow, task
module = importlib.import_module(settings["module"])
"""
    + FLOW
    + """
def made(name):
    with Flow(name) as flow:
        task(function())()
    return flow

store = getattr(module, settings["store"])(settings["bucket"], **settings["options"])
put = lambda name, data: store.put(name, data, if_absent=True)
get, label = store.get, "flowhold"
"""
    + OBJECTS
    + """
measures_of_objects = measures
def measures(round):
    yield from measures_of_objects(round)
    make = lambda: getattr(module, settings["storage"])(settings["bucket"], **settings["options"])
    flows = [made(f"{round} {number}") for number in range(settings["count"])]
    references = []
    def store_flows():
        for flow in flows:
            storage = make()
            storage.add_flow(flow)
            references.extend(storage.build().references())
    def load_flows():
        for reference in references:
            reference.open_storage().get_flow(reference.flow)
    yield "store a flow of 20 kB", store_flows
    yield "load a flow of 20 kB", load_flows
    many = make()
    for number in range(settings["flows"]):
        many.add_flow(made(f"{round} many {number}"))
    yield "build() of many flows", many.build
"""
)

RAW = (
    """
import hashlib, os
from concurrent.futures import ThreadPoolExecutor
import cloudpickle
CLIENT
"""
    + FLOW
    + OBJECTS
    + """
measures_of_objects = measures
def measures(round):
    yield from measures_of_objects(round)
    functions = [function() for _ in range(settings["count"])]
    names = [f"raw-flows/{round}/{number}" for number in range(settings["count"])]
    digests = {}
    def store_flows():
        for name, made in zip(names, functions):
            data = cloudpickle.dumps(made)
            digests[name] = hashlib.sha256(data).hexdigest()
            put(name, data)
    def load_flows():
        for name in names:
            data = get(name)
            assert hashlib.sha256(data).hexdigest() == digests[name]
            cloudpickle.loads(data)
    yield "store a flow of 20 kB", store_flows
    yield "load a flow of 20 kB", load_flows
    numbers = range(settings["flows"])
    many = [(f"raw-many/{round}/{number}", cloudpickle.dumps(function())) for number in numbers]
    def build():
        with ThreadPoolExecutor(16) as executor:
            list(executor.map(lambda item: put(*item), many))
    yield "build() of many flows", build
"""
)

BOTO3 = """
import boto3
from botocore.config import Config
options = settings["options"]["client_options"]
client = boto3.client("s3", config=Config(max_pool_connections=32), **options)
bucket = settings["bucket"]
put = lambda name, data: client.put_object(Bucket=bucket, Key=name, Body=data, IfNoneMatch="*")
get = lambda name: client.get_object(Bucket=bucket, Key=name)["Body"].read()
label = "boto3"
"""

GOOGLE = """
from google.cloud import storage
client = storage.Client()
from requests.adapters import HTTPAdapter
for scheme in ("http://", "https://"):
    client._http.mount(scheme, HTTPAdapter(pool_maxsize=32))
bucket = client.bucket(settings["bucket"])
put = lambda name, data: bucket.blob(name).upload_from_string(data, if_generation_match=0)
get = lambda name: bucket.blob(name).download_as_bytes()
label = "google"
"""

MICROSOFT = """
from azure.storage.blob import ContainerClient
given = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
client = ContainerClient.from_connection_string(given, settings["bucket"])
put = lambda name, data: client.upload_blob(name, data, length=len(data))
get = lambda name: client.download_blob(name).readall()
label = "azure"
"""

PREFECT = (
    """
import os
import prefect, prefect.storage
"""
    + FLOW
    + """
def made(name):
    with prefect.Flow(name) as flow:
        prefect.task(function())()
    return flow

kind = getattr(prefect.storage, settings["storage"])
make = lambda: kind(settings["bucket"], **settings["prefect"])
def measures(round):
    flows = [made(f"{round} {number}") for number in range(settings["count"])]
    stored = []
    def store_flows():
        for flow in flows:
            storage = make()
            storage.add_flow(flow)
            stored.append(storage.build())
    def load_flows():
        for flow, storage in zip(flows, stored):
            storage.get_flow(flow.name)
    yield "store a flow of 20 kB", store_flows
    yield "load a flow of 20 kB", load_flows
"""
)

S3FS = (
    """
import os, s3fs
files = s3fs.S3FileSystem(client_kwargs=settings["options"]["client_options"])
put = lambda name, data: files.pipe_file(f"{settings['bucket']}/{name}", data)
get = lambda name: files.cat_file(f"{settings['bucket']}/{name}")
label = "s3fs"
"""
    + OBJECTS
)

OBSTORE = (
    """
import os
from obstore.store import S3Store
url = settings["options"]["client_options"]["endpoint_url"]
store = S3Store(settings["bucket"], endpoint=url, client_options={"allow_http": True})
put = lambda name, data: store.put(name, data, mode="create")
get = lambda name: bytes(store.get(name).bytes())
label = "obstore"
"""
    + OBJECTS
)

GOALS = {
    "store an object of 20 kB": {"raw SDK": 1.15},
    "load an object of 20 kB": {"raw SDK": 1.15},
    "store a flow of 20 kB": {"raw SDK": 1.15, "Prefect 1.4.1": 1 / 2.5},
    "load a flow of 20 kB": {"raw SDK": 1.15, "Prefect 1.4.1": 1 / 2.5},
    # 0.9 of the throughput.
    "build() of many flows": {"raw SDK": 1 / 0.9},
}


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
        for measure, times in in_turn(workers).items():
            count = FLOWS if measure.startswith("build") else COUNT
            each = {contender: seconds / count for contender, seconds in times.items()}
            goals = {
                ("flowhold", peer): goal for peer, goal in GOALS[measure].items() if peer in each
            }
            met &= report(f"{name}: {measure}, each", each, goals)
    return met


def main() -> int:
    """Run all and return 0 if every goal is met."""
    begin = time.perf_counter()
    names = [name for name in sys.argv[1:] if name in KINDS] or [*KINDS]
    prefect = environment(
        "bench-prefect1",
        "3.10",
        ["prefect==1.4.1", "pendulum<3", "marshmallow<4", "setuptools<70", "boto3",
         "google-cloud-storage", "azure-storage-blob"],
    )  # fmt: skip
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
