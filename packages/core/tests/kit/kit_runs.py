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
    for item in [*items]:
        if getattr(item.cls, "only", item.originalname) != item.originalname:
            items.remove(item)
"""


def run(folder: Path, head: str, suite: type, cases: list[tuple[str, str]]) -> dict:
    """Return the outcomes by class and test: the good class runs all tests, the others theirs.

    Args:
        folder: Where to work.
        head: Source of the class ``Fixtures``, and of the base ``All`` of the good class.
        suite: The class of the kit that has the tests.
        cases: A broken class and a test of the kit for each.
    """
    lines = [head, "class TestGood(Fixtures, All):", "    kind = broken.Good", ""]
    for number, (broken, test) in enumerate(cases):
        theme = next(base for base in suite.__mro__ if test in vars(base))
        lines += [
            f"from {theme.__module__} import {theme.__name__}",
            f"class Test{broken}{number}(Fixtures, {theme.__name__}):",
            f"    kind, only = broken.{broken}, {test!r}",
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
