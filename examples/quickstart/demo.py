"""Registers the example three ways, runs each from elsewhere, and compares the reports.

Usage: python demo.py [FOLDER]. FOLDER (default: .demo) is made, and removed at the end.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

FLOWHOLD = Path(sys.executable).with_name("flowhold")
NOT_THE_FLOW = shutil.ignore_patterns("__pycache__", "demo.py", "make_orders.py", "*.md")


def main(folder: Path) -> int:
    remove(folder)
    author, elsewhere = folder / "author", folder / "elsewhere"
    shutil.copytree(Path(__file__).parent, author, ignore=NOT_THE_FLOW)
    elsewhere.mkdir()
    try:
        return demo(author, elsewhere, environment(folder))
    finally:
        remove(folder)


def demo(author: Path, elsewhere: Path, env: dict[str, str]) -> int:
    heading("1. Register the flow as a pickle: its modules go along, and the files it reads")
    flowhold("register pipeline.py --pickle -o include=orders.csv,rates.json", author, env)

    heading("2. Register it as a script, with everything in its folder")
    flowhold("register pipeline.py --script -o 'include=*'", author, env)

    heading("3. Register it as a module that is installed where it runs")
    importable = env | {"PYTHONPATH": str(author)}
    flowhold("register -m pipeline", elsewhere, importable, prefix="PYTHONPATH=../author ")

    heading("What is registered now: the newest of three versions")
    flowhold("list", elsewhere, env)

    heading("Run the first two where the original files are not")
    away = author.rename(author.with_name("renamed-away"))
    print("\n$ mv author renamed-away")
    reports = [flowhold(f"run sales-report@{version}", elsewhere, env) for version in (1, 2)]

    heading("Run the third where the module can be imported")
    away.rename(author)
    print("\n$ mv renamed-away author")
    again = flowhold("run sales-report@3", elsewhere, importable, prefix="PYTHONPATH=../author ")

    if {*reports, again} != {again} or "Sales report" not in again:
        print("\nThe three reports differ.", file=sys.stderr)
        return 1
    print("\nThe three reports are the same.")
    return 0


def flowhold(arguments: str, folder: Path, env: dict[str, str], prefix: str = "") -> str:
    print(f"\n{folder.name}$ {prefix}flowhold {arguments}", flush=True)
    command = [str(FLOWHOLD), *shlex.split(arguments)]
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, encoding="utf-8")
    print(done.stdout, end="", flush=True)
    if done.returncode:
        raise SystemExit(f"flowhold ended with status {done.returncode}")
    return done.stdout


def environment(folder: Path) -> dict[str, str]:
    # Nothing of the user's own settings, and nothing left in their folders.
    env = {key: value for key, value in os.environ.items() if not key.startswith("FLOWHOLD_")}
    env.pop("PYTHONPATH", None)
    own = {
        f"FLOWHOLD_{kind}_DIR": str(folder / kind.lower()) for kind in ("DATA", "CACHE", "CONFIG")
    }
    return env | own | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}


def heading(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}", flush=True)


def remove(folder: Path) -> None:
    # Unpacked flows are read-only.
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            Path(parent, name).chmod(stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".demo").absolute()))
