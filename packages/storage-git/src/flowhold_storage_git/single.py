"""A script as one file of a commit, which is kept in the cache."""

from __future__ import annotations

import hashlib
import os
import re
from abc import abstractmethod
from pathlib import Path
from typing import Any, BinaryIO

from flowhold import cache
from flowhold.errors import ConfigurationError, FlowholdError, SerializationError
from flowhold.storage.records import Record
from flowhold_storage_git.revisions import Checkout, RevisionStorage, Source, check_path

__all__ = ["FileSource", "FileStorage"]

# git keeps a link as a file with nothing but a path in it; some services do not tell which it is.
_LINK = re.compile(rb"[\w./@+~-]+")
_LFS = b"version https://git-lfs.github.com/spec/"


class FileStorage(RevisionStorage):
    """Finds flows in a script that a service gives out as a file.

    Args:
        path: Of the script in the repository.
        **options: See :class:`~flowhold_storage_git.revisions.RevisionStorage`.

    Raises:
        ConfigurationError: An option is wrong.
    """

    def __init__(self, path: str | None, **options: Any) -> None:
        if path is None:
            raise ConfigurationError(
                "no path is given", storage=self.name, hint="name the script: path='flows/etl.py'"
            )
        super().__init__(**options)
        self.path = check_path(path)

    def _load(self, name: str | None, record: Record, *, allow_unverified: bool) -> Any:
        try:
            return super()._load(name, record, allow_unverified=allow_unverified)
        except SerializationError as error:
            if isinstance(error.__cause__, ImportError) and not getattr(self, "whole_repo", False):
                error.hint = (
                    "only this file is fetched: modules beside it need whole_repo=True, or Git "
                    "storage; others have to be installed"
                )
            raise

    @property
    def script(self) -> str:
        """Path of the script in the repository."""
        return self.path


class FileSource(Source):
    """Where one file comes from, which is kept in the cache for each commit."""

    path: str

    def checkout(self, commit: str) -> Checkout:
        """Return the file, without a request where it is cached; see :meth:`Source.checkout`."""
        digest = hashlib.sha256(f"{self!r}@{commit}/{self.path}".encode()).hexdigest()
        root = cache.tree(digest, lambda folder: self._fill(commit, folder))
        return Checkout(digest, root, cache.manifest_of(root))

    def _fill(self, commit: str, folder: Path) -> dict[str, str]:
        target = folder / self.path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(target, "x+b") as file:
            self._fetch(commit, file)
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            digest = hashlib.sha256()
            while part := file.read(1 << 20):
                digest.update(part)
                self._check(part[:4096], size, commit)
        target.chmod(0o400)
        return {self.path: digest.hexdigest()}

    def _check(self, head: bytes, size: int, commit: str) -> None:
        problem = "lfs" if head.startswith(_LFS) and size < 1024 else None
        if size < 4096 and _LINK.fullmatch(head):
            problem = "link"
        if problem:
            raise self._failure(problem, commit)

    @abstractmethod
    def _failure(self, code: str, commit: str) -> FlowholdError:
        """Return the error to raise for the file."""

    @abstractmethod
    def _fetch(self, commit: str, file: BinaryIO) -> None:
        """Write the file as it is in a commit."""
