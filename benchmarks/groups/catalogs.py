"""Catalogs

A catalog of 10,000 flows with 10 versions each, in a folder and in S3, beside a program that reads
the same documents with `os` or boto3. New, unchanged and changed are what is registered in it; the
flow itself is stored by one request. Listing yields entries while it asks for more: until the first
one there is one request. moto looks through all keys for each page that it lists, which is most of
the time of both.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from peers import OWN, ROOT
from rows import Row
from turns import Contender, in_turn

PROGRAMS = ROOT / "benchmarks" / "contenders"


def rows(size) -> Iterator[Row]:
    """Yield each kind of catalog."""
    flows, versions = size(10_000, 200), size(10, 3)
    settings = {"flows": flows, "gets": size(50, 5)}
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name, "catalog"), flows, versions)
        told = settings | {"url": f"{name}/catalog", "folder": f"{name}/flows", "bucket": ""}
        yield from compared("Local", "os", "Files", told, size(5, 0))
    with serving(flows, versions) as url:
        os.environ.update(
            AWS_ENDPOINT_URL=url,
            AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="testing",
            AWS_DEFAULT_REGION="us-east-1",
        )
        told = settings | {"url": "s3://catalog", "bucket": "catalog"}
        yield from compared("S3", "boto3", "Boto3", told, size(2, 0))


def compared(
    kind: str, peer: str, program: str, settings: dict[str, object], rounds: int
) -> Iterator[Row]:
    """Yield the measures of one kind."""
    taken = in_turn(
        {
            "flowhold": Contender("catalogs:Flowhold", OWN, settings),
            peer: Contender(f"catalogs:{program}", OWN, settings),
        },
        rounds,
    )
    gets = settings["gets"]
    yield Row(f"{kind}: newest version of a flow", taken["newest"].per(gets))
    yield Row(f"{kind}: list all", taken["list"].seconds)
    yield Row(f"{kind}: list, until the first flow", taken["first"].seconds)
    for what in ("new", "unchanged", "changed"):
        yield Row(f"{kind}: register a flow, {what}", taken[f"register {what}"].seconds)
    if kind == "S3":
        newest = taken["newest"].requests["flowhold"] / gets
        # The flow itself, unless it is unchanged, and 2 more.
        for measure, count, most in (
            ("newest version of a flow", newest, 2),
            ("list, until the first flow", taken["first"].requests["flowhold"], 1),
            ("register a flow, new", taken["register new"].requests["flowhold"], 3),
            ("register a flow, unchanged", taken["register unchanged"].requests["flowhold"], 2),
            ("register a flow, changed", taken["register changed"].requests["flowhold"], 3),
        ):
            values = {"flowhold": count, "allowed": most}
            yield Row(f"{kind}: {measure}", values, {"allowed": 1}, "requests")


def fill(folder: Path, flows: int, versions: int) -> None:
    """Write a catalog, as 100,000 registrations would take minutes."""
    sys.path.insert(0, str(PROGRAMS))
    from catalogs import documents

    for key, data in documents(flows, versions):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@contextlib.contextmanager
def serving(flows: int, versions: int) -> Iterator[str]:
    """Run a server for S3 with such a catalog, and give its URL."""
    command = [sys.executable, str(PROGRAMS / "catalog_server.py"), str(flows), str(versions)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait()
