"""Environments of their own for the peers: made once under ``.venvs`` of the clone, then reused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
VENVS = ROOT / ".venvs"
PACKAGES = ROOT / "packages"
CORE = PACKAGES / "core"


def need(what):
    """Skip the test for want of something; in CI everything has to be there."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(what)


def find_python(version):
    if version == "{}.{}".format(*sys.version_info):
        return sys.executable
    found = subprocess.run([ROOT / ".ci" / "python", version], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else need(found.stderr.strip())


def make_environment(name, version, requirements):
    python = find_python(version)
    folder = VENVS / name
    key = repr([str(folder), python, requirements, (CORE / "pyproject.toml").read_text("utf-8")])
    wanted = sha256(key.encode()).hexdigest()
    ready = folder / ".ready"
    VENVS.mkdir(exist_ok=True)
    with FileLock(VENVS / f"{name}.lock"):
        if not (ready.is_file() and ready.read_text() == wanted):
            shutil.rmtree(folder, ignore_errors=True)
            uv("venv", "--python", python, folder)
            own = folder / "bin" / "python"
            uv("pip", "install", "--python", own, "--editable", CORE, *requirements)
            ready.write_text(wanted)
    return folder / "bin" / "python"


def uv(*arguments):
    command = [sys.executable, "-m", "uv", "--quiet", *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        need(f"no environment to test with: {done.stderr.strip()}")


@pytest.fixture(scope="session")
def prefect3():
    """Python with the latest Prefect 3 beside Flowhold."""
    # Prefect 3.8 gives its server arguments that FastAPI 0.155 no longer takes.
    version = "{}.{}".format(*sys.version_info)
    return make_environment(f"prefect3-{version}", version, ["prefect>=3,<4", "fastapi<0.155"])


@pytest.fixture(scope="session")
def prefect1():
    """Python 3.10 with Prefect 1.4.1 beside Flowhold and its storages S3 and git."""
    # It does not ask for the majors of its time, but needs them: marshmallow 4 lacks the context
    # that its storages read. Together with Flowhold all this resolves.
    constraints = ["pendulum<3", "marshmallow<4", "setuptools<70"]
    storages = [
        word for name in ("s3", "git") for word in ("--editable", PACKAGES / f"storage-{name}")
    ]
    return make_environment("prefect1", "3.10", ["prefect==1.4.1", *constraints, *storages])


@pytest.fixture
def quiet(tmp_path):
    """Settings that keep both Prefects inside the test's folder and off the network."""
    return {
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT__HOME_DIR": str(tmp_path / "prefect"),
    }
