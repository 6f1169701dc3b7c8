"""The check of images on flows of Prefect 1.4.1, where that is installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

CHECK = """
import json
from datetime import timedelta
from prefect import Flow, task
from prefect.engine.results import LocalResult
from flowhold_storage_docker.healthcheck import missing_results

def flow_of(name, result=None, retries=2, cached=False, task_result=None):
    @task(result=task_result)
    def load():
        return 1

    options = {"max_retries": retries, "retry_delay": timedelta(1)} if retries else {}

    @task(**options, **({"cache_for": timedelta(1)} if cached else {}))
    def store(data):
        return data

    with Flow(name, result=result) as flow:
        store(load())
    return flow

kept = LocalResult("/tmp/results")
flows = [
    flow_of("retries"),
    flow_of("retries of a flow with a result", result=kept),
    flow_of("retries of a value with a result", task_result=kept),
    flow_of("neither", retries=0),
    flow_of("cached", retries=0, cached=True),
]
print(json.dumps({flow.name: missing_results(flow) for flow in flows}))
"""


def test_retries_and_caching_without_a_result_are_told_of(prefect1, quiet, tmp_path):
    source = ROOT / "packages" / "storage-docker" / "src"
    said = subprocess.run(
        [prefect1, "-W", "ignore", "-c", CHECK],
        env={**os.environ, **quiet, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert [name for name, lines in found.items() if lines] == ["retries", "cached"]
    assert "'load', on whose value retries of 'store' depend" in found["retries"][0]
    assert "'store', which is cached" in found["cached"][0]
    assert all("result=" in line for lines in found.values() for line in lines)
