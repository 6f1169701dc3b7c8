from __future__ import annotations

import json

import pytest

AUTHOR = """
import flowhold
from flowhold.storage import Local
from prefect import flow, task

@task
def double(number):
    return 2 * number

@flow(name="doubled sum")
def doubled_sum(count: int = 3):
    print("this is no part of the outcome")
    return sum(double(number) for number in range(count))

@flow(name="doubled sum, awaited")
async def awaited(count: int = 3):
    return sum(double(number) for number in range(count))

if __name__ == "__main__":
    storage = Local("stored")
    for each in (doubled_sum, awaited):
        flowhold.register(each, storage=storage)
"""

RUNNER = """
import json, flowhold

def outcome(name, **parameters):
    run = flowhold.load(name).run(parameters=parameters)
    return [run.state, run.result, run.error is not None]

print(json.dumps([
    outcome("doubled sum", count=4),
    outcome("doubled sum", count="many"),
    outcome("doubled sum, awaited"),
]))
"""


def test_flows_of_prefect_3_are_registered_and_run_in_another_process(
    prefect3, process, quiet, tmp_path
):
    author = tmp_path / "author.py"
    author.write_text(AUTHOR)
    process(prefect3, author, env=quiet)
    author.unlink()
    output = process(prefect3, "-c", RUNNER, env=quiet)
    assert json.loads(output.splitlines()[-1]) == [
        ["success", 12, False],
        ["failed", None, True],
        ["success", 6, False],
    ]


@pytest.mark.long
def test_the_command_line_registers_and_runs_a_prefect_3_flow(prefect3, process, quiet, tmp_path):
    (tmp_path / "author.py").write_text(AUTHOR)
    flowhold = prefect3.with_name("flowhold")
    process(flowhold, "register", "author.py:doubled_sum", "--pickle", env=quiet)
    (tmp_path / "author.py").unlink()
    output = process(flowhold, "run", "doubled sum", "-p", "count=5", "--json", env=quiet)
    outcome = json.loads(output)
    assert (outcome["flow"], outcome["state"], outcome["result"]) == ("doubled sum", "success", 20)
