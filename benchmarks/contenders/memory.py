"""One large payload, stored or loaded: ``memory.py Class store|load JSON``.

Prints the most memory that this process had, in bytes.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path


def peak() -> int:
    """Return the most memory this process had since its program began, in bytes."""
    # Not getrusage: that also counts what the process that started this one had.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) << 10


class Flowhold:
    def __init__(self, settings) -> None:
        self.place = Path(settings["folder"], "reference.json")
        self.bucket = settings.get("bucket")
        self.folder = settings["folder"]

    def store(self, payload):
        import flowhold
        from flowhold.storage import Local

        flow = flowhold.Flow("etl")
        flow.payload = payload
        if self.bucket:
            from flowhold_storage_s3 import S3

            storage = S3(self.bucket)
        else:
            storage = Local(self.folder)
        self.place.write_text(flowhold.register(flow, storage=storage).to_json())

    def load(self):
        import flowhold

        return flowhold.load(self.place).payload


class Cloudpickle:
    def __init__(self, settings) -> None:
        self.path = Path(settings["folder"], "plain")

    def store(self, payload):
        import cloudpickle

        with open(self.path, "wb") as file:
            cloudpickle.dump({"payload": payload}, file)

    def load(self):
        import pickle

        with open(self.path, "rb") as file:
            return pickle.load(file)["payload"]


class Prefect1:
    def __init__(self, settings) -> None:
        from prefect.storage import Local

        self.storage = Local(directory=settings["folder"], path=f"{settings['folder']}/prefect")

    def store(self, payload):
        import prefect

        flow = prefect.Flow("etl")
        flow.payload = payload
        self.storage = type(self.storage)(directory=self.storage.directory)
        location = self.storage.add_flow(flow)
        Path(self.storage.directory, "location").write_text(location)

    def load(self):
        self.storage.flows["etl"] = Path(self.storage.directory, "location").read_text()
        return self.storage.get_flow("etl").payload


def main() -> None:
    kind, side, told = sys.argv[1:]
    settings = json.loads(told)
    contender = {"Flowhold": Flowhold, "Cloudpickle": Cloudpickle, "Prefect1": Prefect1}[kind]
    own = contender(settings)
    if side == "store":
        own.store(os.urandom(settings["size"]))
    else:
        assert len(own.load()) == settings["size"]
    print(peak())


if __name__ == "__main__":
    main()
