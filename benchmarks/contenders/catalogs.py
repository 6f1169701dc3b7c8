"""A catalog of many flows: what is newest in it, what is in it, and what is added to it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from loop import serve


def name_of(number: int) -> str:
    return f"flow-{number:05}"


def documents(flows: int, versions: int) -> Iterator[tuple[str, bytes]]:
    """Yield key and bytes of each entry of a catalog."""
    from flowhold import Flow
    from flowhold.entries import key_of
    from flowhold.storage import Bytes

    storage = Bytes()
    storage.add_flow(Flow("flow"))
    made = storage.build().references()[0]
    for number in range(flows):
        for version in range(1, versions + 1):
            own = replace(made, flow=name_of(number), version=version)
            yield key_of(own.flow, version), own.to_json().encode()


class Contender:
    def __init__(self, settings) -> None:
        self.settings = settings
        self.names = [name_of(number) for number in range(settings["flows"])]
        self.open(settings)

    def measures(self, round_name):
        chosen = self.names[:: max(1, len(self.names) // self.settings["gets"])]
        yield "newest", lambda: [self.newest(name) for name in chosen[: self.settings["gets"]]]
        yield "list", self.list
        yield "first", self.first


class Flowhold(Contender):
    def open(self, settings) -> None:
        from flowhold import Catalog

        self.catalog = Catalog(settings["url"])

    def storage(self):
        if not self.settings["bucket"]:
            from flowhold.storage import Local

            return Local(self.settings["folder"])
        from flowhold_storage_s3 import S3

        return S3(self.settings["bucket"])

    def newest(self, name):
        return self.catalog.get(name)

    def list(self):
        assert sum(1 for _ in self.catalog.entries()) >= len(self.names)

    def first(self):
        next(self.catalog.entries())

    def measures(self, round_name):
        from flowhold import Flow, register

        yield from super().measures(round_name)
        for what, value in (("new", 1), ("unchanged", 1), ("changed", 2)):
            flow = Flow(f"a {round_name} {os.getpid()}")
            flow.value = value
            options = {"catalog": self.catalog, "storage": self.storage()}
            yield f"register {what}", lambda flow=flow, given=options: register(flow, **given)


class Boto3(Contender):
    """A bare client that keeps the same documents."""

    def open(self, settings) -> None:
        import boto3

        self.client, self.bucket = boto3.client("s3"), settings["bucket"]

    def newest(self, name):
        listed = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{name}/")
        key = listed["Contents"][-1]["Key"]
        return json.loads(self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def keys(self):
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for each in page["Contents"]:
                yield each["Key"].partition("/")[0]

    def list(self):
        assert len(set(self.keys())) >= len(self.names)

    def first(self):
        next(self.keys())


class Files(Contender):
    """The same files, read without Flowhold."""

    def open(self, settings) -> None:
        self.root = Path(settings["url"])

    def newest(self, name):
        folder = self.root / name
        return json.loads((folder / max(os.listdir(folder))).read_bytes())

    def keys(self):
        for name in sorted(os.listdir(self.root)):
            yield name, max(os.listdir(self.root / name), default=None)

    def list(self):
        assert sum(1 for _ in self.keys()) >= len(self.names)

    def first(self):
        list(islice(self.keys(), 1))


if __name__ == "__main__":
    serve(Flowhold, Boto3, Files)
