"""Settings of every test run, of all packages, and its table of promises."""

from __future__ import annotations

import os
import random

import pytest

# Coverage follows into the workers of xdist. Commands that tests start shall be what a user starts:
# measuring would import modules that the tests expect not to be there.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

# Set here, so that the workers of xdist have the seed that is printed.
SEED = os.environ.setdefault("FLOWHOLD_TEST_SEED", "0")


def pytest_report_header() -> str:
    """Say from which seed samples are drawn."""
    return f"FLOWHOLD_TEST_SEED={SEED}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave tests that are marked ``sampled`` to long runs, except those that the seed draws."""
    for item in items:
        sampled = item.get_closest_marker("sampled")
        if sampled and random.Random(f"{SEED} {item.nodeid}").random() * sampled.args[0] >= 1:  # noqa: S311
            item.add_marker("long")


# Here and not beside the tests that give promises, as the controller of xdist collects none.
def pytest_terminal_summary(terminalreporter) -> None:  # noqa: ANN001
    """Print how many cases of each promise were tried (see tests/promises) and how many held."""
    rows: dict[str, list[int]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                for key, value in report.user_properties:
                    if key == "promise":
                        promise, tried, held = value
                        row = rows.setdefault(promise, [0, 0])
                        row[:] = row[0] + tried, row[1] + held
    if rows:
        terminalreporter.section("promises")
        lines = [("promise", "cases tried", "held")]
        lines += [(name, f"{tried:,}", f"{held:,}") for name, (tried, held) in sorted(rows.items())]
        width = max(len(line[0]) for line in lines)
        for name, tried, held in lines:
            terminalreporter.line(f"{name:<{width}} | {tried:>11} | {held:>9}")
