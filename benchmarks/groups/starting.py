"""Import and commands

Fresh processes. Each command is beside a process that imports the libraries that the command
imported, in the same order, and does nothing. Beside `register` of an unchanged flow that process
loads the script, too. With 0 plugins only the core is installed; 50 plugins are 50 more
distributions that have a storage each.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from distributions import make_distributions
from peers import OWN, interpreter
from rows import Row
from turns import in_processes

SCRIPT = """
from flowhold import Flow, Parameter, task

@task
def double(x):
    return VERSION * x

with Flow("bench") as flow:
    double(Parameter("x", default=1))
"""

COMMANDS = """
list
show bench
run bench
fetch bench FOLDER/fetched
verify bench
diff bench@1 bench@2
rollback bench 1
prune bench --keep 1000
copy bench@1 --to local -o directory=FOLDER/copies
cache show
secrets check TOKEN
keys list
doctor
completion bash
--help
--version
"""
"""Each can run again and again; ``fetch`` leaves a folder, which is removed within its process."""

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


def rows(size) -> Iterator[Row]:
    """Yield import, then each command."""
    rounds = size(15, 0)
    python, prefect_1, prefect_3 = OWN, interpreter("prefect1"), interpreter("prefect3")
    imports = in_processes(
        {
            "import flowhold": [python.path, "-c", "import flowhold"],
            "bare Python": [python.path, "-c", "pass"],
            "import pluggy": [python.path, "-c", "import pluggy"],
            "import fsspec": [python.path, "-c", "import fsspec"],
            "import prefect.storage (Prefect 1.4.1)": prefect_1.missing
            or [prefect_1.path, "-c", "import prefect.storage"],
            "import prefect (Prefect 3)": prefect_3.missing
            or [prefect_3.path, "-c", "import prefect"],
        },
        size(12, 0),
    )
    yield Row("import", imports, {"bare Python": 1.5})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["FLOWHOLD_SECRET_TOKEN"] = "found"
        script = folder / "bench.py"
        for version in (2, 3):
            script.write_text(SCRIPT.replace("VERSION", str(version)))
            flowhold(OWN.path, "register", str(script))
        loads = f"import runpy; runpy.run_path({str(script)!r})\n"
        yield command(["register", str(script)], folder, rounds, loads=loads)
        for line in COMMANDS.strip().splitlines():
            yield command(shlex.split(line.replace("FOLDER", name)), folder, rounds)
        core = interpreter("core")
        assert not core.missing, core.missing
        with make_distributions(50) as extra:
            for count, path in (0, ""), (50, str(extra)):
                yield command(["plugins"], folder, rounds, core.path, path, f", {count} plugins")


def flowhold(python: Path, *arguments: str) -> None:
    """Run the command in an environment."""
    subprocess.run([python.with_name("flowhold"), *arguments], check=True, capture_output=True)


def command(
    arguments: Sequence[str],
    folder: Path,
    rounds: int,
    python: Path = OWN.path,
    path: str = "",
    note: str = "",
    loads: str = "",
) -> Row:
    """Compare a command with a process that imports the same libraries and does nothing.

    Args:
        arguments: What follows `flowhold`.
        folder: Where files may be made.
        rounds: Of processes.
        python: Of the environment that has the command.
        path: Folder of further distributions.
        note: What to add to its name.
        loads: Code that the other process runs, too.
    """
    env = {**os.environ, "PYTHONPATH": path}
    target, nothing = folder / "libraries.json", folder / "nothing.py"
    program = LIBRARIES.format(arguments=[*arguments], target=str(target))
    remove = ["rm", "-rf", str(folder / "fetched")]
    subprocess.run(remove, check=True)
    subprocess.run([python, "-c", program], capture_output=True, check=False, env=env)
    names = [name for name in json.loads(target.read_text()) if "flowhold" not in name]
    # In the order in which the command imported them, so that each imports as little as it did.
    nothing.write_text(
        "".join(f"try: __import__({name!r})\nexcept ImportError: pass\n" for name in names) + loads
    )
    own = shlex.join([str(python.with_name("flowhold")), *arguments])
    prefix = f"PYTHONPATH={shlex.quote(path)} " if path else ""
    clean = f"{shlex.join(remove)}; " if "fetch" in arguments else ""
    # Both by the same shell, which sets the path and removes what `fetch` left.
    times = in_processes(
        {
            "flowhold": ["sh", "-c", f"{clean}{prefix}exec {own}"],
            "the same libraries": ["sh", "-c", f"{clean}{prefix}exec {python} {nothing}"],
        },
        rounds,
    )
    shown = " ".join(arguments).replace(f"{folder}/", "")
    return Row(f"`flowhold {shown}`{note}", times, {"the same libraries": 1.3})
