"""The command line with flows behind requests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flowhold.cli.app import run

SCRIPT = """
import flowhold

@flowhold.task
def rows():
    return [1, 2, 3]

with flowhold.Flow("etl") as etl:
    rows()
"""


@pytest.fixture
def command(capfd):
    """Return a function that runs the command here and returns the document that it prints."""

    def command(*arguments):
        code = run([*map(str, arguments), "--json"])
        out, err = capfd.readouterr()
        assert (code, err) == (0, ""), out + err
        return json.loads(out)

    return command


@pytest.fixture
def options(webdav_server, webdav_folder, login):
    """The options of the command for a place at nginx."""
    Path("etl.py").write_text(SCRIPT)
    url = f"{webdav_server.url}/private/{webdav_folder}/{{slug}}/{{sha256}}"
    both = json.dumps({"url": url, **login})
    given = {
        "build_request_kwargs": both,
        "build_request_http_method": "PUT",
        "get_flow_request_kwargs": both,
        "get_flow_request_http_method": "GET",
    }
    return ["--storage", "webhook", *(w for name in given for w in ("-o", f"{name}={given[name]}"))]


@pytest.mark.parametrize("kind", ["pickle", "script"])
def test_a_flow_is_registered_listed_and_run_in_another_process(options, command, kind, tmp_path):
    (registered,) = command("register", "etl.py", *options, f"--{kind}")
    assert (registered["version"], registered["unchanged"]) == (1, False)
    assert (registered["storage"]["type"], registered["kind"]) == ("webhook", kind)
    (listed,) = command("list")
    assert (listed["flow"], listed["storage"], listed["pinned"]) == ("etl", "webhook", True)
    (tmp_path / "elsewhere").mkdir()
    call = [sys.executable, "-m", "flowhold", "run", "etl", "--json"]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"] == [1, 2, 3]
    assert command("verify", "etl")["ok"]
    (again,) = command("register", "etl.py", *options, f"--{kind}")
    assert (again["version"], again["unchanged"]) == (1, True)


def test_a_script_that_names_its_storage_loads_elsewhere(options, command, webdav_server):
    url = json.loads(options[3].partition("=")[2])["url"].replace("/private", "")
    Path("own.py").write_text(
        "import flowhold\nfrom flowhold_storage_webhook import Webhook\n"
        f"url = {{'url': {url!r}}}\n"
        "@flowhold.flow\ndef own():\n    return 5\n"
        "own.storage = Webhook(url, 'PUT', url, 'GET', stored_as_script=True)\n"
    )
    (registered,) = command("register", "own.py")
    assert registered["kind"] == "script"
    Path("own.py").unlink()
    assert command("run", "own")["result"] == 5


def test_a_variable_that_is_missing_is_an_error_of_two_lines(options, capfd, monkeypatch):
    monkeypatch.delenv("DAV_PASSWORD")
    assert run(["register", "etl.py", *options]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "DAV_PASSWORD" in err
    assert len(err.splitlines()) == 2


def test_an_option_that_is_missing_is_told(capfd, options):
    assert run(["register", "etl.py", "--storage", "webhook"]) == 2
    assert "build_request_kwargs" in capfd.readouterr().err
