"""Root file systems for Docker images, made of what this machine has: no registry is asked."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

import servers
from packaging.requirements import Requirement
from root_archives import Root

__all__ = [
    "ENVIRONMENT",
    "base_archive",
    "dependencies_archive",
    "other_python",
    "small_archive",
]

ENVIRONMENT = ("PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8")

PROGRAMS = ["sh", "basename", "cat", "chmod", "chown", "cp", "dirname", "echo", "env", "false"]
PROGRAMS += ["grep", "head", "id", "install", "ln", "ls", "mkdir", "mktemp", "mv", "printf", "pwd"]
PROGRAMS += ["readlink", "realpath", "rm", "rmdir", "sed", "sha256sum", "sleep", "sort", "stat"]
PROGRAMS += ["tail", "test", "touch", "tr", "true", "uname", "wc", "whoami"]

# What compiled packages need, and by its name alone threads that end.
USUAL = ["libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "librt.so.1"]

# Of the standard library and of distributions: neither tests nor what needs a screen.
LEFT_OUT = {"__pycache__", "ensurepip", "idlelib", "lib2to3", "test", "tests", "tkinter"}
LEFT_OUT |= {"turtledemo", "site-packages", "dist-packages"}
NOT_COPIED = re.compile(r"\.(a|o|pyc)$|^(_tkinter|_test|_ctypes_test|xx).*\.so$|^config-3")

FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n",
    "etc/group": "root:x:0:\napp:x:1000:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

ASK = """
import json, sys, sysconfig
get = sysconfig.get_path
print(json.dumps({
    "prefix": sys.base_prefix,
    "version": "%d.%d" % sys.version_info[:2],
    "library": get("stdlib"),
    "packages": get("purelib"),
    "tag": sys.implementation.cache_tag,
    "wheels": sysconfig.get_config_var("WHEEL_PKG_DIR"),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python outside of any environment, and where an image has its files."""

    prefix: Path
    version: str
    """Such as `3.11`."""
    library: Path
    packages: Path
    tag: str
    """Such as `cpython-311`, which names of compiled files have."""
    wheels: str | None

    @property
    def program(self) -> Path:
        """Return the path of the program."""
        return self.prefix / "bin" / f"python{self.version}"

    def inside(self, path: Path) -> str:
        """Return where an image has a path: Python finds its library from the place it is at."""
        if self.prefix == Path("/usr"):
            return str(path)
        return str(PurePosixPath("/usr/local", path.relative_to(self.prefix)))


@functools.cache
def interpreter(python: str = sys.executable) -> Interpreter:
    """Return the Python that an environment is of."""
    for _ in range(2):
        said = subprocess.run([python, "-I", "-c", ASK], check=True, capture_output=True).stdout
        told = json.loads(said)
        # The second time outside of the environment, whose folder of packages is another one.
        python = f"{told['prefix']}/bin/python{told['version']}"
    for key in ("prefix", "library", "packages"):
        told[key] = Path(told[key]).resolve()
    return Interpreter(**told)


def other_python(version: str) -> str | None:
    """Return the path of an interpreter of another version, or None where there is none."""
    found = subprocess.run([servers.ROOT / ".ci" / "python", version], capture_output=True)
    return found.stdout.decode().strip() if found.returncode == 0 else None


def base_archive(path: Path, python: str = sys.executable) -> None:
    """Write the root file system of an image with a shell, some programs, Python and pip.

    Its Python is the one that an environment is of, which by default is the environment that runs
    the tests. Its libraries are those that `ldd` names.
    """
    origin = interpreter(python)
    with Root(path) as root:
        add_system(root)
        if CERTIFICATES.exists():
            root.file(CERTIFICATES, str(CERTIFICATES))
        bin_folder = origin.inside(origin.prefix / "bin")
        root.file(origin.program, f"{bin_folder}/python{origin.version}")
        for name in ("python", "python3"):
            root.link(f"{bin_folder}/{name}", f"python{origin.version}")
        files = library_files(origin.library)
        compiled = {origin.inside(file): file for file in files if file.suffix == ".so"}
        for file in files:
            if file.suffix != ".so":
                root.module(file, origin.inside(file), origin.tag)
        programs = add_programs(root, PROGRAMS)
        needed = shared_libraries([origin.program, *programs, *compiled.values()])
        for place, library in (needed | compiled).items():
            root.file(library, place, light=origin.prefix in library.parents)
        add_pip(root, origin)


def small_archive(path: Path, *names: str) -> None:
    """Write the root file system of an image with some programs and nothing else."""
    with Root(path) as root:
        add_system(root)
        for place, library in shared_libraries(add_programs(root, names)).items():
            root.file(library, place)


def add_system(root: Root) -> None:
    """Add the folders and users that programs expect."""
    for name in ("bin", "lib", "lib64", "sbin"):
        root.folder(f"usr/{name}")
        root.link(name, f"usr/{name}")
    root.folder("tmp", 0o1777)
    root.folder("var/tmp", 0o1777)
    root.folder("root", 0o700)
    root.folder("home/app", owner=1000)
    for place, text in FILES.items():
        root.write(place, text.encode())


def add_programs(root: Root, names: Sequence[str]) -> list[Path]:
    """Add programs of this machine, and return their paths."""
    found = []
    for name in names:
        program = shutil.which(name, path="/usr/bin:/bin")
        if program is None:
            servers.lacking(f"{name} is not in /usr/bin, and images of tests need it")
        root.file(Path(program), f"usr/bin/{name}")
        found.append(Path(program))
    return found


def library_files(folder: Path) -> list[Path]:
    """Return the files of a standard library that images get."""
    found: list[Path] = []
    for entry in sorted(folder.iterdir()):
        if entry.name in LEFT_OUT or NOT_COPIED.search(entry.name):
            continue
        if entry.is_dir():
            found += library_files(entry)
        elif entry.is_file():
            found.append(entry)
    return found


def shared_libraries(files: list[Path]) -> dict[str, Path]:
    """Return the libraries that files need, by where an image has them.

    All are beside the one of C, as those of a Python in a folder of its own are found by a path
    that the image does not have.
    """
    said = subprocess.run(["ldd", *files], capture_output=True, text=True).stdout
    named = dict(re.findall(r"^\s(\S+) => (/\S+) \(0x", said, re.MULTILINE))
    c_library = Path(named["libc.so.6"])
    usual = [it for it in map(c_library.with_name, USUAL) if it.exists()]
    beside = {name: Path(path) for name, path in named.items()} | {it.name: it for it in usual}
    found = {str(c_library.with_name(name)): path for name, path in beside.items()}
    loaders = re.findall(r"^\s(/\S+) \(0x", said, re.MULTILINE)
    placed = found | {loader: Path(loader) for loader in loaders}
    return {re.sub("^/lib", "/usr/lib", place): path for place, path in placed.items()}


def add_pip(root: Root, origin: Interpreter) -> None:
    """Add pip: the one that is installed, as that is compiled, or that of the wheel in Python."""
    found = metadata.distributions(name="pip", path=[str(origin.packages)])
    for installed in found:
        add_distribution(root, installed, origin)
        return
    folders = [origin.library / "ensurepip" / "_bundled", Path(origin.wheels or "/nowhere")]
    wheels = [it for folder in folders for it in folder.glob("pip-*.whl")]
    if not wheels:
        servers.lacking(f"{origin.program} comes without ensurepip, and images of tests need pip")
    with zipfile.ZipFile(wheels[0]) as wheel:
        for entry in wheel.infolist():
            if not entry.is_dir():
                place = f"{origin.inside(origin.packages)}/{entry.filename}"
                root.write(place, wheel.read(entry))


def dependencies_archive(path: Path) -> None:
    """Write what is in the folder of packages of an image: all that flowhold depends on.

    The files are those of the environment that runs the tests. flowhold itself is left out.
    """
    with Root(path) as root:
        for name in sorted(dependencies("flowhold", set()) - {"flowhold"}):
            add_distribution(root, metadata.distribution(name), interpreter())


def add_distribution(root: Root, installed: metadata.Distribution, origin: Interpreter) -> None:
    """Add the files of a distribution, except its scripts."""
    for file in installed.files or ():
        if ".." not in file.parts and file.suffix != ".pyc":
            source = Path(str(installed.locate_file(file)))
            root.module(source, f"{origin.inside(origin.packages)}/{file}", origin.tag)


def dependencies(name: str, found: set[str]) -> set[str]:
    """Return the names of a distribution and of what it depends on, without its extras."""
    if name not in found:
        found.add(name)
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                dependencies(requirement.name, found)
    return found
