"""A disk without room gives a plain error and nothing half-written; with room it works again."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

pytest.importorskip("resource", reason="needs the limits of POSIX")

PROMISE = "full disk: a writer fails plainly, leaves nothing half-written, and works again later"
OPERATIONS = ["Put", "Create", "CreateWithoutLinks", "Register", "Unpack", "Fill", "WriteResult"]


@pytest.fixture
def small_disk(tmp_path):
    """Return the command before a command that gives it a disk of 1 MiB, and where that is."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=1m tmpfs '{folder}' && exec \"$@\""
    for options in (["--mount"], ["--user", "--map-root-user", "--mount"]):
        before = ["unshare", *options, "sh", "-c", mount, "sh"]
        if (
            shutil.which("unshare")
            and not subprocess.run([*before, "true"], check=False).returncode
        ):
            return before, folder
    missing = "mounting a tmpfs needs unshare, and root or user namespaces"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    return pytest.skip(missing)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_files_that_may_not_grow(operation, child, trying, size, tmp_path):
    base = tmp_path / "ordeal"
    base.mkdir()
    seed = os.environ["FLOWHOLD_TEST_SEED"]
    outcome = child("ordeal.py", operation, "limit", base, seed, size(0, 3))
    for problem in trying(PROMISE, outcome["problems"]):
        assert problem == ""


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_disk_that_is_full(operation, child, trying, size, small_disk):
    before, base = small_disk
    seed = os.environ["FLOWHOLD_TEST_SEED"]
    outcome = child("ordeal.py", operation, "disk", base, seed, size(0, 3), before=before)
    for problem in trying(PROMISE, outcome["problems"]):
        assert problem == ""
