"""Flows in scripts on GitHub, and on servers of GitHub Enterprise."""

from __future__ import annotations

from typing import Any, BinaryIO, ClassVar
from urllib.parse import quote, urlsplit

from flowhold_storage_git.answers import Answer
from flowhold_storage_git.forge import ForgeSource, ForgeStorage
from flowhold_storage_git.forge_http import Api, root_of
from flowhold_storage_git.login import Login, token_of
from flowhold_storage_git.naming import check_repository
from flowhold_storage_git.revisions import Source

__all__ = ["GitHub"]

_API = "https://api.github.com"


class GitHub(ForgeStorage):
    """Finds flows in a script on GitHub.

    The token is in the secret that is named, else in the secret or environment variable
    ``GITHUB_ACCESS_TOKEN``; without one, public repositories can be read.

    Args:
        repo: ``owner/name``.
        path: Path of the script in the repository.
        ref: Branch, tag or SHA; default: the repository's default branch.
        access_token_secret: Name of a secret with a token.
        base_url: Root of the API of GitHub Enterprise: ``https://HOST/api/v3``.
        **options: See :class:`~flowhold_storage_git.forge.ForgeStorage`.
    """

    shown: ClassVar[tuple[str, ...]] = ("repo", "path", "ref", "base_url")

    def __init__(
        self,
        repo: str,
        path: str,
        ref: str | None = None,
        access_token_secret: str | None = None,
        base_url: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path, ref, **options)
        self.repo = check_repository(repo, parts=2)
        self.access_token_secret = access_token_secret
        self.base_url = base_url
        self._root = root_of("base_url", base_url or _API)

    def open_source(self) -> Source:
        """Return the repository, with the token that the secret has now."""
        place = f"{_site(self._root)}/{self.repo}"
        return _Source(self._api(self._root, self._login(), place), self, f"{place}.git")

    def _login(self) -> Login:
        token = token_of(self.access_token_secret, "GITHUB_ACCESS_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else None
        return Login(headers, "x-access-token", token)


class _Source(ForgeSource):
    def __init__(self, api: Api, storage: GitHub, clone_url: str) -> None:
        super().__init__(api, storage, clone_url)
        self._repo = f"repos/{quote(storage.repo)}"

    def _default(self) -> str | None:
        return self._find("heads", self.api.text_in(self._about(), "default_branch"))

    def _find(self, kind: str, name: str) -> str | None:
        ref = quote(name if kind == "commits" else f"{kind}/{name}")
        accept = "application/vnd.github.sha"
        path = f"{self._repo}/commits/{ref}"
        # 409: the repository is empty.
        answer = self.api.get(path, accept=accept, absent=(404, 409, 422))
        if answer.status != 200:
            return None
        return self._sha({"sha": answer.body.decode("ascii", "replace").strip()}, "sha")

    def _get(self, commit: str, file: BinaryIO) -> Answer:
        answer = self.api.get(
            f"{self._repo}/contents/{quote(self.path)}",
            {"ref": commit},
            accept="application/vnd.github.raw+json",
            absent=(404,),
            into=file,
        )
        # What is no file has no raw form.
        if answer.status == 200 and answer.kind == "application/json":
            raise self._failure("directory", commit)
        return answer

    def _check_repository(self) -> None:
        self._about()

    def _about(self) -> Any:
        answer = self.api.get(self._repo, accept="application/vnd.github+json", absent=(404,))
        if answer.status == 404:
            raise self.api.failure("repository")
        return answer.document


def _site(root: str) -> str:
    """Return where the repositories of an API are: the URL before ``/api/v3``, or without api."""
    if root.endswith("/api/v3"):
        return root.removesuffix("/api/v3")
    host = urlsplit(root).netloc
    return root.replace(host, host.removeprefix("api."), 1)
