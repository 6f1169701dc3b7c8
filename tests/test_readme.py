"""The examples of the READMEs are run: Python as scripts, console lines as commands.

``<!-- name.py -->`` before a Python example says under which name the console lines below find it.
Output is compared where it is shown; ``...`` stands for any text.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md"))]
EXAMPLE = re.compile(
    r"^(?:<!-- (\S+) -->\n)?```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)

each_readme = pytest.mark.parametrize(
    "readme", READMES, ids=lambda path: path.relative_to(ROOT).as_posix()
)


def run_console(block, process, folder):
    for command, shown in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        words = shlex.split(command, comments=True)
        if words[0] == "make":
            output = process("make", "--dry-run", *words[1:], cwd=ROOT)
        elif words[:2] == ["pip", "install"]:
            process(sys.executable, "-m", "uv", "venv", "--quiet", folder / "venv")
            packages = [ROOT / word if word.startswith("./") else word for word in words[2:]]
            python = folder / "venv" / "bin" / "python"
            output = process(
                sys.executable,
                "-m",
                "uv",
                "pip",
                "install",
                "--quiet",
                "--python",
                python,
                *packages,
            )
        elif words[0] == "git":
            continue
        else:
            output = process(*words, cwd=folder)
        if shown:
            pattern = re.sub(r"([\[?*])", r"[\1]", shown.strip()).replace("...", "*")
            assert fnmatchcase(output.strip(), pattern), f"{command}\n{output}"


@each_readme
def test_examples_of_the_readme_do_what_it_says(readme, process, tmp_path):
    folder = tmp_path / "here"
    shutil.copytree(ROOT / "examples", folder / "examples")
    for number, (name, kind, block) in enumerate(
        EXAMPLE.findall(readme.read_text(encoding="utf-8"))
    ):
        if kind == "console":
            run_console(block, process, folder)
        else:
            script = folder / (name or f"example_{number}.py")
            script.write_text(block, encoding="utf-8")
            if not name:
                process(sys.executable, script, cwd=folder)


@each_readme
def test_links_of_the_readme_lead_somewhere(readme):
    for target in re.findall(r"\]\(([^)#]+)\)", readme.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (readme.parent / target).exists(), target


def test_the_first_screen_shows_the_demo_the_tests_an_example_and_the_storages():
    screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:60])
    for part in ("make demo", "make test", "```python", "| storage |"):
        assert part in screen
