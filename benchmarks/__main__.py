"""Run the benchmarks: ``python benchmarks [--quick] [--page] [--renew] [GROUP...]``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from importlib import import_module
from typing import TypeVar

from page import renew_page, write_page
from peers import ROOT
from rows import Row

T = TypeVar("T")

GROUPS = (
    *("starting", "resolving", "serializing", "bundling", "storing", "git_loads", "images"),
    *("catalogs", "memory", "running", "signing"),
)


def run(name: str, quick: bool) -> list[Row]:
    """Run one group and print its rows; raise what makes it fail."""
    module = import_module(f"groups.{name}")
    begin = time.perf_counter()
    print(f"\n== {name}: {module.__doc__.splitlines()[0]}", flush=True)
    rows = []
    for row in module.rows(lambda full, short: short if quick else full):
        rows.append(row)
        # A short run says nothing of times.
        print(f"\n{row.text(verdicts=not quick)}", flush=True)
    print(f"\n{name} took {time.perf_counter() - begin:.0f} s", flush=True)
    return rows


def isolated(folder: str) -> None:
    """Let Flowhold, both Prefects and the groups keep their files in a folder; use no network.

    What groups leave there stays until all is measured: for some minutes after many files were
    removed, ext4 takes up to ten times as long to make others.
    """
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    # Byte code is cached, and folders are looked for, as for users.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for kind in ("DATA", "CACHE", "CONFIG"):
        os.environ[f"XDG_{kind}_HOME"] = os.path.join(folder, kind.lower())
    os.environ.update(
        DO_NOT_TRACK="1",
        PREFECT_HOME=os.path.join(folder, "prefect3"),
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY="false",
        PREFECT__HOME_DIR=os.path.join(folder, "prefect1"),
        PREFECT__LOGGING__LEVEL="ERROR",
    )
    # By itself it would change what looking for proxies costs.
    for name in ("no_proxy", "NO_PROXY"):
        os.environ.pop(name, None)
    if any(name.lower().endswith("_proxy") for name in os.environ):
        os.environ["NO_PROXY"] = "127.0.0.1,localhost"


def main() -> int:
    """Run all that is asked for; return 1 if something fails or, unless quick, misses its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short, to see that all of it runs")
    parser.add_argument(
        "--page", action="store_true", help="write docs/benchmarks.md, of all groups"
    )
    parser.add_argument("--renew", action="store_true", help="write the groups' sections of it")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    given = parser.parse_args()
    begin, load = time.perf_counter(), os.getloadavg()[0]
    results: dict[str, list[Row]] = {}
    failed = []
    # Not where all programs make and remove files.
    (place := ROOT / ".venvs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place, prefix=".bench-") as folder:
        isolated(folder)
        for name in given.groups or GROUPS:
            try:
                results[name] = run(name, given.quick)
            except Exception:  # noqa: BLE001 (the others are measured all the same)
                traceback.print_exc()
                failed.append(name)
    missed = [
        f"{row.measure} ({each.peer}: {each.ratio:.2f}, goal {each.goal:.2f})"
        for row in (row for rows in results.values() for row in rows)
        for each in row.comparisons()
        if each.met is False
    ]
    took = time.perf_counter() - begin
    print(f"\ntook {took:.0f} s; failed: {', '.join(failed) or 'none'}")
    if not given.quick:
        print("\n".join(["goals missed:", *missed]) if missed else "all goals met")
    if given.page and not failed and not given.groups:
        write_page(results, load, took)
    elif given.renew and not failed:
        renew_page(results)
    return 1 if failed or (missed and not given.quick) else 0


if __name__ == "__main__":
    sys.exit(main())
