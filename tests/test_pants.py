"""What Pants has to be told a second time is what the packages say."""

from __future__ import annotations

import sys
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
# Tools that Pants has no use for.
UNUSED = {"check-wheel-contents", "coverage", "pip", "pytest-xdist", "twine"}


def read(path):
    return tomllib.loads(path.read_text(encoding="utf-8"))


def group(name, groups):
    for entry in groups[name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from group(entry["include-group"], groups)


def declared():
    for path in ROOT.glob("packages/*/pyproject.toml"):
        project = read(path)["project"]
        yield from project.get("dependencies", [])
        for extra in project.get("optional-dependencies", {}).values():
            yield from extra
    yield from group("dev", read(ROOT / "pyproject.toml")["dependency-groups"])


def test_the_requirements_of_pants_are_those_of_the_packages_and_of_their_tests():
    wanted = {str(Requirement(line)) for line in declared()}
    wanted = {
        line
        for line in wanted
        if (name := Requirement(line).name) not in UNUSED and not name.startswith("flowhold")
    }
    lines = (ROOT / "3rdparty/python/requirements.txt").read_text(encoding="utf-8").splitlines()
    assert lines == sorted(lines)
    assert {str(Requirement(line)) for line in lines} == wanted


def test_pants_knows_every_package():
    for path in ROOT.glob("packages/*/pyproject.toml"):
        assert (path.parent / "BUILD").is_file(), path.parent.name
