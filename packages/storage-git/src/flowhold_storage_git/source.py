"""The files of a commit of any git repository, fetched once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowhold import cache, settings
from flowhold.errors import (
    RevisionNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold_storage_git.address import Address
from flowhold_storage_git.refs import Named, find_commit, is_full
from flowhold_storage_git.revisions import Checkout, Source

if TYPE_CHECKING:
    from flowhold_storage_git.repository import Repository

__all__ = ["GitSource"]

_LOGGER = logging.getLogger("flowhold.storage.git")


class GitSource(Source):
    """A git repository.

    Args:
        url: Its clone URL.
        username: User to log in as.
        password: Password or token.
        ssh_key: Text of a private key for ssh.
        named: Branch, tag or commit; default: the default branch.
        depth: How many commits of history are fetched.
        only: Paths of the folders and files that are wanted; None: all.
        submodules: Whether to check out submodules too.
        lfs: Whether to fetch the files that LFS keeps.
        allow_stale: Whether the commit that was checked out last is good enough where the
            repository cannot be reached.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again where that can help.
    """

    def __init__(
        self,
        url: str | Address,
        *,
        username: str | None = None,
        password: str | None = None,
        ssh_key: str | None = None,
        named: Named | None = None,
        depth: int | None = 1,
        only: Sequence[str] | None = None,
        submodules: bool = False,
        lfs: bool = False,
        allow_stale: bool = False,
        timeout: float = 30,
        retries: int = 3,
    ) -> None:
        self.address = (
            url
            if isinstance(url, Address)
            else Address.parse(url, username=username, password=password, ssh_key=ssh_key)
        )
        self.named = named or Named()
        self.depth = depth
        self.only = None if only is None else sorted(only)
        self.submodules = submodules
        self.lfs = lfs
        self.allow_stale = allow_stale
        self.timeout = timeout
        self.retries = retries
        self.submodules_seen: list[str] = []
        self._known: dict[str, Any] = {}
        self._resolved: str | None = None

    def __repr__(self) -> str:
        return self.address.url

    def resolve(self) -> str:
        """Return the full SHA of what is named; see :meth:`Source.resolve`."""
        named = self.named
        if named.commit is not None and is_full(named.commit.lower()):
            return named.commit.lower()
        try:
            with self._opened() as repository:
                found = find_commit(named, repository.refs, repository.commits, repr(self))
        except StorageUnavailableError:
            if not (self.allow_stale and (known := self._last_known())):
                raise
            _LOGGER.warning(
                "%s cannot be reached: its %s runs as it was when last checked out, at commit %s",
                self.address.url,
                named,
                known,
            )
            return known
        if not is_full(found):
            raise StorageError(
                f"{self!r} names its objects by SHA-256, which cannot be read yet",
                storage="git",
                location=repr(self),
                hint="use a clone of it that is made with --object-format=sha1",
            )
        self._resolved = found
        return found

    def checkout(self, commit: str) -> Checkout:
        """Return the files of a commit; see :meth:`Source.checkout`.

        Raises:
            RevisionNotFoundError: There is no such commit.
        """
        what = [self.address.url, commit, self.only, self.submodules, self.lfs]
        digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()
        root = cache.tree(digest, lambda folder: self._fill(commit, folder))
        # A worker may load an older one, which is recorded and was not asked for now.
        if self.allow_stale and self.named.moves and commit == self._resolved:
            self._remember(commit)
        return Checkout(digest, root, cache.manifest_of(root))

    def _fill(self, commit: str, folder: Path) -> Mapping[str, str]:
        from flowhold_storage_git.checkout import settle_links

        digests, links = self.write(commit, folder)
        settle_links(folder, links, digests)
        return digests

    def write(
        self, commit: str, folder: Path, below: str = "", nesting: int = 0
    ) -> tuple[dict[str, str], list[str]]:
        """Write the files of a commit below a folder.

        Args:
            commit: The full SHA.
            folder: Of the whole work tree.
            below: Path of the folder in it for this repository, ending with ``/``, or empty.
            nesting: Of how many repositories this one is a submodule.

        Returns:
            sha256 (hex) of the files by path, and the paths of the links.
        """
        from flowhold_storage_git.checkout import files_of, root_tree, write_files
        from flowhold_storage_git.lfs import fetch_files
        from flowhold_storage_git.submodules import LIST, write_submodules

        _LOGGER.info("fetching commit %s of %s", commit, self.address.url)
        with (
            self._opened() as repository,
            repository.trees(commit, self.only, self.depth) as objects,
        ):
            if commit not in objects:
                raise RevisionNotFoundError(
                    f"{self!r} has no commit {commit}", storage="git", location=repr(self)
                )
            extra = (LIST,) if self.submodules else ()
            files = files_of(objects, root_tree(objects, commit), self.only, extra)
            repository.add_blobs(objects, [file.sha for file in files if not file.is_submodule])
            digests = write_files(objects, files, folder, below)
            links = [below + file.path for file in files if file.is_link]
            if self.lfs:
                fetch_files(self.address, folder, digests, self.timeout, self.retries)
            if self.submodules:
                more, others = write_submodules(self, objects, files, folder, below, nesting)
                digests |= more
                links += others
        return digests, links

    def _opened(self) -> AbstractContextManager[Repository]:
        from flowhold_storage_git.repository import open_repository

        return open_repository(self.address, self.timeout, self.retries, self._known)

    def at(self, address: Address) -> GitSource:
        """Return the whole repository of a submodule at an address, with the same options."""
        other = GitSource(
            address,
            depth=self.depth,
            submodules=self.submodules,
            lfs=self.lfs,
            timeout=self.timeout,
            retries=self.retries,
        )
        other.submodules_seen = self.submodules_seen  # all count together
        return other

    def _last(self) -> Path:
        name = hashlib.sha256(f"{self.address.url}\0{self.named}".encode()).hexdigest()
        return settings.current().cache_dir / "git" / name

    def _last_known(self) -> str:
        with suppress(OSError):
            known = self._last().read_text()
            if is_full(known):
                return known
        return ""

    def _remember(self, commit: str) -> None:
        path = self._last()
        if self._last_known() == commit:
            return
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = path.with_name(f".{path.name}-{os.getpid()}")
            temporary.write_text(commit)
            os.replace(temporary, path)
