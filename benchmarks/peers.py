"""Environments and processes of what Flowhold is measured against."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

__all__ = ["Worker", "environment", "in_turn", "prefect_1"]

ROOT = Path(__file__).parents[1]

LOOP = """
import json, sys, time
settings, answers = json.loads(sys.argv[1]), sys.stdout
sys.stdout = sys.stderr
PROGRAM
for line in sys.stdin:
    taken = {}
    for name, measured in measures(line.strip()):
        begin = time.perf_counter()
        measured()
        taken[name] = time.perf_counter() - begin
    print(json.dumps(taken), file=answers, flush=True)
"""


def environment(name: str, version: str, requirements: list[str]) -> str | None:
    """Return Python in an environment with these requirements, made under ``.venvs`` once.

    None where it cannot be made; why is printed.
    """
    folder = ROOT / ".venvs" / name
    ready, wanted = folder / ".ready", sha256(repr([version, requirements]).encode()).hexdigest()
    uv = [sys.executable, "-m", "uv", "--quiet"]
    python = folder / "bin" / "python"
    if not ready.is_file() or ready.read_text() != wanted:
        found = subprocess.run(
            [ROOT / ".ci" / "python", version], capture_output=True, text=True, check=False
        )
        for command in (
            [*uv, "venv", "--clear", "--python", found.stdout.strip() or version, str(folder)],
            [*uv, "pip", "install", "--python", str(python), *requirements],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name} cannot be had: {done.stderr.strip()[-300:]}")
                return None
        ready.write_text(wanted)
    return str(python)


def prefect_1() -> str | None:
    """Return Python with Prefect 1.4.1 and what its storages need; see :func:`environment`."""
    requirements = [
        *("prefect==1.4.1", "pendulum<3", "marshmallow<4", "setuptools<70"),
        *("boto3", "google-cloud-storage", "azure-storage-blob", "dulwich"),
    ]
    return environment("bench-prefect1", "3.10", requirements)


class Worker:
    """A process that measures when asked to, so that contenders can take turns.

    Args:
        python: Its interpreter.
        program: Defines ``measures(round)``, which yields names and functions to be timed;
            ``settings`` holds what is given here.
        settings: JSON values.
    """

    def __init__(self, python: str, program: str, settings: dict[str, object]) -> None:
        self._process = subprocess.Popen(
            [python, "-W", "ignore", "-c", LOOP.replace("PROGRAM", program), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PREFECT__LOGGING__LEVEL": "ERROR"},
        )

    def measure(self, round_name: str) -> dict[str, float]:
        """Return seconds by name, for one round."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{round_name}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"its process ended with {self._process.wait()}")
        taken: dict[str, float] = json.loads(line)
        return taken

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def in_turn(workers: dict[str, Worker], rounds: int = 9) -> dict[str, dict[str, float]]:
    """Return seconds by measure and contender: the best of rounds in turn, the first left out."""
    taken: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds + 1):
        for contender in list(workers):
            try:
                measured = workers[contender].measure(f"r{number}")
            except RuntimeError as error:
                print(f"{contender} cannot be measured: {error}")
                workers.pop(contender).stop()
                continue
            for name, seconds in measured.items():
                if number:
                    taken.setdefault(name, {}).setdefault(contender, []).append(seconds)
    for worker in workers.values():
        worker.stop()
    return {
        name: {contender: min(times) for contender, times in rows.items()}
        for name, rows in taken.items()
    }
