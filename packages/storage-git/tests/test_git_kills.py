"""A process that is killed while it fetches leaves nothing that hinders the next one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from git_repositories import executable, make_repository, symlink
from git_servers import serving_http

from flowhold import cache
from flowhold_storage_git import Git

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")

SEED = os.environ["FLOWHOLD_TEST_SEED"]
SCRIPT = """
from pathlib import Path
from flowhold import Flow, task
from package.values import VALUE

@task
def value():
    return VALUE + int((Path(__file__).parent / "link.txt").read_text())

with Flow("etl") as flow:
    value()
"""

# Counts what it does to files below a folder and to the network, and ends itself at a number.
CHILD = """
import os, signal, sys
import flowhold_storage_git.lfs, flowhold_storage_git.repository, flowhold_storage_git.submodules
from flowhold_storage_git import Git

url, base, last = *sys.argv[1:3], int(sys.argv[3])
FILES = {"open", "os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir", "os.utime"}
OTHERS = {"fcntl.flock", "socket.connect", "http.client.send"}
count = 0

def step():
    global count
    count += 1
    if count == last:
        os.kill(os.getpid(), signal.SIGKILL)

def audit(event, args):
    if event in OTHERS or (event in FILES and str(args[0]).startswith(base)):
        step()

def renaming(*args, original=os.rename):
    original(*args)
    step()

print("ready", flush=True)
sys.addaudithook(audit)
os.rename = renaming
storage = Git("flow.py", git_clone_url=url, directories=sys.argv[4:] or None)
value = storage.get_flow("flow.py").run().result
print(value, count, flush=True)
"""


@pytest.fixture
def ordeal(tmp_path, monkeypatch):
    """A repository behind a server, and what becomes of processes that load its flow."""
    folder = tmp_path / "served"
    repository = make_repository(folder / "flows.git")
    repository.commit(
        {
            "flow.py": SCRIPT,
            "package/__init__.py": "",
            "package/values.py": "VALUE = 40\n",
            "data/number.txt": "2",
            "link.txt": symlink("data/number.txt"),
            "run": executable("#!/bin/sh\n"),
            **{f"more/{number}": os.urandom(20_000) for number in range(8)},
        }
    )
    with serving_http(folder) as server:
        ordeal = Ordeal(tmp_path, server, monkeypatch)
        yield ordeal
        for process in ordeal.processes:
            process.kill()
            process.communicate()


class Ordeal:
    def __init__(self, tmp_path, server, monkeypatch):
        self.tmp_path, self.server, self.monkeypatch = tmp_path, server, monkeypatch
        self.url = f"{server.url}/flows.git"
        self.processes = []

    def start(self, last, *directories, home=None):
        """Start a process that is to be killed, and return it when it is about to load.

        Its cache is a new one, unless another is named.
        """
        self.home = home or self.tmp_path / f"cache {time.monotonic_ns()}"
        self.monkeypatch.setenv("FLOWHOLD_CACHE_DIR", str(self.home))
        words = [sys.executable, "-c", CHILD, self.url, str(self.home), str(last), *directories]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    def points(self, *directories):
        """Return at how many points a process can be killed."""
        output, _ = self.start(0, *directories).communicate(timeout=120)
        value, count = output.split()
        assert value == "42"
        return int(count)

    def check(self, *directories):
        """Load what another process may have left half done, and clean up behind it."""
        storage = Git("flow.py", git_clone_url=self.url, directories=[*directories] or None)
        flow = storage.get_flow("flow.py")
        assert flow.run().result == 42
        trees = [entry for entry in cache.entries() if entry.kind == "tree"]
        assert [entry.in_use for entry in trees] == [True]
        names = {path.name for path in (trees[0].path / "files").iterdir()}
        assert names == {
            *(directories or ["more", "run"]),
            "flow.py",
            "package",
            "data",
            "link.txt",
        }
        left = [path for path in (self.home / "trees").iterdir() if path.name.startswith(".")]
        assert len(left) <= 1
        for path in left:
            # They are kept for a day.
            os.utime(path, (1_000_000_000, 1_000_000_000))
        cache.prune()
        assert not any(path.exists() for path in left)
        assert flow.run().result == 42


PARTS = ("data", "package", "link.txt")


@pytest.mark.parametrize("count", [5, pytest.param(None, marks=pytest.mark.long)])
@pytest.mark.parametrize("directories", [(), PARTS], ids=["all", "folders"])
def test_the_next_load_works_after_a_kill_at_any_step(ordeal, directories, count):
    steps = range(1, ordeal.points(*directories) + 1)
    assert len(steps) > 30
    dice = random.Random(f"{SEED} {directories}")
    for step in steps if count is None else sorted(dice.sample(steps, count)):
        process = ordeal.start(step, *directories)
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, step
        ordeal.check(*directories)


@pytest.mark.parametrize("count", [5, pytest.param(60, marks=pytest.mark.long)])
def test_the_next_load_works_after_a_kill_at_any_time(ordeal, count):
    process = ordeal.start(0)
    begin = time.monotonic()
    process.communicate(timeout=120)
    taken = time.monotonic() - begin
    dice = random.Random(f"{SEED} {count}")
    for _ in range(count):
        process = ordeal.start(0)
        time.sleep(taken * dice.random())
        process.kill()
        process.communicate(timeout=120)
        ordeal.check()


def test_those_that_wait_for_a_process_that_is_killed_go_on(ordeal):
    ordeal.server.stall = 0.3
    killed = ordeal.start(0)
    others = [ordeal.start(0, home=ordeal.home) for _ in range(3)]
    killed.kill()
    ordeal.server.stall = 0
    for other in others:
        assert other.communicate(timeout=120)[0].split()[0] == "42"
    ordeal.check()
