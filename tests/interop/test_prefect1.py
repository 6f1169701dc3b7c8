"""Pickles that Prefect 1.4.1 made (see ``make_prefect1_fixtures.py``), and its flows as peers.

They run where their bytecode does: in Python 3.10 with Prefect 1.4.1 and the constraints that the
fixture ``prefect1`` names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from flowhold.errors import SerializationError, UnverifiedError
from flowhold.storage import Local

FIXTURES = Path(__file__).parent / "fixtures"
FORMS = {
    "envelope": FIXTURES / "prefect-1.4.1-envelope.prefect",
    "bare": FIXTURES / "prefect-1.4.1-bare.prefect",
}

each_form = pytest.mark.parametrize("path", FORMS.values(), ids=FORMS)

RUNNER = """
import json, sys
from flowhold.storage import Local

flow = Local(sys.argv[1]).get_flow(sys.argv[2], allow_unverified=True)
runs = [flow.run(), flow.run(parameters={"numbers": [3, 4], "unit": "m"}), flow.run({"numbers": 5})]
print(json.dumps([[flow.name, run.state, run.result] for run in runs]))
"""

AUTHOR = """
import flowhold
from prefect import Flow, Parameter, task

@task
def add(left, right):
    return left + right

with Flow("sum") as flow:
    add(Parameter("left"), Parameter("right", default=1))

if __name__ == "__main__":
    print(flowhold.register(flow).to_json())
"""


@each_form
def test_a_pickle_of_prefect_1_is_not_loaded_without_a_digest(path, tmp_path):
    with pytest.raises(UnverifiedError):
        Local(tmp_path).get_flow(str(path))


@each_form
def test_a_pickle_of_prefect_1_runs_where_its_bytecode_does(
    prefect1, process, quiet, path, tmp_path
):
    output = process(prefect1, "-c", RUNNER, tmp_path / "stored", path, env=quiet)
    assert json.loads(output.splitlines()[-1]) == [
        ["sum-of-squares", "success", "14 points"],
        ["sum-of-squares", "success", "25 m"],
        ["sum-of-squares", "failed", None],
    ]


@each_form
def test_where_a_pickle_of_prefect_1_cannot_load_the_error_says_why(path, tmp_path):
    with pytest.raises(SerializationError) as caught:
        Local(tmp_path).get_flow(str(path), allow_unverified=True)
    assert "No module named 'prefect'" in str(caught.value)
    assert "\n" not in str(caught.value)
    if path == FORMS["envelope"]:
        assert "prefect: stored with 1.4.1, here not installed" in caught.value.hint
        if sys.version_info[:2] != (3, 10):
            assert "python: stored with 3.10.13, here 3." in caught.value.hint


def test_a_flow_of_prefect_1_is_registered_and_runs_in_another_process(
    prefect1, process, quiet, tmp_path
):
    author = tmp_path / "author.py"
    author.write_text(AUTHOR)
    process(prefect1, author, env=quiet)
    author.unlink()
    flowhold = prefect1.with_name("flowhold")
    outcome = json.loads(process(flowhold, "run", "sum", "-p", "left=2", "--json", env=quiet))
    assert (outcome["state"], outcome["result"]) == ("success", 3)
    failing = process(flowhold, "run", "sum", "-p", "left=a", "--json", env=quiet, status=1)
    assert json.loads(failing)["state"] == "failed"
