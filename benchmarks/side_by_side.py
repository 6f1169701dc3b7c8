"""Measures that compare in one run: alternating, ratios printed."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

__all__ = ["in_process", "in_processes", "report"]

# Byte code is cached, as it is for users.
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


def in_processes(commands: dict[str, Sequence[str]], rounds: int = 15) -> dict[str, float]:
    """Return seconds per command, the minimum over fresh processes started in turn."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, command in commands.items():
            begin = time.perf_counter()
            subprocess.run(
                command,
                check=True,
                env={name: value for name, value in os.environ.items() if name != _NO_BYTECODE},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            times[name].append(time.perf_counter() - begin)
    # The first round warms the caches.
    return {name: min(taken[1:]) for name, taken in times.items()}


def in_process(functions: dict[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """Return seconds per function, the median over rounds in turn."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            begin = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(taken) for name, taken in times.items()}


def report(title: str, times: dict[str, float], goals: dict[tuple[str, str], float | None]) -> bool:
    """Print times and ratios; return whether each goal is met: the most that a ratio may be."""
    print(f"\n{title}")
    for name, seconds in times.items():
        print(f"  {name:<44} {seconds * 1000:9.2f} ms")
    met = True
    for (ours, theirs), goal in goals.items():
        ratio = times[ours] / times[theirs]
        reached = goal is None or ratio <= goal
        met &= reached
        verdict = "" if goal is None else f" (goal {goal:.2f}: {'met' if reached else 'MISSED'})"
        print(f"  {ours} / {theirs}: {ratio:.2f}{verdict}")
    sys.stdout.flush()
    return met
