"""A small repository in memory, which the fakes of all forges show in their own ways."""

from __future__ import annotations

from dataclasses import dataclass, field

SCRIPT = """
from flowhold import Flow
flow = Flow("{0}", lambda **_: "{0}")
"""


@dataclass(frozen=True)
class Link:
    target: str


@dataclass(frozen=True)
class Submodule:
    sha: str = "5" * 40


BIG = SCRIPT.format("big") + "#" * (2 << 20) + "\n"
FOLDER = {"inner.py": b"", "other.py": b""}


def script(name):
    return SCRIPT.format(name).encode()


def tree(name):
    """The files of the commit of that name."""
    return {
        "flows/etl.py": script(name),
        "flows/ünï #1%20?.py": script(f"{name} odd"),
        "big.py": BIG.encode(),
        "lfs.py": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
        "folder.py/inner.py": b"",
        "folder.py/other.py": b"",
        "link.py": Link("flows/etl.py"),
        "sub.py": Submodule(),
        "html.py": b"<html></html>\n",
    }


NAMES = {
    "trunk": "1a" * 20,
    "feature/x": "2b" * 20,
    "both-branch": "3c" * 20,
    "both-tag": "4d" * 20,
    "v1": "5e" * 20,
    "odd": "6f" * 20,
    "old": "abcdef12" + "0" * 32,
}
ODD = "-ö#%41&+\"'"


@dataclass
class Repository:
    """What there is: commits by SHA, and SHAs by the names of branches and tags."""

    name: str = "own-er/my.repo"
    default: str | None = "trunk"
    commits: dict = field(default_factory=lambda: {sha: tree(name) for name, sha in NAMES.items()})
    branches: dict = field(
        default_factory=lambda: {
            "trunk": NAMES["trunk"],
            "feature/x": NAMES["feature/x"],
            "both": NAMES["both-branch"],
            ODD: NAMES["odd"],
        }
    )
    tags: dict = field(
        default_factory=lambda: {
            "both": NAMES["both-tag"],
            "v1": NAMES["v1"],
            "light": NAMES["old"],
            "tag/" + ODD: NAMES["odd"],
        }
    )
    # Tag objects, which answers must not take for commits.
    objects: dict = field(default_factory=lambda: {"v1": "f" * 40})

    def commit(self, revision):
        """The SHA that git finds for a revision, or None."""
        for prefix, refs in (("refs/heads/", self.branches), ("refs/tags/", self.tags)):
            if revision.startswith(prefix):
                return refs.get(revision.removeprefix(prefix))
        if revision == "HEAD":
            return self.branches.get(self.default)
        for refs in (self.tags, self.branches):
            if revision in refs:
                return refs[revision]
        found = [sha for sha in self.commits if sha.startswith(revision) and len(revision) >= 4]
        return found[0] if len(found) == 1 else None

    def at(self, sha, path):
        """What is at a path: bytes, Link, Submodule, a list of names for a folder, or None."""
        files = self.commits[sha]
        inner = sorted(p for p in files if p.startswith(f"{path}/"))
        return files.get(path, inner or None)
