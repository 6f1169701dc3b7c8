"""Runs tests of the kit for classes that are good or broken, all in one process of pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

# Each broken class has only the theme of the kit that its test is of, and of that only this test.
CONFTEST = """
def pytest_collection_modifyitems(config, items):
    items[:] = [it for it in items if it.cls.only is None or it.originalname in it.cls.only]
"""


def run(request, folder: Path, head: str, suite: type, cases: list[tuple[str, str]]) -> dict:
    """Return the outcomes by class and test, of the cases whose tests are in this session.

    The good class runs the same tests, or all where one of the session asks for them.

    Args:
        request: That of a fixture of the module which has the tests.
        folder: Where to work.
        head: Source of the class ``Fixtures``, and of the base ``All`` of the good class.
        suite: The class of the kit that has the tests.
        cases: A broken class and a test of the kit for each.
    """
    items = [item for item in request.session.items if item.path == request.path]
    numbers = {it.callspec.params["number"] for it in items if hasattr(it, "callspec")}
    named = {cases[number][1] for number in numbers}
    only = None if any("good" in item.name for item in items) else named
    lines = [head, "class TestGood(Fixtures, All):", f"    kind, only = broken.Good, {only}", ""]
    for number in numbers:
        broken, test = cases[number]
        theme = next(base for base in suite.__mro__ if test in vars(base))
        lines += [
            f"from {theme.__module__} import {theme.__name__}",
            f"class Test{broken}{number}(Fixtures, {theme.__name__}):",
            f"    kind, only = broken.{broken}, {[test]}",
            "",
        ]
    (folder / "test_it.py").write_text("\n".join(lines))
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").touch()
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(
        [*command, f"--junitxml={report}", f"--basetemp={folder / 'base'}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
    )
    assert report.exists(), done.stdout + done.stderr
    outcomes: dict[tuple[str, str], list[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        bad = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        key = case.get("classname").rpartition(".")[2], case.get("name").partition("[")[0]
        outcomes.setdefault(key, []).append(bad[0] if bad else "passed")
    return outcomes


def check(outcomes: dict, number: int, broken: str, test: str) -> None:
    """Fail unless the good class passes the test and the broken one fails it."""
    assert set(outcomes["TestGood", test]) == {"passed"}
    of_broken = outcomes[f"Test{broken}{number}", test]
    assert "failure" in of_broken
    assert set(of_broken) <= {"failure", "passed"}
