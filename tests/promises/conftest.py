"""What the tests of promises share: isolation and samples.

Every test runs over a sample of its cases, and over all of them where it is marked ``long``.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import time
import warnings
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from flowhold.errors import FlowholdError

CHILDREN = Path(__file__).parent / "children"
READERS = "fuzz: readers give a value or an error of Flowhold, whatever they read"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Leave out the sample of a test that runs in full."""
    full = {item.originalname for item in items if _extent(item) == "full"}
    left_out = [i for i in items if _extent(i) == "sample" and i.originalname in full]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _extent(item):
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("extent") if callspec else None


@pytest.fixture(params=["sample", pytest.param("full", marks=pytest.mark.long)])
def extent(request):
    """``sample`` or ``full``."""
    return request.param


@pytest.fixture
def dice(request):
    """A random generator of this test, from the seed in the header of the run."""
    return random.Random(f"{os.environ['FLOWHOLD_TEST_SEED']} {request.node.originalname}")


@pytest.fixture
def sample(extent, dice):
    """Return a function that gives all of some cases in a full run, else some of them."""

    def choose(cases, quick):
        cases = list(cases)
        if extent == "full" or len(cases) <= quick:
            return cases
        return [cases[index] for index in sorted(dice.sample(range(len(cases)), quick))]

    return choose


@pytest.fixture
def size(extent):
    """Return a function that gives the first number in a full run, else the second."""
    return lambda full, quick: full if extent == "full" else quick


@pytest.fixture
def fuzz(trying, size, rounds):
    """Return a function that tries a reader with many values; only our errors may come out."""

    def run(*strategies, reader, counted=True):
        tried = itertools.count()

        @hypothesis.settings(max_examples=size(2_000, 60), suppress_health_check=list(HealthCheck))
        @given(st.tuples(*strategies))
        def attempt(arguments):
            next(tried)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    reader(*arguments)
            except FlowholdError as error:
                str(error)

        try:
            rounds(attempt)
        finally:
            failed = sys.exc_info()[1]
            count = 1 if failed else next(tried)
            for _ in trying(READERS, range(count)) if counted else ():
                if failed is not None:
                    break

    return run


@pytest.fixture(autouse=True)
def home(as_new_user, tmp_path):
    """The folder of a user with no settings, in whose working directory the test runs."""
    return tmp_path / "flowhold"


@pytest.fixture
def swift(monkeypatch):
    """Let tries follow one another at once."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))
    for module in ("flowhold_storage_git.forge_http", "flowhold_storage_webhook.exchange"):
        monkeypatch.setattr(f"{module}.pause", time.sleep)


@pytest.fixture
def child():
    """Return a function that runs a script of ``children`` and gives the JSON it prints."""

    def run(script, *arguments, before=()):
        command = [*before, sys.executable, CHILDREN / script, *arguments]
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1200,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout)

    return run


@pytest.fixture
def children():
    """Return a function that runs a script of ``children`` in several processes at once."""

    def run(script, count, *arguments):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, str(CHILDREN / script), *map(str, arguments)]
        running = [
            subprocess.Popen([*command, str(number)], text=True, **pipes) for number in range(count)
        ]
        for process in running:  # every process is up before any of them goes on
            line = process.stdout.readline()
            assert line == "ready\n", process.communicate()[1]
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        done = [process.communicate(timeout=600) for process in running]
        for process, (_, errors) in zip(running, done, strict=True):
            assert process.returncode == 0, errors
        return [json.loads(output) for output, _ in done]

    return run
