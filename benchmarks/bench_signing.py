"""Loads of signed flows beside the same loads of unsigned ones: what checking a signature costs.

Usage: python benchmarks/bench_signing.py
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from side_by_side import in_processes, report

LOADS = 200
ROUNDS = 9
MOST = 1.0
"""How many milliseconds a check may add to a load."""

SCRIPT = """
import sys
import flowhold
flowhold.load(sys.argv[1])
"""


def timed(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return seconds per call: calls in turn, the median over rounds of the median of a round."""
    medians: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS):
        times: dict[str, list[float]] = {name: [] for name in functions}
        for _ in range(LOADS):
            for name, function in functions.items():
                begin = time.perf_counter()
                function()
                times[name].append(time.perf_counter() - begin)
        for name, taken in times.items():
            medians[name].append(statistics.median(taken))
    return {name: statistics.median(taken) for name, taken in medians.items()}


def show(title: str, times: dict[str, float], without: str) -> bool:
    """Print times and what each takes over the one without; return whether that is little."""
    report(title, times, {})
    met = True
    for name, seconds in times.items():
        if name != without:
            added = (seconds - times[without]) * 1000
            met &= added <= MOST
            verdict = "met" if added <= MOST else "MISSED"
            print(f"  {name} adds {added:.3f} ms (goal {MOST:.2f} ms: {verdict})")
    return met


def loads(folder: Path) -> bool:
    """Compare loads in one process, by name and by reference."""
    from flowhold import Catalog, Flow, Parameter, keyring, load, register, task
    from flowhold.storage import Local

    def double(x: int) -> int:
        return 2 * x

    with Flow("bench") as flow:
        task(double)(Parameter("x", default=1))
    keys = [keyring.create(name) for name in ("one", "two", "three")]
    storage = Local(folder / "flows")
    plain = register(flow, storage=storage)
    signed = register(flow, storage=storage, sign="one")
    several = register(flow, storage=storage, sign=["three", "two", "one"])

    def without(source: object) -> Callable[[], object]:
        def call() -> object:
            os.environ["FLOWHOLD_TRUSTED_KEYS"] = ""
            return load(source)

        return call

    def checked(source: object, *trusted: str) -> Callable[[], object]:
        def call() -> object:
            os.environ["FLOWHOLD_TRUSTED_KEYS"] = ",".join(trusted)
            return load(source)

        return call

    files = [str(folder / "config" / "keys" / f"{key.name}.pub") for key in keys]
    name = f"bench@{plain.version}"
    times = {
        "not signed": without(plain),
        "signed, one key trusted": checked(signed, files[0]),
        "signed with three keys, three trusted": checked(several, *files),
    }
    met = show("load a reference", timed(times), "not signed")
    times = {
        "not signed": without(name),
        "signed, one key trusted": checked(f"bench@{signed.version}", files[0]),
    }
    met &= show("load by name and version", timed(times), "not signed")
    catalog = Catalog()
    newest = {"newest": lambda: catalog.get("bench"), "by version": lambda: catalog.get("bench", 1)}
    os.environ["FLOWHOLD_TRUSTED_KEYS"] = ""
    report("look up in a catalog", timed(newest), {})
    os.environ["FLOWHOLD_ROLLBACK_PROTECTION"] = "false"
    report("the same without remembering what was seen", timed(newest), {})
    os.environ["FLOWHOLD_ROLLBACK_PROTECTION"] = ""
    return met


def processes(folder: Path) -> None:
    """Compare whole processes, which import the library of the signatures too."""
    from flowhold import Catalog

    script = folder / "load.py"
    script.write_text(SCRIPT)
    for version, name in ((1, "plain"), (2, "signed")):
        (folder / f"{name}.json").write_text(Catalog().get("bench", version).to_json())
    trusted = str(folder / "config" / "keys" / "one.pub")
    results = {}
    for name, keys in (("plain", ""), ("signed", trusted)):
        os.environ["FLOWHOLD_TRUSTED_KEYS"] = keys
        command = [sys.executable, str(script), str(folder / f"{name}.json")]
        results |= in_processes({f"a process that loads one, {name}": command})
    report("a fresh process", results, {})


def main() -> int:
    """Run all and return 0 if every goal is met."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        for kind in ("DATA", "CACHE", "CONFIG"):
            os.environ[f"FLOWHOLD_{kind}_DIR"] = os.path.join(name, kind.lower())
        met = loads(Path(name))
        processes(Path(name))
    took = time.perf_counter() - begin
    print(f"\n{'all goals met' if met else 'goals missed'}; took {took:.0f} s")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
