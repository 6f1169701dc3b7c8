"""Runs of many tasks: as flows, and as plain calls and futures of one function."""

from __future__ import annotations

import contextlib
import hashlib
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from loop import serve


def nothing(number=0):
    return number


def work(number=0, seconds=0.01):
    """Be busy for a while, in a way that lets other threads work."""
    end, data = time.perf_counter() + seconds, bytes(1 << 16)
    while time.perf_counter() < end:
        hashlib.sha256(data)
    return number


@contextlib.contextmanager
def executor(kind, workers):
    """Give an executor; a cluster of Dask has one thread in each process."""
    if kind == "dask":
        from distributed import Client, LocalCluster

        options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
        with LocalCluster(**options) as cluster, Client(cluster) as client:
            yield client.get_executor()
    else:
        made = {"threads": ThreadPoolExecutor, "processes": ProcessPoolExecutor}[kind]
        with made(workers) as pool:
            yield pool


class Flowhold:
    """Runs the tasks of a flow."""

    def __init__(self, settings) -> None:
        self.stack = contextlib.ExitStack()
        self.executor = None
        if settings["executor"]:
            kind, _, workers = settings["executor"].partition(":")
            self.executor = self.stack.enter_context(executor(kind, int(workers)))
        self.count = settings["tasks"]
        self.function = work if self.executor else nothing

    def measures(self, round_name):
        from flowhold import Flow, task

        with Flow("bench") as flow:
            for number in range(self.count):
                task(self.function)(number)

        def run():
            assert flow.run(executor=self.executor).state == "success"

        yield "run", run


class Plain(Flowhold):
    """Calls the function, or submits it."""

    def measures(self, round_name):
        def run():
            if self.executor is None:
                for number in range(self.count):
                    self.function(number)
                return
            futures = [self.executor.submit(self.function, n) for n in range(self.count)]
            for future in futures:
                future.result()

        yield "run", run


class Prefect1(Flowhold):
    """Runs the tasks of a flow, here."""

    def measures(self, round_name):
        from prefect import Flow, task

        with Flow("bench") as flow:
            for number in range(self.count):
                task(self.function)(number)

        def run():
            assert flow.run().is_successful()

        yield "run", run


if __name__ == "__main__":
    serve(Flowhold, Plain, Prefect1)
