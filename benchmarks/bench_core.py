"""Start-up, commands and Local storage beside bare Python, plain cloudpickle and Prefect 1.4.1.

Usage: python benchmarks/bench_core.py [PYTHON_WITH_PREFECT_1.4.1]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from side_by_side import in_process, in_processes, report

FLOWS = 1000
FLOWHOLD = Path(sys.executable).with_name("flowhold")
SCRIPT = """
from flowhold import Flow, Parameter, task

@task
def double(x):
    return 2 * x

with Flow("bench") as flow:
    double(Parameter("x", default=1))
"""

LIBRARIES = """
import atexit, json, sys
sys.argv = ["flowhold", *{arguments!r}]
@atexit.register
def report():
    names = [name for name in sys.modules if name.partition(".")[0] not in ("flowhold", "__main__")]
    with open({target!r}, "w") as file:
        json.dump(names, file)
from flowhold.cli import main
main()
"""

PEER = """
import sys, time
import prefect
from prefect.storage import Local
flows = []
for number in range(int(sys.argv[2])):
    with prefect.Flow(f"flow {number}") as flow:
        prefect.Parameter("x", default=1) * 2
    flows.append(flow)
begin = time.perf_counter()
storage = Local(directory=sys.argv[1])
for flow in flows:
    storage.add_flow(flow)
storage.build()
for flow in flows:
    storage.get_flow(flow.name)
print(time.perf_counter() - begin)
"""


def imports() -> bool:
    """Compare ``import flowhold`` with a bare interpreter."""
    times = in_processes(
        {
            "import flowhold": [sys.executable, "-c", "import flowhold"],
            "bare Python": [sys.executable, "-c", "pass"],
            "import cloudpickle, pluggy": [sys.executable, "-c", "import cloudpickle, pluggy"],
        },
        rounds=30,
    )
    return report("import", times, {("import flowhold", "bare Python"): 1.5})


def commands(folder: Path) -> bool:
    """Compare each command with a process that imports the same libraries and does nothing."""
    script = folder / "bench.py"
    script.write_text(SCRIPT)
    subprocess.run([FLOWHOLD, "register", str(script)], check=True, capture_output=True)
    met = True
    for arguments in (
        ["register", str(script)],
        ["list"],
        ["show", "bench"],
        ["run", "bench"],
        ["verify", "bench"],
        ["plugins"],
        ["doctor"],
        ["cache", "show"],
        ["--help"],
    ):
        target = folder / "libraries.json"
        program = LIBRARIES.format(arguments=arguments, target=str(target))
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
        libraries = [name for name in json.loads(target.read_text()) if "flowhold_tree" not in name]
        nothing = folder / "nothing.py"
        # In the order in which the command imported them, so that each imports as little as it did.
        nothing.write_text(
            "".join(f"try: __import__({name!r})\nexcept ImportError: pass\n" for name in libraries)
        )
        name = "flowhold " + " ".join(Path(part).name for part in arguments)
        times = in_processes(
            {
                name: [str(FLOWHOLD), *arguments],
                "the same libraries": [sys.executable, str(nothing)],
            }
        )
        met &= report(name, times, {(name, "the same libraries"): 1.3})
    return met


def local(folder: Path, prefect: str | None) -> bool:
    """Compare small flows stored in Local and loaded with plain cloudpickle, fsync, rename."""
    import cloudpickle

    from flowhold import Flow, Parameter, task
    from flowhold.storage import Local

    def double(x: int) -> int:
        return 2 * x

    def made(number: int) -> Flow:
        with Flow(f"flow {number}") as flow:
            task(double)(Parameter("x", default=1))
        return flow

    flows = [made(number) for number in range(FLOWS)]
    round_number = iter(range(10**6))

    def ours() -> None:
        storage = Local(folder / f"ours-{next(round_number)}")
        for flow in flows:
            storage.add_flow(flow)
        storage.build()
        for flow in flows:
            storage.get_flow(flow.name)

    def plain() -> None:
        base = folder / f"plain-{next(round_number)}"
        base.mkdir()
        for number, flow in enumerate(flows):
            temporary = base / f"{number}.tmp"
            with open(temporary, "wb") as file:
                cloudpickle.dump(flow, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, base / str(number))
        for number in range(len(flows)):
            with open(base / str(number), "rb") as file:
                cloudpickle.load(file)

    times = in_process({"flowhold Local": ours, "cloudpickle + fsync + rename": plain})
    if prefect:
        taken = []
        for number in range(5):
            command = [prefect, "-c", PEER, str(folder / f"prefect-{number}"), str(FLOWS)]
            taken.append(float(subprocess.check_output(command, text=True).splitlines()[-1]))
        times["Prefect 1.4.1 Local (no fsync)"] = sorted(taken)[2]
    goals = {("flowhold Local", "cloudpickle + fsync + rename"): 2.0}
    return report(f"store and load {FLOWS:,} flows", times, goals)


def main() -> int:
    """Run all and return 0 if every goal is met."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        for kind in ("DATA", "CACHE", "CONFIG"):
            os.environ[f"FLOWHOLD_{kind}_DIR"] = os.path.join(name, kind.lower())
        met = [
            imports(),
            commands(Path(name)),
            local(Path(name), sys.argv[1] if len(sys.argv) > 1 else None),
        ]
    print(
        f"\n{'all goals met' if all(met) else 'goals missed'}; "
        f"took {time.perf_counter() - begin:.0f} s"
    )
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
