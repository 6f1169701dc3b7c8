"""What storages of scripts at a revision have in common, whatever they fetch them with."""

from __future__ import annotations

import logging
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flowhold import trees
from flowhold.clients import check_bounds
from flowhold.errors import ConfigurationError, FlowNotFoundError, IntegrityError
from flowhold.storage.capabilities import Capability
from flowhold.storage.records import Record
from flowhold.storage.scripts import ScriptStorage
from flowhold.unpacking import flow_from_script

if TYPE_CHECKING:
    from flowhold.reference import Reference

__all__ = ["Checkout", "RevisionStorage", "Source", "check_path"]

_LOGGER = logging.getLogger("flowhold.storage.git")


@dataclass(frozen=True)
class Checkout:
    """Files of a commit on this machine."""

    digest: str
    """Names what they are files of: sha256 in hex."""
    root: Path
    """Folder that holds them."""
    manifest: Mapping[str, str]
    """sha256 (hex) of each file by its path."""


class Source(ABC):
    """Where the files of a repository come from.

    Its ``repr`` is for messages: a URL without credentials.
    """

    @abstractmethod
    def resolve(self) -> str:
        """Return the full SHA of the commit that is named, as it is now.

        Raises:
            RevisionNotFoundError: There is no such branch, tag or commit.
        """

    @abstractmethod
    def checkout(self, commit: str) -> Checkout:
        """Return the files of a commit, without a request where they are cached.

        Args:
            commit: The full SHA.
        """


class RevisionStorage(ScriptStorage):
    """Finds flows in a script of a repository, at a branch, tag or commit.

    A subclass names its options, the path of the script among them, and implements
    :attr:`script` and :meth:`open_source`.

    Args:
        pin: Record the commit when the flow is stored, and load exactly that one.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again where that can help.
        **common: See :class:`~flowhold.Storage`.
    """

    capabilities: ClassVar[frozenset[Capability]] = ScriptStorage.capabilities | {
        Capability.REVISIONS
    }

    def __init__(
        self, *, pin: bool = False, timeout: float = 30, retries: int = 3, **common: Any
    ) -> None:
        super().__init__(**common)
        check_bounds(timeout, retries)
        self.pin = pin
        self.timeout = timeout
        self.retries = retries
        self._loaded: str | None = None
        self._seen: str | None = None
        self._asked: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_seen": None, "_asked": set()}

    @property
    @abstractmethod
    def script(self) -> str:
        """Path of the script in the repository, as :func:`check_path` returned it."""

    @abstractmethod
    def open_source(self) -> Source:
        """Return where the files come from, with the credentials that hold now."""

    def fingerprint(self, flow: Any) -> str | None:
        """Return the commit where it is pinned, else None: a name stays the same."""
        if not self.pin:
            return None
        # One answer is for all flows that are stored together; who asks again wants another one.
        if self._seen is None or flow.name in self._asked:
            self._seen = self.open_source().resolve()
            self._asked.clear()
        self._asked.add(flow.name)
        return self._seen

    def _locate(self, flow: Any) -> Record:
        return Record(self.script, "script")

    def _bare(self, location: str, *, allow_unverified: bool) -> Record | None:
        return self._locate(None) if location == self.script else None

    def _build(self) -> None:
        new = [record for record in self._records.values() if record.revision is None]
        if self.pin and new:
            source = self.open_source()
            commit = self._seen or source.resolve()
            self._open(source, commit, self.script)
            for record in new:
                record.revision = commit
        self._seen = None

    def _load(self, name: str | None, record: Record, *, allow_unverified: bool) -> Any:
        source = self.open_source()
        commit = _commit(source, record)
        tree = self._open(source, commit, record.location)
        self._loaded = commit
        _LOGGER.info("loading %s of %r at commit %s", record.location, source, commit)
        return flow_from_script(
            tree, name=name, attribute=record.attribute, recorded=record.environment
        )

    def as_loaded(self, reference: Reference) -> Reference:
        """Return the reference with the commit that was loaded, so that all of a run is of one."""
        if reference.revision is not None:
            return reference
        return replace(reference, revision=self._loaded, signed=None)

    def _open(self, source: Source, commit: str, path: str) -> trees.Tree:
        checkout = source.checkout(commit)
        if path not in checkout.manifest:
            raise FlowNotFoundError(
                f"there is no file {path} in {source!r} at commit {commit[:12]}",
                storage=self.name,
                location=path,
                hint="check the path: it is relative to the root of the repository",
            )
        return trees.open_tree(checkout.digest, checkout.root, path, checkout.manifest)

    def _check(self, record: Record) -> str:
        source = self.open_source()
        commit = _commit(source, record)
        self._open(source, commit, record.location)
        pinned = "as recorded" if record.revision else "floating"
        return f"{record.location} of {source!r} is at commit {commit}, {pinned}"

    def _extract(self, name: str | None, record: Record, folder: Path) -> None:
        source = self.open_source()
        tree = self._open(source, _commit(source, record), record.location)
        shutil.copytree(tree.root, folder, symlinks=True, dirs_exist_ok=True)
        for path in folder.rglob("*"):
            if not path.is_symlink():
                # Here they are for people, who may want to change them.
                path.chmod(path.stat().st_mode | 0o200)


def _commit(source: Source, record: Record) -> str:
    """Return the commit that is recorded, else the one that is named now."""
    if record.revision is None:
        return source.resolve()
    if not re.fullmatch("[0-9a-f]{40}", record.revision):
        raise IntegrityError(
            f"the recorded revision {record.revision!r} is not the SHA of a commit",
            storage="git",
            location=record.location,
        )
    return record.revision


def check_path(path: str) -> str:
    """Return the path of a script in a repository; raise ConfigurationError where it is none."""
    parts = path.split("/") if isinstance(path, str) else [""]
    wrong = any(part in ("", ".", "..") for part in parts)
    if wrong or not path.endswith(".py") or "\\" in path:
        raise ConfigurationError(
            f"{path!r} is not the path of a script in a repository",
            hint="name a .py file relative to the repository's root, without .. in it",
        )
    return path
