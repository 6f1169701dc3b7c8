"""Bare git repositories that tests make with git's command line, the same each time."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STARTED = 1_700_000_000

# Neither the settings nor the identity of the user.
ISOLATED = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
PERSON = "Tester <tester@example.org>"

FLOW = '''"""Flow {number} of the repository."""

from flowhold import Flow, task


@task
def extract():
    return list(range({number}, {number} + 10))


@task
def total(numbers):
    return sum(numbers)


with Flow("flow-{number}") as flow:
    total(extract())
'''


@dataclass(frozen=True)
class Entry:
    """A file of another mode than usual; of a gitlink, the content is the SHA."""

    mode: str
    content: str | bytes


def executable(content: str | bytes) -> Entry:
    """Return a file that may be executed."""
    return Entry("100755", content)


def symlink(target: str | bytes) -> Entry:
    """Return a symbolic link."""
    return Entry("120000", target)


def gitlink(sha: str) -> Entry:
    """Return the commit of a submodule."""
    return Entry("160000", sha)


Content = str | bytes | Entry | None


@dataclass
class Repository:
    """A bare repository: what is written gets dates that count up from the first one."""

    path: Path
    default: str
    written: int = field(default=0, init=False)

    @property
    def url(self) -> str:
        """Return the URL of its folder."""
        return self.path.as_uri()

    def git(self, *words: str, stdin: bytes = b"") -> str:
        """Run git in the repository, and return what it says."""
        done = subprocess.run(
            ["git", *words],
            cwd=self.path,
            env=ISOLATED | {"GIT_DIR": str(self.path)},
            input=stdin,
            capture_output=True,
        )
        assert done.returncode == 0, f"git {words}\n{os.fsdecode(done.stderr)}"
        return os.fsdecode(done.stdout).strip()

    def head(self, branch: str | None = None) -> str:
        """Return the SHA of a branch, or an empty text where there is none."""
        ref = f"refs/heads/{branch or self.default}"
        return self.git("for-each-ref", "--format=%(objectname)", ref)

    def commit(
        self, files: Mapping[str, Content], message: str = "Change", branch: str | None = None
    ) -> str:
        """Commit files to a branch, the default one if not named, and return the SHA.

        A branch that is new begins at the default one.

        Args:
            files: Content by path; None removes the file or folder.
            message: What the commit says.
            branch: Where it goes.
        """
        changes = (change(path, content) for path, content in files.items())
        parent = self.head(branch) or self.head()
        stream = commit(branch or self.default, self.tick(), message, changes, parent)
        return self.fast_import([*stream, b"get-mark :1\n"])

    def fast_import(self, stream: Iterable[bytes]) -> str:
        """Run git fast-import on a stream, and return what it says."""
        return self.git("fast-import", "--quiet", "--force", stdin=b"".join(stream))

    def tick(self) -> str:
        """Return who does the next thing that is written, and when."""
        self.written += 1
        return f"{PERSON} {STARTED + 60 * self.written} +0000"

    def branch(self, name: str, sha: str) -> None:
        """Make or move a branch; the name may begin with a dash."""
        self.git("update-ref", f"refs/heads/{name}", sha)

    def tag(self, name: str, sha: str, annotated: bool = False) -> str:
        """Make or move a tag, and return the SHA of what it names: the tag object if annotated."""
        if annotated:
            text = f"object {sha}\ntype commit\ntag {name}\ntagger {self.tick()}\n\nTag {name}\n"
            sha = self.git("mktag", stdin=text.encode())
        self.git("update-ref", f"refs/tags/{name}", sha)
        return sha

    def blob(self, content: bytes) -> str:
        """Write a blob, and return its SHA."""
        return self.git("hash-object", "-w", "--stdin", stdin=content)

    def raw_tree(self, entries: Sequence[tuple[bytes, bytes, str]]) -> str:
        """Write a tree without any check, and return its SHA.

        Args:
            entries: Mode, name and SHA of each, such as (b"100644", b"../x", sha), in the order in
                which they are written.
        """
        tree = b"".join(b"%s %s\0%s" % (*entry[:2], bytes.fromhex(entry[2])) for entry in entries)
        return self.git("hash-object", "-t", "tree", "--literally", "-w", "--stdin", stdin=tree)

    def commit_tree(self, tree: str, branch: str | None = None, message: str = "Tree") -> str:
        """Commit a tree to a branch, the default one if not named, and return the SHA."""
        who, parent = self.tick(), self.head(branch) or self.head()
        lines = [f"tree {tree}", *([f"parent {parent}"] if parent else [])]
        text = "\n".join([*lines, f"author {who}", f"committer {who}", "", message, ""])
        sha = self.git(
            "hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=text.encode()
        )
        self.branch(branch or self.default, sha)
        return sha


def make_repository(path: Path, default: str = "trunk") -> Repository:
    """Make an empty bare repository.

    Args:
        path: Its folder, which is made.
        default: Name of the default branch.
    """
    path.mkdir(parents=True)
    repository = Repository(path, default)
    repository.git("init", "--quiet", "--bare", "--template=", f"--initial-branch={default}")
    return repository


def big_repository(
    path: Path, files: int = 5_000, commits: int = 2_000, folders: int = 100, flows: int = 100
) -> Repository:
    """Make a repository with many files and commits, packed as a server would have it.

    Args:
        path: Its folder, which is made.
        files: How many files there are, in all folders.
        commits: How many commits there are: the first adds the files, each other changes one.
        folders: How many folders there are beside `flows`.
        flows: How many of the files are scripts of flows: `flows/flow_0000.py` and so on.
    """
    repository, chance = make_repository(path), random.Random(0)
    scripts = {f"flows/flow_{n:04}.py": FLOW.format(number=n) for n in range(flows)}
    others = [f"folder_{n % folders:03}/file_{n:05}.txt" for n in range(files - flows)]

    def stream() -> Iterator[bytes]:
        for number in range(commits):
            names = [chance.choice(others)] if number else others
            changed = {name: prose(chance) for name in names} | ({} if number else scripts)
            changes = (change(name, content) for name, content in changed.items())
            yield from commit(repository.default, repository.tick(), f"Change {number}", changes)

    repository.fast_import(stream())
    repository.git("repack", "-a", "-d", "--quiet", "--write-bitmap-index")
    return repository


def prose(chance: random.Random) -> str:
    """Return one to three thousand characters of words."""
    size = chance.randrange(1_000, 3_000)
    text = chance.randbytes(size * 3 // 8).hex(" ", 3)
    return "\n".join(text[start : start + 80] for start in range(0, len(text), 80)) + "\n"


def commit(
    branch: str, who: str, message: str, changes: Iterable[bytes], parent: str = ""
) -> Iterator[bytes]:
    """Give a commit as git fast-import reads it; its mark is 1."""
    yield f"commit refs/heads/{branch}\nmark :1\nauthor {who}\ncommitter {who}\n".encode()
    yield data(message)
    if parent:
        yield f"from {parent}\n".encode()
    yield from changes
    yield b"\n"


def change(path: str, content: Content) -> bytes:
    """Return the change of a file as git fast-import reads it."""
    quoted = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    name = os.fsencode(f'"{quoted}"')
    if content is None:
        return b"D %s\n" % name
    entry = content if isinstance(content, Entry) else Entry("100644", content)
    if entry.mode == "160000":
        return b"M 160000 %s %s\n" % (os.fsencode(entry.content), name)
    return b"M %s inline %s\n%s" % (entry.mode.encode(), name, data(entry.content))


def data(content: str | bytes) -> bytes:
    """Return content as git fast-import reads it."""
    content = content.encode() if isinstance(content, str) else content
    return b"data %d\n%s\n" % (len(content), content)
