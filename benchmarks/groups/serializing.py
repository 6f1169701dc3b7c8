"""Flows to bytes and back

Flows of tasks that each take the value of the one before, of ten functions. Flowhold's side is what
all of its storages do: the pickle, its description and digest; on loading, the digest is checked.
Cloudpickle is `dumps` and `loads` of the same flow and nothing else. Prefect is its own
`flow_to_bytes_pickle` and `flow_from_bytes_pickle`. All three run under the Python of Prefect
1.4.1, with the same cloudpickle.
"""

from __future__ import annotations

from collections.abc import Iterator

from peers import OWN, interpreter
from rows import Row
from turns import Contender, in_turn

COUNTS = (1, 100, 1000)


def rows(size) -> Iterator[Row]:
    """Yield serializing and loading for each number of tasks."""
    repeats = size(200, 20)
    settings = {"counts": COUNTS, "repeats": repeats}
    prefect = interpreter("prefect1")
    same = OWN if prefect.missing else prefect
    taken = in_turn(
        {
            "flowhold": Contender("serializing:Flowhold", same, settings),
            "cloudpickle": Contender("serializing:Cloudpickle", same, settings),
            "Prefect 1.4.1": Contender("serializing:Prefect1", prefect, settings),
        },
        size(15, 0),
    )
    for count in COUNTS:
        for what in ("serialize", "load"):
            times = taken[f"{what} {count}"].per(max(1, repeats // count))
            goals = {"cloudpickle": 1.5, "Prefect 1.4.1": 1 / 1.5}
            yield Row(f"{what} a flow of {count:,} task{'s' * (count > 1)}", times, goals)
