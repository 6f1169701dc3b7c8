"""What storages have in common that read a script over the API of a forge."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO

from flowhold.errors import FlowholdError, RevisionNotFoundError
from flowhold_storage_git.answers import Answer
from flowhold_storage_git.forge_http import Api
from flowhold_storage_git.login import Login
from flowhold_storage_git.naming import candidates, check_ref
from flowhold_storage_git.refs import is_full
from flowhold_storage_git.revisions import Checkout, Source
from flowhold_storage_git.single import FileSource, FileStorage

if TYPE_CHECKING:
    from flowhold_storage_git.source import GitSource

__all__ = ["ClonedSource", "ForgeSource", "ForgeStorage"]


class ForgeStorage(FileStorage):
    """Finds flows in a script on a forge, at a branch, tag or commit.

    Only the script is fetched, or with `whole_repo` all files of the commit, by git.

    Args:
        path: Of the script in the repository.
        ref: Branch, tag or SHA; default: the repository's default branch. Where a branch and a tag
            have one name, the branch counts; ``refs/tags/NAME`` names the tag.
        whole_repo: Check out the whole repository around the script.
        **options: See :class:`~flowhold_storage_git.single.FileStorage`.
    """

    def __init__(
        self,
        path: str | None,
        ref: str | None = None,
        *,
        whole_repo: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(path, **options)
        self.ref = check_ref(ref)
        self.whole_repo = whole_repo

    def _api(self, root: str, login: Login, place: str) -> Api:
        return Api(
            root,
            login,
            place=place,
            storage=self.name,
            timeout=self.timeout,
            retries=self.retries,
        )


class ForgeSource(FileSource):
    """A repository on a forge.

    Args:
        api: The forge's.
        storage: Names the script and the ref.
        clone_url: For git, without credentials.
    """

    def __init__(self, api: Api, storage: ForgeStorage, clone_url: str = "") -> None:
        self.api = api
        self.path = storage.path
        self.ref = storage.ref
        self.whole_repo = storage.whole_repo
        self.clone_url = clone_url

    def __repr__(self) -> str:
        return self.api.place

    # What subclasses implement.

    @abstractmethod
    def _default(self) -> str | None:
        """Return the commit of the default branch, None where there is none."""

    @abstractmethod
    def _find(self, kind: str, name: str) -> str | None:
        """Return the commit of a branch (heads), tag (tags) or SHA (commits), None if not there."""

    @abstractmethod
    def _get(self, commit: str, file: BinaryIO) -> Answer:
        """Ask for the file; return an answer of 200 or 404."""

    def _check_repository(self) -> None:
        """Raise where the repository is not there, unless that was found out before."""

    # What storages call.

    def resolve(self) -> str:
        """Return the full SHA of what is named; see :meth:`Source.resolve`."""
        if self.ref is None:
            if commit := self._default():
                return commit
            raise self.api.failure("empty")
        if is_full(self.ref.lower()):
            return self.ref.lower()
        for kind, name in candidates(self.ref):
            if commit := self._find(kind, name):
                return commit
        self._check_repository()
        raise self.api.failure("revision", reason=self.ref)

    def checkout(self, commit: str) -> Checkout:
        """Return the files of a commit; see :meth:`Source.checkout`."""
        if self.whole_repo:
            return _clone(self._clone_url(), self.api).checkout(commit)
        return super().checkout(commit)

    def _clone_url(self) -> str:
        return self.clone_url

    def _fetch(self, commit: str, file: BinaryIO) -> None:
        answer = self._get(commit, file)
        if answer.status == 404:
            self._check_repository()
            if not self._find("commits", commit):
                raise self.api.failure("revision", reason=commit)
            raise self._failure("file", commit)

    def _failure(self, code: str, commit: str) -> FlowholdError:
        return self.api.failure(code, reason=self.path, at=commit)

    def _sha(self, document: Any, *steps: str) -> str:
        """Return a full SHA in a document that the API gave."""
        sha = self.api.text_in(document, *steps)
        if is_full(sha):
            return sha
        raise self.api.failure("foreign", reason="it names no commit")


class ClonedSource(Source):
    """A repository on a forge whose API the login does not open, so that git is asked for all.

    Args:
        api: Tells the login, and what is for messages.
        storage: Names the script and the ref.
        clone_url: For git, without credentials.
    """

    def __init__(self, api: Api, storage: ForgeStorage, clone_url: str) -> None:
        self.api = api
        self.storage = storage
        self.clone_url = clone_url

    def __repr__(self) -> str:
        return self.api.place

    def resolve(self) -> str:
        """Return the full SHA of what is named; see :meth:`Source.resolve`."""
        from flowhold_storage_git.refs import Named

        ref = self.storage.ref
        if ref is None:
            return _clone(self.clone_url, self.api).resolve()
        if is_full(ref.lower()):
            return ref.lower()
        options = {"heads": "branch", "tags": "tag", "commits": "commit"}
        for kind, name in candidates(ref):
            try:
                named = Named(**{options[kind]: name})
                return _clone(self.clone_url, self.api, named=named).resolve()
            except RevisionNotFoundError:
                continue
        raise self.api.failure("revision", reason=ref)

    def checkout(self, commit: str) -> Checkout:
        """Return the files of a commit; see :meth:`Source.checkout`."""
        only = None if self.storage.whole_repo else [self.storage.path]
        return _clone(self.clone_url, self.api, only=only).checkout(commit)


def _clone(url: str, api: Api, **options: Any) -> GitSource:
    from flowhold_storage_git.source import GitSource

    login = api.login
    return GitSource(
        url,
        username=login.username if login.password else None,
        password=login.password,
        timeout=api.timeout,
        retries=api.retries,
        **options,
    )
