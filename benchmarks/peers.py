"""The environments of what Flowhold is measured against, each made under ``.venvs`` once."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

__all__ = ["OWN", "ROOT", "Interpreter", "interpreter"]

ROOT = Path(__file__).parents[1]
PACKAGES = ROOT / "packages"

HERE = "{}.{}".format(*sys.version_info)
# It does not ask for the majors of its time, but needs them. It is the last to know Python 3.10.
PREFECT_1 = ["prefect==1.4.1", "pendulum<3", "marshmallow<4", "setuptools<70"]
ENVIRONMENTS = {
    # With Flowhold too, for what is to be measured under the same Python.
    "prefect1": (
        "3.10",
        [
            *PREFECT_1,
            *("boto3", "google-cloud-storage", "azure-storage-blob", "dulwich"),
            f"-e{PACKAGES / 'core'}",
        ],
    ),
    # Prefect 3.8 gives its server arguments that FastAPI 0.155 no longer takes.
    "prefect3": (HERE, ["prefect>=3,<4", "fastapi<0.155"]),
    "stores": (HERE, ["s3fs", "obstore"]),
    "core": (HERE, [f"-e{PACKAGES / 'core'}"]),
    "docker": ("3.10", [f"-e{PACKAGES / name}" for name in ("core", "storage-docker")]),
    # Its SDK of Docker is of a time before what these bring now.
    "prefect1-docker": ("3.10", [*PREFECT_1, "requests<2.32", "urllib3<2"]),
}


@dataclass(frozen=True)
class Interpreter:
    """Python in an environment, or why there is none."""

    path: Path
    missing: str = ""

    def versions(self, *distributions: str) -> dict[str, str]:
        """Return the versions of Python and of distributions."""
        program = (
            "import importlib.metadata as m, json, platform, sys\n"
            "print(json.dumps({'Python': platform.python_version()}"
            " | {name: m.version(name) for name in sys.argv[1:]}))"
        )
        done = subprocess.check_output([self.path, "-c", program, *distributions])
        found: dict[str, str] = json.loads(done)
        return found


OWN = Interpreter(Path(sys.executable))


@cache
def interpreter(name: str) -> Interpreter:
    """Return Python in one of the environments, which is made if it is not there."""
    version, requirements = ENVIRONMENTS[name]
    folder = ROOT / ".venvs" / f"bench-{name}"
    ready, wanted = folder / ".ready", sha256(repr([version, requirements]).encode()).hexdigest()
    python = folder / "bin" / "python"
    if not ready.is_file() or ready.read_text() != wanted:
        find = [str(ROOT / ".ci" / "python"), version]
        found = subprocess.run(find, capture_output=True, text=True, check=False)
        uv = [sys.executable, "-m", "uv", "--quiet"]
        for command in (
            [*uv, "venv", "--clear", "--python", found.stdout.strip() or version, str(folder)],
            [*uv, "pip", "install", "--python", str(python), *requirements],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                said = " ".join(done.stderr.split())
                return Interpreter(python, f"cannot be had: {said[-200:]}")
        ready.write_text(wanted)
    return Interpreter(python)
