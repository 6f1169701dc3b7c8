"""A flow in an image is run there, and tells what became of it."""

from __future__ import annotations

import flowhold
from flowhold import Flow, Parameter, task


@task
def double(x):
    print("doubling")
    return 2 * x


def make_flow(name="etl"):
    with Flow(name) as flow:
        double(Parameter("x", 21))
    return flow


def test_a_registered_flow_runs_in_a_container(make, capfd):
    storage = make()
    reference = flowhold.register(make_flow(), storage=storage)
    assert reference.kind == "image"
    assert reference.pinned
    run = storage.get_env_runner("etl").run(parameters={"x": 4})
    print(run, run.result, capfd.readouterr())
    assert (run.state, run.result, run.exit_code) == ("success", 8, 0)
    assert flowhold.load("etl").run().result == 42
