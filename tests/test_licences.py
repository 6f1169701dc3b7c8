"""Each dependency of our packages is on the page of licences, under one that we take."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
TABLE, ARGUED = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8").split("\n## ")
OURS = sorted(
    path.name.replace("_", "-") for path in ROOT.glob("packages/*/src/*") if path.is_dir()
)
ALLOWED = {"Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MIT-0", "PSF-2.0"}
# What metadata without an expression of SPDX says, in the words of its classifier or of its field.
NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Artistic License": "Artistic",
    "BSD License": "BSD",
    "GNU General Public License (GPL)": "GPL",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def licence(metadata):
    if expression := metadata.get("License-Expression"):
        return expression
    stated = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier", [])
        if line.startswith("License :: ")
    ]
    stated = stated or [metadata.get("License") or "none stated"]
    return ", ".join(sorted({NAMES.get(name, name) for name in stated}))


def is_allowed(stated):
    """Of alternatives one must be allowed, of what is said together all."""
    return all(
        any(name in ALLOWED for name in part.strip("()").split(" OR "))
        for part in re.split(", | AND ", stated)
    )


def needed(name, extra, found):
    """Add what a distribution needs, with an extra or with none, and what that needs."""
    for line in distribution(name).requires or []:
        need = Requirement(line)
        if need.marker is not None and not need.marker.evaluate({"extra": extra}):
            continue
        key = canonicalize_name(need.name)
        for wanted in ("", *sorted(need.extras)):
            if key not in OURS and (key, wanted) not in found:
                found.add((key, wanted))
                needed(key, wanted, found)
    return found


def installed():
    """Return, by dependency, the distributions of ours that bring it, with the extra that does."""
    owners = {}
    for name in OURS:
        extras = distribution(name).metadata.get_all("Provides-Extra", [])
        always = {key for key, _ in needed(name, "", set())}
        for key in always:
            owners.setdefault(key, []).append(name)
        for extra in sorted({*extras} - {"all", "testing"}):
            for key in {key for key, _ in needed(name, extra, set())} - always:
                owners.setdefault(key, []).append(f"{name}[{extra}]")
    return owners


INSTALLED = installed()


def row(name):
    owners = ", ".join(f"`{label}`" for label in INSTALLED[name])
    return f"| `{name}` | {licence(distribution(name).metadata)} | {owners} |"


def test_each_dependency_is_on_the_page_with_its_licence_and_what_brings_it():
    missing = [row(name) for name in sorted(INSTALLED) if row(name) not in TABLE.splitlines()]
    assert not missing, "put these lines into docs/licences.md:\n" + "\n".join(missing)


def test_the_page_names_nothing_that_no_package_asks_for():
    asked = {
        canonicalize_name(Requirement(line).name)
        for name in (*OURS, *INSTALLED)
        for line in distribution(name).requires or []
    }
    assert set(re.findall(r"^\| `(.+?)`", TABLE, re.MULTILINE)) <= asked


@pytest.mark.parametrize(
    ("name", "stated"), re.findall(r"^\| `(.+?)` \| (.+?) \|", TABLE, re.MULTILINE)
)
def test_a_licence_is_one_that_we_take_or_is_argued_for(name, stated):
    assert is_allowed(stated) != (f"| `{name}` | {stated} |" in ARGUED)


@pytest.mark.parametrize(
    "stated", ["GPL-3.0-only", "MIT AND GPL-3.0-only", "MIT, GPL", "none stated"]
)
def test_copyleft_and_silence_are_not_taken(stated):
    assert not is_allowed(stated)


def test_of_alternatives_one_is_enough():
    assert is_allowed("Apache-2.0 OR GPL-2.0-or-later")
