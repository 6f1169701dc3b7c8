"""Objects and flows of 20 kB: stored and loaded, one by one and many at once."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from itertools import repeat

from durable import write
from loop import serve

THREADS = 16


def function():
    # The task keeps its data as a default value, so that its pickle has 20 kB.
    def task(data=os.urandom(19_000)):  # noqa: B008
        return len(data)

    return task


class Objects:
    """What puts and gets bytes by name."""

    has_objects = True

    def __init__(self, settings) -> None:
        self.settings = settings
        # Of this process alone: others may use the same server.
        self.label = f"{type(self).__name__}-{os.getpid()}"
        self.data = os.urandom(20_000)
        if self.has_objects:
            self.open(settings["place"])

    def measures(self, round_name):
        names = [f"{self.label}/{round_name}/{n}" for n in range(self.settings["count"])]
        yield "store an object", *(partial(self.put, name, self.data) for name in names)
        yield "load an object", *(partial(self.get, name) for name in names)


class Flows(Objects):
    """What stores and loads flows."""

    is_prefect = False

    def measures(self, round_name):
        if self.has_objects:
            yield from super().measures(round_name)
        names = [f"{self.label} {round_name} {n}" for n in range(self.settings["count"])]
        flows = [self.flow(name) for name in names]
        stored = []

        def store(name, flow):
            stored.append(self.store_flow(name, flow))

        yield "store a flow", *map(partial, repeat(store), names, flows)
        yield "load a flow", *map(partial, repeat(self.load_flow), stored)
        # It takes long, and chance has less of a part in it. The orders of these rounds differ.
        if int(round_name.removeprefix("r")) % 5:
            return
        numbers = range(self.settings["flows"])
        if self.settings["many"] or not self.is_prefect:
            yield "build", self.build([f"{self.label} {round_name} many {n}" for n in numbers])


class System(Flows):
    """What has storages, which store all flows that were added to them."""

    def build(self, names):
        storage = self.storage()
        for name in names:
            storage.add_flow(self.flow(name))
        return storage.build


class Flowhold(System):
    def open(self, place) -> None:
        # Webhook has no objects.
        if self.settings["store"]:
            module = import_module(self.settings["module"])
            store = getattr(module, self.settings["store"])(place, **self.settings["options"])
            self.put = lambda name, data: store.put(name, data, if_absent=True)
            self.get = store.get
        else:
            self.has_objects = False
        self.kind = getattr(import_module(self.settings["module"]), self.settings["storage"])

    def storage(self):
        return self.kind(*self.settings["arguments"], **self.settings["options"])

    def flow(self, name):
        from flowhold import Flow, task

        with Flow(name) as flow:
            task(function())()
        return flow

    def store_flow(self, name, flow):
        storage = self.storage()
        storage.add_flow(flow)
        return storage.build().references()[0]

    def load_flow(self, reference):
        reference.open_storage().get_flow(reference.flow)


class Raw(Flows):
    """A bare client with a pickle and its digest."""

    def __init__(self, settings) -> None:
        import cloudpickle

        self.dumps, self.loads = cloudpickle.dumps, cloudpickle.loads
        super().__init__(settings)

    def flow(self, name):
        return function()

    def store_flow(self, name, flow):
        data = self.dumps(flow)
        self.put(name, data)
        return name, hashlib.sha256(data).hexdigest()

    def load_flow(self, stored):
        name, digest = stored
        data = self.get(name)
        assert hashlib.sha256(data).hexdigest() == digest
        self.loads(data)

    def build(self, names):
        items = [(name, self.dumps(self.flow(name))) for name in names]

        def build():
            with ThreadPoolExecutor(THREADS) as executor:
                list(executor.map(lambda item: self.put(*item), items))

        return build


class Boto3(Raw):
    def open(self, place) -> None:
        import boto3
        from botocore.config import Config

        options = self.settings["options"]["client_options"]
        client = boto3.client("s3", config=Config(max_pool_connections=THREADS), **options)
        self.put = lambda name, data: client.put_object(
            Bucket=place, Key=name, Body=data, IfNoneMatch="*"
        )
        self.get = lambda name: client.get_object(Bucket=place, Key=name)["Body"].read()


class Google(Raw):
    def open(self, place) -> None:
        from google.cloud import storage
        from requests.adapters import HTTPAdapter

        client = storage.Client()
        for scheme in ("http://", "https://"):
            client._http.mount(scheme, HTTPAdapter(pool_maxsize=THREADS))
        bucket = client.bucket(place)
        self.put = lambda name, data: bucket.blob(name).upload_from_string(
            data, if_generation_match=0
        )
        self.get = lambda name: bucket.blob(name).download_as_bytes()


class Microsoft(Raw):
    def open(self, place) -> None:
        from azure.storage.blob import ContainerClient

        given = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
        client = ContainerClient.from_connection_string(given, place)
        self.put = lambda name, data: client.upload_blob(name, data, length=len(data))
        self.get = lambda name: client.download_blob(name).readall()


class Requests(Raw):
    def open(self, place) -> None:
        from urllib.parse import quote

        import requests
        from requests.adapters import HTTPAdapter

        session = requests.Session()
        session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))

        def url(name):
            return f"{place}/{quote(name)}"

        def get(name):
            answer = session.get(url(name), timeout=30)
            answer.raise_for_status()
            return answer.content

        self.put = lambda name, data: session.put(
            url(name), data=data, timeout=30
        ).raise_for_status()
        self.get = get


class Files(Raw):
    """Files in one folder."""

    def open(self, place) -> None:
        def put(name, data):
            write(os.path.join(place, name.replace("/", " ")), data)

        def get(name):
            with open(os.path.join(place, name.replace("/", " ")), "rb") as file:
                return file.read()

        os.makedirs(place, exist_ok=True)
        self.put, self.get = put, get


class Prefect1(System):
    has_objects = False
    is_prefect = True

    def flow(self, name):
        import prefect

        with prefect.Flow(name) as flow:
            prefect.task(function())()
        return flow

    def storage(self):
        import prefect.storage

        kind = getattr(prefect.storage, self.settings["storage"])
        return kind(*self.settings["prefect_arguments"], **self.settings["prefect"])

    def store_flow(self, name, flow):
        storage = self.storage()
        storage.add_flow(flow)
        return name, storage.build()

    def load_flow(self, stored):
        name, storage = stored
        storage.get_flow(name)


class S3fs(Objects):
    def open(self, place) -> None:
        import s3fs

        files = s3fs.S3FileSystem(client_kwargs=self.settings["options"]["client_options"])
        self.put = lambda name, data: files.pipe_file(f"{place}/{name}", data)
        self.get = lambda name: files.cat_file(f"{place}/{name}")


class Obstore(Objects):
    def open(self, place) -> None:
        from obstore.store import S3Store

        url = self.settings["options"]["client_options"]["endpoint_url"]
        store = S3Store(place, endpoint=url, client_options={"allow_http": True})
        self.put = lambda name, data: store.put(name, data, mode="create")
        self.get = lambda name: bytes(store.get(name).bytes())


if __name__ == "__main__":
    serve(Flowhold, Boto3, Google, Microsoft, Requests, Files, Prefect1, S3fs, Obstore)
