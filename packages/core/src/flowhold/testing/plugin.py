"""The pytest plugin of the kit: its marker, its isolation, and its counts at the end of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

__all__ = [
    "flowhold_isolated",
    "pytest_configure",
    "pytest_itemcollected",
    "pytest_terminal_summary",
]

# This module is imported in every run of pytest where Flowhold is installed: the kit itself is not.
pytest.register_assert_rewrite(
    *(f"flowhold.testing.{name}" for name in ("stores", "storages", "network", "operations"))
)

_PROPERTY = "conformance"
_WORST_LAST = ("passed", "xfailed", "skipped", "xpassed", "failed", "error")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, so that ``--strict-markers`` knows it."""
    config.addinivalue_line(
        "markers", "conformance: a test of Flowhold's conformance kit; the run ends with its counts"
    )


@pytest.fixture
def flowhold_isolated(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give a test empty Flowhold folders, no settings or secrets of the user, an empty cwd."""
    # Not tmp_path: that is the author's, who may keep an empty store there.
    home = tmp_path_factory.mktemp("flowhold")
    for name in [name for name in os.environ if name.startswith("FLOWHOLD_")]:
        monkeypatch.delenv(name)
    for name in ("config", "data", "cache", "work"):
        (home / name).mkdir()
    for name in ("config", "data", "cache"):
        monkeypatch.setenv(f"FLOWHOLD_{name.upper()}_DIR", str(home / name))
    monkeypatch.chdir(home / "work")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Note on each kit test that it is one, and why it replaces another where it does."""
    if item.get_closest_marker("conformance"):
        function = getattr(item, "function", None)
        item.user_properties.append((_PROPERTY, getattr(function, "_flowhold_replaces", "")))


# From reports, as the controller of xdist collects nothing itself.
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how many kit tests of each class passed, failed and were replaced."""
    outcomes: dict[str, dict[str, str]] = {}
    reasons: dict[str, dict[str, str]] = {}
    for category, test, reason in _kit_reports(terminalreporter.stats):
        group, _, name = test.partition("::") if "::" not in test else _split(test)
        known = outcomes.setdefault(group, {})
        known[name] = max(known.get(name, category), category, key=_WORST_LAST.index)
        if reason:
            reasons.setdefault(group, {})[name.partition("[")[0]] = reason
    if not outcomes:
        return
    terminalreporter.section("conformance")
    width = max(map(len, outcomes))
    for group, found in sorted(outcomes.items()):
        counts = {status: [*found.values()].count(status) for status in _WORST_LAST}
        counts["failed"] += counts.pop("error")
        shown = [f"{counts.pop('passed'):>4} passed", f"{counts.pop('failed'):>3} failed"]
        replaced = reasons.get(group, {})
        shown.append(f"{len(replaced):>2} replaced")
        shown += [f"{count} {status}" for status, count in counts.items() if count]
        terminalreporter.line(f"{group:<{width}} | {' | '.join(shown)}")
        for name, reason in sorted(replaced.items()):
            terminalreporter.line(f"    {name}: {reason}")


def _kit_reports(stats: dict[str, list[Any]]) -> Iterator[tuple[str, str, str]]:
    for category in _WORST_LAST:
        for report in stats.get(category, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == _PROPERTY:
                    yield category, report.nodeid, value


def _split(test: str) -> tuple[str, str, str]:
    path, bracket, parameters = test.partition("[")
    group, separator, name = path.rpartition("::")
    return group, separator, name + bracket + parameters
