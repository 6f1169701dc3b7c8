"""Contenders that take turns: as processes that measure when asked to, or as fresh ones."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from peers import Interpreter

__all__ = ["Contender", "Taken", "alone", "in_processes", "in_turn"]

PROGRAMS = Path(__file__).parent / "contenders"


@dataclass(frozen=True)
class Contender:
    """A class of a program in ``contenders``, its interpreter and what it is told (JSON)."""

    program: str
    """``file:Class``."""
    interpreter: Interpreter
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass
class Taken:
    """What one measure took, by contender: seconds, and the requests of a round."""

    seconds: dict[str, float | str] = field(default_factory=dict)
    requests: dict[str, float | str] = field(default_factory=dict)

    def per(self, count: int) -> dict[str, float | str]:
        """Return the seconds for each of so many."""
        return {
            name: value if isinstance(value, str) else value / count
            for name, value in self.seconds.items()
        }


def in_turn(
    contenders: Mapping[str, Contender],
    rounds: int,
    of_all: Callable[[Sequence[float]], float] = min,
) -> dict[str, Taken]:
    """Return what each measure takes: the best of rounds in turn, or what else is chosen of all.

    Their order changes and turns round, as who shares libraries with the one before finds them in
    the processor's caches. One more round comes before and does not count, unless it is all there
    is.

    Of a contender that is missing or fails there is a text.

    Raises:
        RuntimeError: The first one, which is ours, is missing or failed.
    """
    taken: dict[str, Taken] = {}
    samples: dict[tuple[str, str], list[float]] = {}
    failed = {name: each.interpreter.missing for name, each in contenders.items()}
    workers = {
        name: _Worker(each) for name, each in contenders.items() if not each.interpreter.missing
    }
    try:
        for number in range(rounds + 1):
            for name in _order(list(workers), number):
                if failed[name]:
                    continue
                try:
                    measured = workers[name].measure(f"r{number}")
                except RuntimeError as error:
                    failed[name] = str(error)
                    continue
                for measure, (seconds, requests) in (
                    measured.items() if number or not rounds else ()
                ):
                    samples.setdefault((measure, name), []).extend(seconds)
                    taken.setdefault(measure, Taken()).requests[name] = requests
    finally:
        for worker in workers.values():
            worker.stop()
    if why := failed[next(iter(contenders))]:
        raise RuntimeError(why)
    for measure, own in taken.items():
        # In the order of the contenders, ours first.
        for name in contenders:
            if several := samples.get((measure, name)):
                own.seconds[name] = of_all(several)
        own.seconds.update({name: why for name, why in failed.items() if why})
    return taken


def _order(names: Sequence[str], number: int) -> list[str]:
    """Return the order of a round: each begins once, and then each once in the order backwards."""
    again, first = divmod(number, max(1, len(names)))
    order = [*names[first:], *names[:first]]
    return order[::-1] if again % 2 else order


def alone(contender: Contender, measure: str, rounds: int) -> float | str:
    """Return what one measure of one contender takes, or why there is no such value."""
    try:
        return in_turn({"it": contender}, rounds)[measure].seconds["it"]
    except RuntimeError as error:
        return str(error)


def in_processes(
    commands: Mapping[str, Sequence[str] | str], rounds: int
) -> dict[str, float | str]:
    """Return seconds per command: the best of fresh processes started in turn.

    One more round before warms the caches. A command that is a text cannot be had.
    """
    samples: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for name in _order(list(commands), number):
            if isinstance(command := commands[name], str):
                continue
            begin = time.perf_counter()
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
            seconds = time.perf_counter() - begin
            if done.returncode:
                raise RuntimeError(f"{name}: {done.stderr.decode()[-1000:]}")
            samples.setdefault(name, []).append(seconds)
    return {
        name: command if isinstance(command, str) else min(samples[name][1:] or samples[name])
        for name, command in commands.items()
    }


class _Worker:
    """The process of a contender."""

    def __init__(self, contender: Contender) -> None:
        file, _, name = contender.program.partition(":")
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        self._process = subprocess.Popen(
            [
                *(str(contender.interpreter.path), "-W", "ignore", str(PROGRAMS / f"{file}.py")),
                *(name, json.dumps(contender.settings)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def measure(self, round_name: str) -> dict[str, tuple[list[float], int]]:
        """Return the seconds of each part and the requests of all, by measure, for one round."""
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{round_name}\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            said = self._said.read().decode(errors="replace").strip() or "it ended"
            raise RuntimeError(said.splitlines()[-1][-300:])
        measured: dict[str, tuple[list[float], int]] = json.loads(line)
        return measured

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._said.close()
