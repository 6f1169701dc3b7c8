"""Flows of many tasks, to bytes and back."""

from __future__ import annotations

import hashlib

from loop import serve

FUNCTIONS = 10


def functions():
    def made(number):
        def add(x):
            return x + number

        return add

    return [made(number) for number in range(FUNCTIONS)]


class Contender:
    """Flows in which each task takes the value of the one before."""

    def __init__(self, settings) -> None:
        made = functions()
        self.open()
        self.repeats = settings["repeats"]
        self.flows = {
            count: self.flow([made[number % FUNCTIONS] for number in range(count)])
            for count in settings["counts"]
        }

    def chained(self, task, functions) -> None:
        value = 0
        for function in functions:
            value = task(function)(value)

    def measures(self, round_name):
        for count, flow in self.flows.items():
            times = range(max(1, self.repeats // count))
            stored = []

            def serialize(flow=flow, times=times, stored=stored):
                for _ in times:
                    stored.append(self.serialize(flow))

            def load(stored=stored):
                for each in stored:
                    self.load(each)

            yield f"serialize {count}", serialize
            yield f"load {count}", load


class Flowhold(Contender):
    def flow(self, functions):
        from flowhold import Flow, task

        with Flow("etl") as flow:
            self.chained(task, functions)
        return flow

    def open(self):
        from flowhold.packing import Packing
        from flowhold.unpacking import flow_from_bytes

        self.packing, self.unpack = Packing, flow_from_bytes

    def serialize(self, flow):
        payload = self.packing(None).pack(flow)
        return b"".join(payload.parts), payload.sha256

    def load(self, stored):
        data, digest = stored
        assert hashlib.sha256(data).hexdigest() == digest
        self.unpack(data, "pickle", name="etl")


class Cloudpickle(Flowhold):
    def open(self):
        import cloudpickle

        self.serialize, self.load = cloudpickle.dumps, cloudpickle.loads


class Prefect1(Contender):
    def flow(self, functions):
        from prefect import Flow, task

        with Flow("etl") as flow:
            self.chained(task, functions)
        return flow

    def open(self):
        from prefect.utilities import storage

        self.serialize = storage.flow_to_bytes_pickle
        self.load = storage.flow_from_bytes_pickle


if __name__ == "__main__":
    serve(Flowhold, Cloudpickle, Prefect1)
