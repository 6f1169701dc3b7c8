from __future__ import annotations

import json
import sys

AUTHOR = """
import flowhold

RATE = 3

def scaled(numbers, by=RATE):
    return [by * number for number in numbers]

if __name__ == "__main__":
    print(flowhold.register(scaled).to_json())
"""

RUNNER = """
import json, sys, flowhold

flow = flowhold.load(flowhold.Reference.from_json(sys.argv[1]))
runs = [flow.run(parameters=parameters) for parameters in ({"numbers": [1, 2]}, {"numbers": 5})]
print(json.dumps([[flow.name, run.state, run.result, type(run.error).__name__] for run in runs]))
"""


def test_a_plain_function_is_registered_and_runs_in_another_process(process, tmp_path):
    author = tmp_path / "author.py"
    author.write_text(AUTHOR)
    reference = process(sys.executable, author)
    author.unlink()
    assert json.loads(process(sys.executable, "-c", RUNNER, reference)) == [
        ["scaled", "success", [3, 6], "NoneType"],
        ["scaled", "failed", None, "TypeError"],
    ]
