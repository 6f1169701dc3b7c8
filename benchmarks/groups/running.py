"""Running

Tasks that do nothing, one after another: what a task costs. Then tasks that are busy for 10 ms
each, on executors: beside plain `executor.submit` of the same function. Dask is a `LocalCluster` of
processes with one thread each.
"""

from __future__ import annotations

from collections.abc import Iterator

from peers import OWN, interpreter
from rows import Row
from turns import Contender, alone, in_turn

EXECUTORS = ("threads:2", "processes:1", "processes:2", "dask:1", "dask:2")


def rows(size) -> Iterator[Row]:
    """Yield tasks in a row, then on each executor."""
    count, rounds = size(1000, 50), size(9, 0)
    here = {"executor": "", "tasks": count}
    taken = in_turn(
        {
            "flowhold": Contender("running:Flowhold", OWN, here),
            "plain calls": Contender("running:Plain", OWN, here),
        },
        rounds,
    )
    few = {"executor": "", "tasks": 10}
    slow = alone(Contender("running:Prefect1", interpreter("prefect1"), few), "run", size(5, 0))
    prefect = slow if isinstance(slow, str) else slow / 10
    values = taken["run"].per(count) | {"Prefect 1.4.1": prefect, "allowed": 0.001}
    yield Row("one after another, each task", values, {"allowed": 1})
    tasks = size(200, 10)
    for executor in size(EXECUTORS, ("threads:2", "dask:2")):
        settings = {"executor": executor, "tasks": tasks}
        taken = in_turn(
            {
                "flowhold": Contender("running:Flowhold", OWN, settings),
                "executor.submit": Contender("running:Plain", OWN, settings),
            },
            rounds,
        )
        times = taken["run"].per(tasks)
        yield Row(f"{executor}, each task of 10 ms", times, {"executor.submit": 1.1})
