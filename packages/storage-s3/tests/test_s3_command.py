"""The command line with flows, results and a catalog in a bucket."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import flowhold

@flowhold.task
def rows():
    return [1, 2, 3]

with flowhold.Flow("etl") as etl:
    rows()
"""


@pytest.fixture
def bucket(s3_server, s3_bucket, monkeypatch, tmp_path):
    """A bucket in which the catalog is, and a script."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    monkeypatch.setenv("FLOWHOLD_CATALOG", f"s3://{s3_bucket}/catalog")
    (tmp_path / "work" / "etl.py").write_text(SCRIPT)
    return s3_bucket


@pytest.mark.parametrize("kind", ["pickle", "script"])
def test_a_flow_is_registered_listed_and_run_in_another_process(bucket, command, kind, tmp_path):
    options = ("--storage", "s3", "-o", f"bucket={bucket}", f"--{kind}")
    (registered,) = command("register", "etl.py", *options)
    assert (registered["version"], registered["unchanged"]) == (1, False)
    assert registered["storage"]["type"] == "s3"
    (listed,) = command("list")
    assert (listed["flow"], listed["storage"], listed["pinned"]) == ("etl", "s3", True)
    (tmp_path / "elsewhere").mkdir()
    call = [sys.executable, "-m", "flowhold", "run", "etl", "--json"]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"] == [1, 2, 3]
    assert command("verify", "etl")["ok"]


def test_what_is_unchanged_is_not_stored_again(bucket, command):
    from flowhold_storage_s3 import S3Store

    options = ("--storage", "s3", "-o", f"bucket={bucket}")
    command("register", "etl.py", *options)
    before = [info.key for info in S3Store(bucket).list()]
    (again,) = command("register", "etl.py", *options)
    assert (again["version"], again["unchanged"]) == (1, True)
    assert [info.key for info in S3Store(bucket).list()] == before


def test_options_of_the_client_are_json(bucket, command):
    given = json.dumps({"config": {"read_timeout": 5}})
    options = ("-o", f"bucket={bucket}", "-o", f"client_options={given}", "-o", "retries=1")
    (registered,) = command("register", "etl.py", "--storage", "s3", *options)
    assert registered["storage"]["options"]["client_options"] == json.loads(given)
    assert registered["storage"]["options"]["retries"] == 1


def test_a_wrong_bucket_is_an_error_of_two_lines(bucket, capfd):
    from flowhold.cli.app import run

    assert run(["register", "etl.py", "--storage", "s3", "-o", "bucket=no-such-bucket"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "no-such-bucket" in err
    assert len(err.splitlines()) == 2
    assert "Traceback" not in err
