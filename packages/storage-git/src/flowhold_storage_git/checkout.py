"""A commit's files in a folder; whatever the repository holds, nothing is written outside of it."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dulwich.index import validate_path_element_hfs, validate_path_element_ntfs

from flowhold import settings
from flowhold.errors import FlowNotFoundError, IntegrityError
from flowhold.writing import EXECUTABLE, READABLE, write_new
from flowhold_storage_git.objects import BLOB, COMMIT, TREE, Objects, too_large, tree_entries

__all__ = ["File", "files_of", "root_tree", "settle_links", "too_many", "write_files"]

_LOGGER = logging.getLogger("flowhold.storage.git")
_GITLINK = 0o160000
_DEPTH = 200
_LONGEST_NAME = 255
_LONGEST_LINK = 4095
_FOLLOWED = 40


class File(NamedTuple):
    """A file, link or submodule of a commit."""

    path: str
    mode: int
    sha: str

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_submodule(self) -> bool:
        """Whether it is the place of another repository, at the commit that is its SHA."""
        return self.mode == _GITLINK


def root_tree(objects: Objects, commit: str) -> str:
    """Return the SHA of the folder that a commit holds."""
    first = objects.read(commit, COMMIT).partition(b"\n")[0]
    name, _, sha = first.partition(b" ")
    if name != b"tree" or len(sha) != 40:
        raise IntegrityError(f"the commit {commit} is damaged")
    return sha.decode("ascii", "replace")


def files_of(
    objects: Objects, tree: str, wanted: Sequence[str] | None = None, extra: Sequence[str] = ()
) -> list[File]:
    """Return what is in a tree, or below some paths in it, after checking that it is safe to write.

    Args:
        objects: Must hold all trees.
        tree: SHA of the root.
        wanted: Paths of folders and files; None: all.
        extra: Paths that are wanted too, where they are there.

    Raises:
        FlowNotFoundError: One of them is not there.
        IntegrityError: A name is not safe, or there is more than the settings allow.
    """
    limit = settings.current().max_tree_files
    missing = set(wanted or ())
    found: list[File] = []
    folders = 0
    all_wanted = None if wanted is None else [*wanted, *extra]
    for path, file in _walk(objects, tree, "", all_wanted, 0):
        missing.discard(path)
        if file is None:
            folders += 1
        else:
            found.append(file)
        if max(len(found), folders) > limit:
            raise too_many(limit)
    if missing:
        raise FlowNotFoundError(
            f"there is no {min(missing)} in the repository at this commit",
            location=min(missing),
            hint="check the path, and directories=: they are relative to the repository's root",
        )
    return found


def too_many(limit: int) -> IntegrityError:
    """Return the error for a repository that has more than so many files."""
    return IntegrityError(
        f"the repository has more than {limit:,} files or folders",
        hint="fetch only the folders that are needed (directories=), or allow more: the setting "
        "max_tree_files",
    )


def _walk(
    objects: Objects, tree: str, below: str, wanted: Sequence[str] | None, depth: int
) -> Iterator[tuple[str, File | None]]:
    """Yield the path of every folder and file that is wanted or leads there, with the files."""
    if depth > _DEPTH:
        raise IntegrityError("the folders of the repository are nested too deeply")
    names: set[bytes] = set()
    for entry in tree_entries(objects.read(tree, TREE)):
        if not _is_safe(entry.name) or entry.name in names:
            raise IntegrityError(
                f"the repository is not safe to check out: it has the name {entry.name!r} in "
                f"{below or 'its root'!r}"
            )
        names.add(entry.name)
        path = below + os.fsdecode(entry.name)
        inside = wanted is None or any(_is_below(path, name) for name in wanted)
        if stat.S_ISDIR(entry.mode):
            yield path, None
            if inside or any(_is_below(name, path) for name in wanted or ()):
                rest = None if inside else wanted
                yield from _walk(objects, entry.sha, f"{path}/", rest, depth + 1)
        elif inside:
            yield path, File(path, entry.mode, entry.sha)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _is_safe(name: bytes) -> bool:
    """Whether a name stays in its folder, and is not that of git's own files, on any system."""
    if (
        not name
        or b"/" in name
        or b"\0" in name
        or len(name) > _LONGEST_NAME
        or name in (b".", b"..")
    ):
        return False
    if not validate_path_element_ntfs(name):
        return False
    if name.isascii():
        # Of these HFS+ leaves nothing out, and asking for each of thousands of files takes long.
        return name.lower() != b"git~1"
    try:
        name.decode()
    except UnicodeDecodeError:
        return True
    return bool(validate_path_element_hfs(name))


def write_files(
    objects: Objects, files: Sequence[File], folder: Path, below: str = ""
) -> dict[str, str]:
    """Write files and links into an empty folder; return the sha256 (hex) of each file by path.

    Args:
        objects: Must hold all blobs.
        files: What to write.
        folder: Where.
        below: Path of a folder in it, ending with ``/``, into which all of it belongs.

    Raises:
        IntegrityError: A file and a folder have one name, a path is too long, or there is more than
            the settings allow.
    """
    root = os.path.join(os.fspath(folder), below)
    limit = left = settings.current().max_tree_bytes
    digests: dict[str, str] = {}
    targets: dict[str, bytes] = {}
    try:
        _make_folders(root, files)
        for file in files:
            if file.is_submodule:
                continue
            content = objects.read(file.sha, BLOB)
            left -= len(content)
            if left < 0:
                raise too_large(limit)
            if file.is_link:
                targets[file.path] = content
            else:
                digests[below + file.path] = _write(content, file, root)
        # Behind all files, so that none is written through one of them.
        for path, target in targets.items():
            if _can_be_followed(target):
                os.symlink(os.fsdecode(target), os.path.join(root, path))
            else:
                _LOGGER.warning("the link %r leads nowhere and is left out", path)
    except (FileExistsError, NotADirectoryError) as error:
        raise IntegrityError(
            f"two files of the repository have one name here: {error.filename!r}"
        ) from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise IntegrityError(
            "a path in the repository is too long for this machine",
            hint="fetch only the folders that are needed (directories=)",
        ) from error
    return digests


def _can_be_followed(target: bytes) -> bool:
    """Whether a link can have this target, without an error from those who come upon it."""
    longest = max(map(len, target.split(b"/")))
    return 0 < len(target) <= _LONGEST_LINK and longest <= _LONGEST_NAME and b"\0" not in target


def settle_links(folder: Path, links: Sequence[str], digests: dict[str, str]) -> None:
    """Remove the links that lead out of a folder; give those to files the digests of these.

    Links that lead to each other in a circle, or over more of them than systems follow, go too.

    Args:
        folder: All of a work tree.
        links: Paths of its symbolic links.
        digests: sha256 (hex) by path, to be completed.
    """
    root = os.path.realpath(folder)
    there = {path: os.path.join(root, path) for path in links}
    targets = {path: os.readlink(at) for path, at in there.items() if os.path.islink(at)}
    for path in targets:
        target = _target(targets, path)
        # The system is asked too: it may take names for one that differ in case only.
        if target is None or not _is_below(os.path.realpath(there[path]), root):
            os.unlink(there[path])
            _LOGGER.warning("the link %r leads out of the repository and is left out", path)
        elif (digest := digests.get(target)) is not None:
            digests[path] = digest


def _target(targets: Mapping[str, str], link: str) -> str | None:
    """Return the path to which a link leads; None if any step of the way is out of the tree."""
    todo = link.split("/")[::-1]
    at: list[str] = []
    followed = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not at:
                return None
            at.pop()
            continue
        at.append(part)
        target = targets.get("/".join(at))
        if target is not None:
            followed += 1
            if followed > _FOLLOWED or os.path.isabs(target):
                return None
            at.pop()
            todo += target.replace(os.sep, "/").split("/")[::-1]
    return "/".join(at)


def _make_folders(root: str, files: Sequence[File]) -> None:
    folders = {file.path.rpartition("/")[0] for file in files}
    folders |= {file.path for file in files if file.is_submodule}
    os.makedirs(root, mode=0o700, exist_ok=True)
    made = {""}
    for folder in sorted(folders):
        parts = folder.split("/")
        for count in range(1, len(parts) + 1):
            if (path := "/".join(parts[:count])) not in made:
                os.mkdir(os.path.join(root, path), mode=0o700)
                made.add(path)


def _write(content: bytes, file: File, root: str) -> str:
    """Write one file and return its sha256 (hex)."""
    mode = EXECUTABLE if file.mode & 0o100 else READABLE
    write_new(os.path.join(root, file.path), content, mode)
    return hashlib.sha256(content).hexdigest()
