"""The count of cases of each promise, tried and held, and the table of them that ends a run.

A test counts as one case of each promise in its marks ``promise("group: words")``; the fixture
``trying`` counts those that a test goes over. The promises of one group come together in the table.
"""

from __future__ import annotations

from collections import Counter

import pytest

KEY = "promise"


def pytest_configure(config):
    config.addinivalue_line("markers", "promise(name): a case of this promise, 'group: words'")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed or (call.when == "call" and report.passed):
        for name in {mark.args[0] for mark in item.iter_markers(KEY)}:
            item.user_properties.append((KEY, (name, 1, int(report.passed))))
    return report


@pytest.fixture
def trying(request):
    """Return a function through which a test goes over the cases of a promise: they are counted."""
    tried, held = Counter(), Counter()

    def go(promise, cases):
        for case in cases:
            tried[promise] += 1
            yield case
            held[promise] += 1

    yield go
    for promise, count in tried.items():
        request.node.user_properties.append((KEY, (promise, count, held[promise])))


# From reports, as the controller of xdist runs no test itself.
def pytest_terminal_summary(terminalreporter):
    """Print how many cases of each promise were tried and how many held."""
    tried, held = Counter(), Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                for key, value in report.user_properties:
                    if key == KEY:
                        tried[value[0]] += value[1]
                        held[value[0]] += value[2]
    if not tried:
        return
    lines = [("promise", "cases tried", "held")]
    lines += [(name, f"{tried[name]:,}", f"{held[name]:,}") for name in sorted(tried)]
    lines.append(("in all", f"{tried.total():,}", f"{held.total():,}"))
    width = max(len(line[0]) for line in lines)
    terminalreporter.section("promises")
    for name, *counts in lines:
        terminalreporter.line(f"{name:<{width}} | {counts[0]:>11} | {counts[1]:>9}")
