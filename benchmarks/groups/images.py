"""Images

An image that is built again after one flow changed, on one engine and one base image. Its Python is
3.10, as Prefect 1.4.1 needs, and it has Prefect and what Flowhold depends on. Nothing is installed
from a network: the program `pip` of that image, which Prefect's steps call, does nothing and
succeeds, and ours find all that they need. All these steps come from the engine's cache, for all
three alike. The command line is given contexts that Flowhold wrote, each with another flow. All
load the flow in the image as the last step.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from peers import ROOT, interpreter
from rows import Row
from turns import Contender, in_turn

BASE = "bench/base:latest"
PYTHON = "3.10"


def rows(size) -> Iterator[Row]:
    """Yield the one measure."""
    sys.path.insert(0, str(ROOT / "tests" / "plugins"))
    from docker_daemon import serving_engine

    ours, prefect = interpreter("docker"), interpreter("prefect1-docker")
    assert not ours.missing, ours.missing
    with tempfile.TemporaryDirectory() as name, serving_engine(Path(name)) as engine:
        os.environ.update(DOCKER_HOST=engine.url, DOCKER_CONFIG=name)
        pythons = [each.path for each in (prefect, ours) if not each.missing]
        make_base(engine, Path(name), pythons)
        settings = {"base": BASE}
        taken = in_turn(
            {
                "flowhold": Contender("images:Flowhold", ours, settings),
                "docker build": Contender("images:Command", ours, settings),
                "Prefect 1.4.1": Contender("images:Prefect1", prefect, settings),
            },
            size(5, 0),
        )
    goals = {"docker build": 1.3, "Prefect 1.4.1": 1}
    yield Row("rebuild after one flow changed", taken["rebuild"].seconds, goals)


def make_base(engine, folder: Path, pythons: list[Path]) -> None:
    """Make the image that all build on."""
    from docker_images import base_archive
    from root_archives import Root

    base_archive(folder / "bare.tar", str(pythons[0]))
    engine.import_archive(folder / "bare.tar", "bench/bare:latest")
    with Root(folder / "base.tar") as root:
        root.write("/usr/local/bin/pip", b"#!/bin/sh\nexit 0\n", 0o755)
        for python in pythons:
            add_packages(python, root)
    engine.add_archive(folder / "base.tar", BASE, "bench/bare:latest")


def add_packages(python: Path, root) -> None:
    """Add all packages of an environment to the root file system of an image."""
    folder = next(python.parents[1].glob("lib/python*/site-packages"))
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        ours = name.parts[0].startswith(("flowhold", "__editable__", "pip", "docker"))
        if path.is_file() and not ours and "__pycache__" not in name.parts:
            root.file(path, f"/usr/local/lib/python{PYTHON}/site-packages/{name}")
