"""Runs the tests of hypothesis from the seed of the run, and over and over when fuzzing.

``FLOWHOLD_FUZZ_MINUTES`` leaves only these tests, and lets each go on until its minutes are over.
"""

from __future__ import annotations

import functools
import itertools
import os
import time

import hypothesis
import pytest

MINUTES = float(os.environ.get("FLOWHOLD_FUZZ_MINUTES") or 0)
SEED = "FLOWHOLD_TEST_SEED"

# Nothing but the seed says what is tried, also where CI is set; a slow machine is no failure.
hypothesis.settings.register_profile(
    "flowhold", derandomize=False, database=None, deadline=None, print_blob=True
)
hypothesis.settings.load_profile("flowhold")


def pytest_report_header():
    return f"FLOWHOLD_FUZZ_MINUTES={MINUTES:g}" if MINUTES else None


def run_rounds(item, test, **arguments) -> None:
    """Run a test of hypothesis from the seed of the run; when fuzzing, from more of them."""
    inner, examples, started = test.hypothesis.inner_test, itertools.count(), time.monotonic()

    @functools.wraps(inner)
    def counted(*args, **kwargs):
        next(examples)
        return inner(*args, **kwargs)

    test.hypothesis.inner_test = counted
    try:
        for number in itertools.count():
            hypothesis.seed(f"{os.environ[SEED]} {item.name} {number}")(test)(**arguments)
            if time.monotonic() - started >= 60 * MINUTES:
                break
    finally:
        test.hypothesis.inner_test = inner
        if MINUTES:
            minutes = (time.monotonic() - started) / 60
            item.user_properties.append(("fuzzed", (item.name, next(examples), minutes)))


@pytest.fixture
def rounds(request):
    """Return a function that runs a test of hypothesis which a test has made."""
    return functools.partial(run_rounds, request.node)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run those tests of hypothesis that are collected in the same way."""
    if not hasattr(pyfuncitem.obj, "hypothesis"):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    run_rounds(pyfuncitem, pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names})
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """When fuzzing, leave out what is no test of hypothesis."""
    if MINUTES:
        fuzzed = [i for i in items if hasattr(i.obj, "hypothesis") or "rounds" in i.fixturenames]
        config.hook.pytest_deselected(items=[item for item in items if item not in fuzzed])
        items[:] = fuzzed


def pytest_terminal_summary(terminalreporter):
    """Print how many examples each test has tried, and for how long."""
    reports = itertools.chain.from_iterable(terminalreporter.stats.values())
    told = [
        report.user_properties for report in reports if getattr(report, "when", "") == "teardown"
    ]
    lines = sorted(value for pairs in told for key, value in pairs if key == "fuzzed")
    if lines:
        terminalreporter.section(f"fuzzed, seed {os.environ[SEED]}")
        width = max(len(name) for name, _, _ in lines)
        for name, examples, minutes in lines:
            terminalreporter.line(
                f"{name:<{width}} | {examples:>11,} examples | {minutes:5.1f} minutes"
            )
