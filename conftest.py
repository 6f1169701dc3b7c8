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


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run under one of many environments be short."""
    text = "run one in N of the tests, drawn by FLOWHOLD_TEST_SEED"
    parser.addoption("--one-in", type=int, default=1, metavar="N", help=text)


def _drawn(item: pytest.Item, count: int) -> bool:
    return random.Random(f"{SEED} {item.nodeid}").random() * count < 1  # noqa: S311


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests that are marked ``sampled`` to long runs, except those that the seed draws."""
    for item in items:
        sampled = item.get_closest_marker("sampled")
        if sampled and not _drawn(item, sampled.args[0]):
            item.add_marker("long")
    if config.option.one_in > 1:
        drawn = [item for item in items if _drawn(item, config.option.one_in)]
        config.hook.pytest_deselected(items=list({*items} - {*drawn}))
        items[:] = drawn
