"""Images: rebuilt after one flow changed, beside the docker command line and Prefect 1.4.1.

All three build on one engine and one base image. Its Python is 3.10, as Prefect 1.4.1 needs, and it
has Prefect and what Flowhold depends on. Nothing is installed from a network: the program `pip` of
that image, which Prefect's steps call, does nothing and succeeds, and ours find all that they need.
All these steps come from the engine's cache, for all three alike: the first round fills it. The
command line is given contexts that Flowhold wrote, each with another flow. All load the flow in the
image as the last step.

Needs root and what `make services` installs. Run: ``python benchmarks/bench_docker.py``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from peers import ROOT, Worker, environment, in_turn
from side_by_side import report

sys.path.insert(0, str(ROOT / "tests" / "plugins"))

from docker_daemon import DockerEngine, serving_engine
from docker_images import base_archive
from root_archives import Root

BASE = "bench/base:latest"
PYTHON = "3.10"
ROUNDS = 9

FLOWHOLD = """
import os, sys, tempfile
from flowhold import Flow, task
from flowhold_storage_docker import Docker

def storage(number):
    def value():
        return number
    with Flow("etl") as flow:
        task(value)()
    made = Docker(base_image=settings["base"], local_image=True, image_name="ours")
    made.add_flow(flow)
    return made
"""

OURS = f"""{FLOWHOLD}
def measures(round):
    yield "rebuild", lambda: storage(round).build()
"""

COMMAND = f"""{FLOWHOLD}
import subprocess

def measures(round):
    with tempfile.TemporaryDirectory() as folder:
        storage(f"command {{round}}").create_dockerfile_object(folder)
        command = ["docker", "build", "--quiet", "--tag", f"theirs:{{round}}", folder]
        options = {{"env": {{**os.environ, "DOCKER_BUILDKIT": "0"}}, "capture_output": True}}
        yield "rebuild", lambda: subprocess.run(command, check=True, **options)
"""

PREFECT = """
import contextlib, os, prefect
from prefect import Flow, task
from prefect.storage import Docker

def measures(round):
    @task
    def value():
        return round
    with Flow("etl") as flow:
        value()
    def build():
        storage = Docker(base_image=settings["base"], local_image=True, image_name="prefect")
        storage.add_flow(flow)
        with contextlib.redirect_stdout(open(os.devnull, "w")):
            storage.build(push=False)
    yield "rebuild", build
"""


def packages_of(python: str, root: Root) -> None:
    """Add all packages of an environment to the root file system of an image."""
    folder = next(Path(python).parents[1].glob("lib/python*/site-packages"))
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        ours = name.parts[0].startswith(("flowhold", "__editable__", "pip", "docker"))
        if path.is_file() and not ours and "__pycache__" not in name.parts:
            root.file(path, f"/usr/local/lib/python{PYTHON}/site-packages/{name}")


def make_base(engine: DockerEngine, folder: Path, pythons: list[str]) -> None:
    """Make the image that all build on."""
    base_archive(folder / "bare.tar", pythons[0])
    engine.import_archive(folder / "bare.tar", "bench/bare:latest")
    with Root(folder / "base.tar") as root:
        root.write("/usr/local/bin/pip", b"#!/bin/sh\nexit 0\n", 0o755)
        for python in pythons:
            packages_of(python, root)
    engine.add_archive(folder / "base.tar", BASE, "bench/bare:latest")


def main() -> int:
    """Run all and return 0 if every goal is met."""
    begin = time.perf_counter()
    packages = [ROOT / "packages" / name for name in ("core", "storage-docker")]
    ours = environment("bench-docker", PYTHON, [f"-e{package}" for package in packages])
    # Its SDK of Docker is of a time before that requests.
    needs = ["prefect==1.4.1", "pendulum<3", "marshmallow<4", "setuptools<70"]
    prefect = environment("bench-prefect1-docker", PYTHON, [*needs, "requests<2.32", "urllib3<2"])
    if ours is None:
        return 1
    with tempfile.TemporaryDirectory() as name, serving_engine(Path(name)) as engine:
        os.environ["DOCKER_HOST"] = engine.url
        for kind in ("DATA", "CACHE", "CONFIG"):
            os.environ[f"FLOWHOLD_{kind}_DIR"] = os.path.join(name, kind.lower())
        os.environ["DOCKER_CONFIG"] = os.environ["PREFECT__HOME_DIR"] = name
        make_base(engine, Path(name), [python for python in (prefect, ours) if python])
        settings = {"base": BASE}
        workers = {
            "flowhold": Worker(ours, OURS, settings),
            "docker build": Worker(ours, COMMAND, settings),
        }
        if prefect:
            workers["Prefect 1.4.1"] = Worker(prefect, PREFECT, settings)
        times = in_turn(workers, ROUNDS)["rebuild"]
    if not {"flowhold", "docker build"} <= times.keys():
        return 1
    goals: dict[tuple[str, str], float | None] = {("flowhold", "docker build"): 1.3}
    if "Prefect 1.4.1" in times:
        goals["flowhold", "Prefect 1.4.1"] = 1.0
    met = report(f"rebuild after one flow changed, best of {ROUNDS}", times, goals)
    print(f"\n{time.perf_counter() - begin:.0f} s")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
