"""Settings of every test run, of all packages, its fuzzing, and its table of promises."""

from __future__ import annotations

import functools
import itertools
import os
import random
import time

import hypothesis
import pytest

# Coverage follows into the workers of xdist. Commands that tests start shall be what a user starts:
# measuring would import modules that the tests expect not to be there.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

# Set here, so that the workers of xdist have the seed that is printed.
SEED = os.environ.setdefault("FLOWHOLD_TEST_SEED", "0")

# When set, only the tests of hypothesis run, and each goes on until its minutes are over.
MINUTES = float(os.environ.get("FLOWHOLD_FUZZ_MINUTES") or 0)

# Nothing but the seed says what is tried, also where CI is set; a slow machine is no failure.
hypothesis.settings.register_profile(
    "flowhold", derandomize=False, database=None, deadline=None, print_blob=True
)
hypothesis.settings.load_profile("flowhold")


def pytest_report_header() -> str:
    """Say from which seed samples are drawn."""
    return f"FLOWHOLD_TEST_SEED={SEED}" + (f" FLOWHOLD_FUZZ_MINUTES={MINUTES:g}" if MINUTES else "")


def run_rounds(item, test, **arguments) -> None:  # noqa: ANN001, ANN003
    """Run a test of hypothesis from the seed of the run; when fuzzing, from more of them."""
    inner, examples, started = test.hypothesis.inner_test, itertools.count(), time.monotonic()

    @functools.wraps(inner)
    def counted(*args, **kwargs):  # noqa: ANN002, ANN003, ANN202
        next(examples)
        return inner(*args, **kwargs)

    test.hypothesis.inner_test = counted
    try:
        for number in itertools.count():
            hypothesis.seed(f"{SEED} {item.name} {number}")(test)(**arguments)
            if time.monotonic() - started >= 60 * MINUTES:
                break
    finally:
        test.hypothesis.inner_test = inner
        if MINUTES:
            minutes = (time.monotonic() - started) / 60
            item.user_properties.append(("fuzzed", (item.name, next(examples), minutes)))


@pytest.fixture
def rounds(request):  # noqa: ANN001, ANN201
    """Return a function that runs a test of hypothesis which a test has made."""
    return functools.partial(run_rounds, request.node)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):  # noqa: ANN001, ANN201
    """Run those tests of hypothesis that are collected in the same way."""
    if not hasattr(pyfuncitem.obj, "hypothesis"):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    run_rounds(pyfuncitem, pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names})
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items) -> None:  # noqa: ANN001
    """Leave tests that are marked ``sampled`` to long runs, except those that the seed draws.

    When fuzzing, leave out what is no test of hypothesis.
    """
    for item in items:
        sampled = item.get_closest_marker("sampled")
        if sampled and random.Random(f"{SEED} {item.nodeid}").random() * sampled.args[0] >= 1:  # noqa: S311
            item.add_marker("long")
    fuzzed = [i for i in items if hasattr(i.obj, "hypothesis") or "rounds" in i.fixturenames]
    if MINUTES and len(fuzzed) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in fuzzed])
        items[:] = fuzzed


# Here and not beside the tests that give promises, as the controller of xdist collects none.
def pytest_terminal_summary(terminalreporter) -> None:  # noqa: ANN001
    """Print how many cases of each promise were tried (see tests/promises) and how many held."""
    told = [
        pair
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for pair in report.user_properties
    ]
    rows: dict[str, list[int]] = {}
    for promise, tried, held in [value for key, value in told if key == "promise"]:
        row = rows.setdefault(promise, [0, 0])
        row[:] = row[0] + tried, row[1] + held
    lines = [(name, f"{tried:,}", f"{held:,}") for name, (tried, held) in sorted(rows.items())]
    _table(terminalreporter, "promises", ("promise", "cases tried", "held"), lines)
    fuzzed = sorted(value for key, value in told if key == "fuzzed")
    lines = [(name, f"{examples:,}", f"{minutes:.1f}") for name, examples, minutes in fuzzed]
    _table(terminalreporter, f"fuzzed, seed {SEED}", ("test", "examples", "minutes"), lines)


def _table(terminalreporter, title, head, lines) -> None:  # noqa: ANN001
    if lines:
        terminalreporter.section(title)
        width = max(len(line[0]) for line in [head, *lines])
        for name, one, other in [head, *lines]:
            terminalreporter.line(f"{name:<{width}} | {one:>11} | {other:>9}")
