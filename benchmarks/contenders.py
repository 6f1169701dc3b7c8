"""What each contender of the benchmark of object stores does, as programs for workers."""

from __future__ import annotations

__all__ = ["BOTO3", "GOOGLE", "MICROSOFT", "OBSTORE", "OURS", "PREFECT", "RAW", "S3FS"]

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
