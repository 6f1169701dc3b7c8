"""Settings of every test run, of all packages."""

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
