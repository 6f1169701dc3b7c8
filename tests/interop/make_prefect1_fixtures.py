"""Write a flow of Prefect 1.4.1 in both forms that Prefect 0.5 to 1.4 stored.

Made once, with Python 3.10 and the requirements that ``test_prefect1.py`` names; read from standard
input, so that no path of the author's machine gets into the pickles:

    python - tests/interop/fixtures < tests/interop/make_prefect1_fixtures.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cloudpickle
from prefect import Flow, Parameter, task
from prefect.storage import Local


@task
def square(number: int) -> int:
    return number * number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
def describe(value: int, unit: str) -> str:
    return f"{value} {unit}"


with Flow("sum-of-squares") as flow:
    numbers = Parameter("numbers", default=[1, 2, 3])
    unit = Parameter("unit", default="points")
    describe(total(square.map(numbers)), unit)


folder = Path(sys.argv[1])

# From 0.14.3 on: a JSON envelope. These are the bytes that Prefect's own storage writes.
with tempfile.TemporaryDirectory() as scratch:
    location = Local(directory=scratch).add_flow(flow)
    (folder / "prefect-1.4.1-envelope.prefect").write_bytes(Path(location).read_bytes())

# Until 0.14.2: nothing but cloudpickle's bytes.
(folder / "prefect-1.4.1-bare.prefect").write_bytes(cloudpickle.dumps(flow))
