"""What is fetched of a repository, with as few requests and bytes as its server allows."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from dulwich.errors import (
    ApplyDeltaError,
    ChecksumMismatch,
    FileFormatException,
    HangupException,
    NotGitRepository,
)
from dulwich.repo import Repo

from flowhold.errors import (
    AccessDeniedError,
    IntegrityError,
    RevisionNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold_storage_git.address import Address
from flowhold_storage_git.objects import (
    BLOB,
    COMMIT,
    DAMAGED,
    TAG,
    TREE,
    Objects,
    PackedObjects,
    sha_of,
)
from flowhold_storage_git.transport import Transport

__all__ = ["Repository", "open_repository"]

_DAMAGED = (*DAMAGED, ApplyDeltaError, ChecksumMismatch, FileFormatException)


class Repository(ABC):
    """A repository that is open for reading."""

    @abstractmethod
    def refs(self, *prefixes: str) -> Mapping[str, str]:
        """Return SHAs by the full names of refs that begin so; what tags lead to as ``NAME^{}``."""

    @abstractmethod
    def commits(self, refs: Mapping[str, str]) -> Iterable[str]:
        """Return the SHAs of all commits that these refs lead to."""

    @abstractmethod
    def trees(
        self, commit: str, only: Sequence[str] | None, depth: int | None
    ) -> AbstractContextManager[Objects]:
        """Return a commit and its trees, with its blobs unless `only` some of them are wanted."""

    @abstractmethod
    def add_blobs(self, objects: Any, shas: Sequence[str]) -> None:
        """Add those of these blobs that :meth:`trees` left out."""


@contextmanager
def open_repository(
    address: Address, timeout: float, retries: int, known: dict[str, Any] | None = None
) -> Iterator[Repository]:
    """Open a repository; arguments as of :class:`Transport`."""
    if address.scheme == "file":
        with _Folder(address.path) as folder:
            yield folder
    else:
        with Transport(address, timeout=timeout, retries=retries, known=known) as transport:
            yield _Remote(transport)


class _Remote(Repository):
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def refs(self, *prefixes: str) -> Mapping[str, str]:
        return self._transport.refs(*prefixes)

    def commits(self, refs: Mapping[str, str]) -> Iterable[str]:
        with PackedObjects() as objects:
            self._add_history(objects, "tree:0", refs)
            return objects.shas(COMMIT)

    def _add_history(
        self, objects: PackedObjects, without: str | None, refs: Mapping[str, str] | None = None
    ) -> None:
        refs = refs or self.refs("HEAD", "refs/heads/", "refs/tags/")
        tips = sorted({sha for name, sha in refs.items() if not name.endswith("^{}")})
        if tips:
            self._add(objects, tips, without=without)

    def _add(
        self,
        objects: PackedObjects,
        wants: Sequence[str],
        *,
        depth: int | None = None,
        without: str | None = None,
    ) -> None:
        try:
            pack = self._transport.fetch(wants, depth=depth, without=without)
        except StorageUnavailableError as error:
            if without is None or not isinstance(error.__cause__, HangupException):
                raise
            # It offers filters, and hangs up on who asks for one.
            pack = self._transport.fetch(wants, depth=depth)
        with pack:
            objects.add_pack(pack)

    @contextmanager
    def trees(
        self, commit: str, only: Sequence[str] | None, depth: int | None
    ) -> Iterator[Objects]:
        with PackedObjects() as objects:
            without = None if only is None else "blob:none"
            try:
                self._add(objects, [commit], depth=depth, without=without)
            except (AccessDeniedError, IntegrityError, StorageUnavailableError):
                raise
            except StorageError:
                if self._transport.version == 2:
                    raise  # which gives out whatever there is
                # Servers of old give only what refs lead to: so all of that.
                self._add_history(objects, without)
            yield objects

    def add_blobs(self, objects: Any, shas: Sequence[str]) -> None:
        missing = sorted({sha for sha in shas if sha not in objects})
        if not missing:
            return
        try:
            self._add(objects, missing)
        except RevisionNotFoundError:
            # It filters, but gives no single objects.
            self._add_history(objects, None)


class _Folder(Repository):
    """A repository in a folder of this machine, whose objects are read where they are."""

    def __init__(self, path: str) -> None:
        try:
            self._repo = Repo(path)
        except (NotGitRepository, OSError) as error:
            raise StorageError(
                f"there is no git repository in {path}",
                storage="git",
                location=f"file://{path}",
                hint="check the path",
            ) from error
        except ValueError as error:
            raise IntegrityError(f"the config of the repository {path} is damaged") from error

    def __enter__(self) -> _Folder:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._repo.close()

    def refs(self, *prefixes: str) -> Mapping[str, str]:
        try:
            return self._refs(prefixes)
        except (*_DAMAGED, StopIteration) as error:  # the latter where packed-refs is empty
            raise IntegrityError(f"the refs of the repository are damaged: {error}") from error

    def _refs(self, prefixes: tuple[str, ...]) -> Mapping[str, str]:
        found = {}
        for name in self._repo.refs.allkeys():
            text = os.fsdecode(name)
            if text.startswith(prefixes):
                try:
                    sha = self._repo.refs[name].decode()
                except KeyError:
                    continue  # HEAD, of a branch that has no commit
                found[text] = sha
                if (peeled := self._peeled(sha)) != sha:
                    found[f"{text}^{{}}"] = peeled
        return found

    def _peeled(self, sha: str) -> str:
        while (loose := self._raw(sha)) and loose[0] == TAG:
            sha = loose[1].partition(b"\n")[0].removeprefix(b"object ").decode()
        return sha

    def commits(self, refs: Mapping[str, str]) -> Iterable[str]:
        tips = {self._peeled(sha) for sha in refs.values()}
        include = [sha.encode() for sha in sorted(tips) if (self._raw(sha) or (0,))[0] == COMMIT]
        return [entry.commit.id.decode() for entry in self._repo.get_walker(include=include)]  # type: ignore[arg-type]

    def trees(
        self, commit: str, only: Sequence[str] | None, depth: int | None
    ) -> AbstractContextManager[Objects]:
        return nullcontext(_Stored(self))

    def add_blobs(self, objects: Any, shas: Sequence[str]) -> None:
        """Add nothing: all are there."""

    def _raw(self, sha: str) -> tuple[int, bytes] | None:
        try:
            kind, data = self._repo.object_store.get_raw(sha.encode())  # type: ignore[arg-type]
        except KeyError:
            return None
        except _DAMAGED as error:
            raise IntegrityError(
                f"the object {sha[:12]} of the repository is damaged: {error}"
            ) from error
        return kind, data


class _Stored:
    """The objects of a folder's repository, checked by their SHAs."""

    def __init__(self, folder: _Folder) -> None:
        self._folder = folder

    def __contains__(self, sha: str) -> bool:
        return self._folder._raw(sha) is not None

    def read(self, sha: str, kind: int) -> bytes:
        found = self._folder._raw(sha)
        if found is None or found[0] != kind:
            what = {COMMIT: "commit", TREE: "folder", BLOB: "file"}[kind]
            problem = "is missing" if found is None else f"is not a {what}"
        elif sha_of(kind, found[1]) == sha:
            return found[1]
        else:
            problem = "is damaged"
        raise IntegrityError(f"the object {sha[:12]} of the repository {problem}")
