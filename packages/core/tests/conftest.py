"""Every test runs as a user of its own: empty folders, no settings, a fresh working directory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Root reads everything, unless it gives up the two capabilities by which it does.
AS_ANYBODY = """
import ctypes, os, sys
if os.geteuid() == 0:
    libc = ctypes.CDLL(None)
    if libc.prctl(24, 1, 0, 0, 0) or libc.prctl(24, 2, 0, 0, 0):
        sys.exit(77)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture
def as_anybody():
    """Return a function that runs Python without root's power over permissions."""
    if sys.platform != "linux":
        pytest.skip("permissions as Linux has them")

    def run(*arguments):
        call = [sys.executable, "-c", AS_ANYBODY, *arguments]
        done = subprocess.run(call, capture_output=True, text=True)
        if done.returncode == 77:
            pytest.skip("this root keeps its capabilities")
        return done

    return run


@pytest.fixture(autouse=True)
def _isolated(as_new_user):
    pass


@pytest.fixture
def core_alone(monkeypatch):
    """Hide the distributions of other storages, as where only the core is installed."""
    from flowhold import _claims, plugins

    found = _claims._points

    def points():
        return [point for point in found() if not point.value.startswith("flowhold_storage_")]

    monkeypatch.setattr(_claims, "_points", points)
    plugins._registry.cache_clear()
    yield
    plugins._registry.cache_clear()


@pytest.fixture
def command(capfd):
    """Return a function that runs the command here: exit code, stdout, stderr."""
    from flowhold.cli.app import run

    def command(*arguments):
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return command


@pytest.fixture
def output(command):
    """Return a function that runs a command that must succeed: stdout, or its document."""

    def output(*arguments):
        code, out, err = command(*arguments)
        assert (code, err) == (0, ""), err
        return json.loads(out) if "--json" in arguments else out

    return output
