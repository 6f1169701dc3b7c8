"""Run one operation again and again, each time killed or short of room somewhere else.

``ordeal.py OPERATION MODE BASE SEED COUNT``: prints the number of points there are and, for each
point tried, what was wrong afterwards. COUNT 0 tries every point. Each preparation, operation and
check runs in a fork of its own, so that nothing but files connects them.
"""

from __future__ import annotations

import builtins
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

import operations

from flowhold.errors import FlowholdError

BEFORE = {"open", "os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir", "os.chmod"}
BEFORE |= {"os.utime", "os.truncate", "fcntl.flock"}


class Stepper:
    """Counts what this process does to files, and ends it at one of these points.

    Points are before each call that changes something, half-way through each write, and behind
    each sync, link and rename.
    """

    def __init__(self, base: str, last: int) -> None:
        self.base = base
        self.last = last
        self.count = 0
        sys.addaudithook(self.audit)
        for name in ("fsync", "link", "replace", "rename"):
            setattr(os, name, self.wrapped(getattr(os, name)))
        builtins.open = io.open = self.wrapped_open(io.open)

    def step(self) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, event: str, args: tuple) -> None:
        if event == "fcntl.flock" or (event in BEFORE and str(args[0]).startswith(self.base)):
            self.step()

    def wrapped(self, call):
        def stepping(*args, **options):
            outcome = call(*args, **options)
            self.step()
            return outcome

        return stepping

    def wrapped_open(self, original):
        stepper = self

        class Raw(io.FileIO):
            def write(self, data):
                stepper.step()
                half = len(data) // 2
                written = super().write(memoryview(data)[:half]) if half else 0
                stepper.step()
                if written < half:
                    return written
                return written + super().write(memoryview(data)[half:])

        def opened(file, mode="r", *args, **options):
            if not set(mode) & set("wxa") or not str(file).startswith(self.base):
                return original(file, mode, *args, **options)
            stream = io.BufferedWriter(Raw(file, mode.replace("b", "").replace("t", "")))
            return stream if "b" in mode else io.TextIOWrapper(stream)

        return opened


def fork(work) -> tuple[int, str]:
    """Run ``work(report)`` in a fork; return its status and what it reported before its end."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            work(lambda text: os.write(writer, f"{text}\n".encode()))
            status = 0
        except BaseException:
            os.write(writer, traceback.format_exc().encode())
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


class Ordeal:
    def __init__(self, operation: str, base: Path) -> None:
        self.operation = getattr(operations, operation)()
        self.base = base / "base"
        self.template = base / "template"
        for name in ("config", "data", "cache"):
            os.environ[f"FLOWHOLD_{name.upper()}_DIR"] = str(self.base / name)
        self.base.mkdir()
        status, text = fork(lambda report: self.operation.prepare(self.base))
        assert status == 0, text
        shutil.copytree(self.base, self.template)

    def reset(self) -> None:
        shutil.rmtree(self.base)
        shutil.copytree(self.template, self.base)

    def check(self, text: str) -> str:
        """Return what is wrong now, given what the operation reported; empty where nothing is."""
        status, found = fork(lambda report: self.operation.check(self.base, text.split()))
        return "" if status == 0 else found

    def killed(self, last: int) -> tuple[int, str]:
        self.reset()

        def work(report):
            stepper = Stepper(str(self.base), last)
            self.operation.act(self.base, report)
            if not last:
                report(f"points={stepper.count}")

        status, text = fork(work)
        return status, text

    def points(self) -> int:
        status, text = self.killed(0)
        assert status == 0, text
        return int(text.rpartition("points=")[2])

    def try_kill(self, point: int) -> str:
        status, text = self.killed(point)
        if status != -signal.SIGKILL:
            return f"was not killed: {status} {text}"
        return self.check(text)

    def try_time(self, part: float) -> str:
        """Kill the operation from outside after a part of the time that it takes."""
        self.reset()
        begin = time.monotonic()
        fork(lambda report: self.operation.act(self.base, report))
        seconds = (time.monotonic() - begin) * part
        self.reset()

        def work(report):
            pid = os.fork()
            if pid == 0:
                self.operation.act(self.base, report)
                os._exit(0)
            time.sleep(seconds)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

        status, text = fork(work)
        return self.check(text) if status == 0 else text

    def try_limit(self, limit: int) -> str:
        """Let no file become larger than a limit."""
        self.reset()

        def work(report):
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            self.short_of_room(report)

        return self.judge(*fork(work))

    def try_disk(self, free: int) -> str:
        """Leave so many bytes of the disk free."""
        self.reset()
        filler = self.base.parent / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 12)):
                    pass
            except OSError:
                pass
            file.truncate(max(0, file.tell() - free))
        try:
            outcome = fork(self.short_of_room)
        finally:
            filler.unlink()
        return self.judge(*outcome)

    def short_of_room(self, report) -> None:
        try:
            self.operation.act(self.base, report)
        except FlowholdError as error:
            if not str(error).strip() or "\n" in str(error):
                raise
            report("refused")

    def judge(self, status: int, text: str) -> str:
        if status:
            return text
        if self.operation.parts(self.base):
            return f"left behind: {self.operation.parts(self.base)}"
        return self.check(text)


def main() -> None:
    name, mode, base, seed, count = sys.argv[1:]
    warnings.simplefilter("ignore")
    ordeal = Ordeal(name, Path(base))
    dice = random.Random(f"{seed} {name} {mode}")
    most = 1 << 62 if count == "0" else int(count)
    if mode == "kill":
        points = list(range(1, ordeal.points() + 1))
        attempt = ordeal.try_kill
    elif mode == "time":
        points = [dice.random() * 1.1 for _ in range(min(most, 60))]
        attempt = ordeal.try_time
    elif mode == "limit":
        points = sorted({*range(0, 3000, 100), *range(3000, 90_000, 1500)})
        attempt = ordeal.try_limit
    else:
        points = [pages << 12 for pages in range(80)]
        attempt = ordeal.try_disk
    tried = points if len(points) <= most else sorted(dice.sample(points, most))
    problems = [attempt(point) for point in tried]
    print(json.dumps({"points": len(points), "tried": tried, "problems": problems}))


if __name__ == "__main__":
    main()
