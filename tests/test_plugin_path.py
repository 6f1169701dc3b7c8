"""The path of a stranger to a storage of their own: the scaffold, the tutorial, the example.

The blocks of the tutorial itself are run by test_readme.py, in an empty folder and environment.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import git_servers
import pytest

from flowhold.scaffolding import write_storage

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "storage-fsspec"
TUTORIAL = ROOT / "docs" / "writing-a-storage.md"
UV = (sys.executable, "-m", "uv")
# What differs most from protocol to protocol.
SAMPLE = "Store and (if_absent or writers)"


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """An environment with wheels of the core, the example and a scaffold, and their tests."""
    folder = tmp_path_factory.mktemp("stranger")
    shutil.copytree(EXAMPLE, folder / "fsspec", ignore=shutil.ignore_patterns("__pycache__"))
    write_storage("mine", folder / "mine")
    places = (ROOT / "packages" / "core", folder / "fsspec", folder / "mine")
    for place in places:
        words = ("build", "--quiet", "--wheel", "--out-dir", folder / "wheels", place)
        subprocess.run([*UV, *words], check=True)
    subprocess.run([*UV, "venv", "--quiet", folder / "venv"], check=True)
    extras = {"flowhold": "testing", "flowhold_storage_fsspec": "sftp"}
    wheels = []
    for wheel in sorted((folder / "wheels").glob("*.whl")):
        extra = extras.get(wheel.name.partition("-")[0])
        wheels.append(f"{wheel}[{extra}]" if extra else str(wheel))
    python = folder / "venv" / "bin" / "python"
    subprocess.run([*UV, "pip", "install", "--quiet", "--python", python, *wheels], check=True)
    return folder


@pytest.fixture
def kit(stranger, process):
    """Run the tests of a package where only wheels are installed, and return what is said."""
    python = stranger / "venv" / "bin" / "python"

    def run(package, sample=None, **env):
        words = ["-k", sample] if sample else []
        said = process(
            python, "-m", "pytest", "-q", *words, cwd=stranger / package, env=env, timeout=900
        )
        assert re.search(r"\b\d+ passed", said)
        assert "skipped" not in said
        return said

    return run


@pytest.fixture
def sftp(tmp_path):
    """What the kit of the example has to be told of a server of SFTP."""
    with git_servers.serving_ssh(tmp_path) as server:
        options = {"port": server.port, "key_filename": str(server.key)}
        options |= {"look_for_keys": False, "allow_agent": False}
        url = f"sftp://{server.user}@{server.host}{tmp_path}"
        yield {"KIT_URL": url, "KIT_OPTIONS": json.dumps(options)}


def test_the_tutorial_leads_from_nothing_to_a_flow_that_runs():
    path = re.findall(
        r"^\$ (.+)$|^<!-- \S+/(\w+)\.py -->$", TUTORIAL.read_text("utf-8"), re.MULTILINE
    )
    steps = [
        'pip install "flowhold[testing]"',
        "flowhold plugins new mine flowhold-storage-mine",
        'pip install -e "./flowhold-storage-mine[test]"',
        "store",
        "storage",
        "pytest -q flowhold-storage-mine",
        "flowhold register --storage mine -o place=flows.db flow.py",
        "flowhold run etl -p rows=21",
    ]
    left = iter(command or module for command, module in path)
    assert [step for step in steps if step in left] == steps


def test_a_new_package_is_clean(stranger, process):
    for check in (
        ("check", "--select", "E,F,I,UP,B,D1", "--ignore", "D107"),
        ("format", "--check"),
    ):
        process("ruff", *check, "--isolated", "--line-length", "100", stranger / "mine" / "src")


def test_a_new_package_passes_the_kit_as_it_is(kit):
    kit("mine")


def test_the_example_passes_the_kit_in_memory_and_on_files(kit):
    kit("fsspec")


@pytest.mark.parametrize(
    "sample",
    [pytest.param(SAMPLE, id="sample"), pytest.param(None, id="all", marks=pytest.mark.long)],
)
def test_the_example_passes_the_kit_on_a_server_of_sftp(kit, sftp, sample):
    kit("fsspec", sample, **sftp)
