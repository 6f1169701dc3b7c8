"""What these tests share: processes that see none of the settings of the user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NOT_INHERITED = ("FLOWHOLD_", "PREFECT_", "PYTHON", "COVERAGE_", "COV_CORE_")


@pytest.fixture
def process(tmp_path):
    """Return a function that runs a command in the test's folder and gives its standard output."""
    own = {"HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
    for kind in ("DATA", "CACHE", "CONFIG"):
        own[f"FLOWHOLD_{kind}_DIR"] = str(tmp_path / "flowhold" / kind.lower())
    inherited = {key: text for key, text in os.environ.items() if not key.startswith(NOT_INHERITED)}
    # The commands of the environment that runs the tests come first.
    inherited["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{inherited['PATH']}"

    def run(*command, cwd=tmp_path, env=None, status=0, timeout=300):
        done = subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env=inherited | own | (env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
        )
        assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
