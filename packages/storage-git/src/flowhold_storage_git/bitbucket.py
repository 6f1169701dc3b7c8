"""Flows in scripts on Bitbucket: the Cloud, Server and Data Center."""

from __future__ import annotations

from typing import Any, BinaryIO, ClassVar
from urllib.parse import quote

from flowhold.errors import ConfigurationError
from flowhold.web import basic
from flowhold_storage_git.answers import Answer
from flowhold_storage_git.forge import ForgeSource, ForgeStorage
from flowhold_storage_git.forge_http import Api, root_of
from flowhold_storage_git.login import Login, token_of
from flowhold_storage_git.naming import check_repository
from flowhold_storage_git.revisions import Source

__all__ = ["Bitbucket"]

_PAGES = 1000
_CLOUD = "https://bitbucket.org"
_KINDS = {"heads": "branch", "tags": "tag"}


class Bitbucket(ForgeStorage):
    """Finds flows in a script on Bitbucket.

    With `workspace` on Bitbucket Cloud: the two secrets, else the secrets or environment variables
    ``BITBUCKET_CLOUD_USERNAME`` and ``BITBUCKET_CLOUD_APP_PASSWORD``, hold a user and its app
    password, or the e-mail address of an account and its API token. Without it on a server: an HTTP
    access token is in the secret that is named, else in the secret or environment variable
    ``BITBUCKET_ACCESS_TOKEN``. Without any, public repositories can be read.

    Args:
        project: Key of the project; not used on the Cloud.
        repo: Name (slug) of the repository.
        workspace: Name of the workspace on the Cloud.
        host: Where the server is, perhaps with a port and a path.
        path: Path of the script in the repository.
        ref: Branch, tag or SHA; default: the repository's default branch.
        access_token_secret: Name of a secret with a token for a server.
        cloud_username_secret: Name of a secret with the user.
        cloud_app_password_secret: Name of a secret with the app password or API token.
        **options: See :class:`~flowhold_storage_git.forge.ForgeStorage`.
    """

    shown: ClassVar[tuple[str, ...]] = ("project", "repo", "workspace", "host", "path", "ref")

    def __init__(
        self,
        project: str,
        repo: str,
        workspace: str | None = None,
        host: str | None = None,
        path: str | None = None,
        ref: str | None = None,
        access_token_secret: str | None = None,
        cloud_username_secret: str | None = None,
        cloud_app_password_secret: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path, ref, **options)
        for name in filter(None, (repo, project if workspace is None else workspace)):
            check_repository(name, parts=1)
        if workspace and access_token_secret:
            raise ConfigurationError(
                "access_token_secret is for servers, and workspace for Bitbucket Cloud",
                storage=self.name,
                hint="give cloud_username_secret and cloud_app_password_secret for the Cloud",
            )
        if bool(cloud_username_secret) != bool(cloud_app_password_secret):
            raise ConfigurationError(
                "cloud_username_secret and cloud_app_password_secret go together",
                storage=self.name,
            )
        self.project = project
        self.repo = repo
        self.workspace = workspace
        self.host = host
        self.access_token_secret = access_token_secret
        self.cloud_username_secret = cloud_username_secret
        self.cloud_app_password_secret = cloud_app_password_secret
        self._site = root_of("host", host or _CLOUD)
        if not self.workspace and self._site == _CLOUD:
            raise ConfigurationError(
                "neither a server nor a workspace is named",
                storage=self.name,
                hint="give host, or workspace for Bitbucket Cloud",
            )

    def open_source(self) -> Source:
        """Return the repository, with the credentials that the secrets have now."""
        if self.workspace:
            root = "https://api.bitbucket.org" if self._site == _CLOUD else self._site
            place = f"{self._site}/{self.workspace}/{self.repo}"
            api = self._api(f"{root}/2.0", self._cloud_login(), place)
            return _CloudSource(api, self, f"{place}.git")
        place = f"{self._site}/projects/{self.project}/repos/{self.repo}"
        clone_url = f"{self._site}/scm/{self.project}/{self.repo}.git"
        api = self._api(f"{self._site}/rest/api/latest", self._login(), place)
        return _ServerSource(api, self, clone_url)

    def _login(self) -> Login:
        token = token_of(self.access_token_secret, "BITBUCKET_ACCESS_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else None
        return Login(headers, "x-token-auth", token)

    def _cloud_login(self) -> Login:
        user = token_of(self.cloud_username_secret, "BITBUCKET_CLOUD_USERNAME")
        password = token_of(self.cloud_app_password_secret, "BITBUCKET_CLOUD_APP_PASSWORD")
        if not (user and password):
            return Login()
        # With an API token, git knows no e-mail address.
        git_user = "x-bitbucket-api-token-auth" if "@" in user else user
        return Login({"Authorization": f"Basic {basic(user, password)}"}, git_user, password)


class _CloudSource(ForgeSource):
    def __init__(self, api: Api, storage: Bitbucket, clone_url: str) -> None:
        super().__init__(api, storage, clone_url)
        self._repo = f"repositories/{quote(storage.workspace or '')}/{quote(storage.repo)}"
        self._known: dict[str, dict[str, str]] = {}

    def _default(self) -> str | None:
        document = self._document(self._repo)
        if document.get("mainbranch") is None:
            return None
        return self._find("heads", self.api.text_in(document, "mainbranch", "name"))

    def _find(self, kind: str, name: str) -> str | None:
        if kind == "commits":
            answer = self.api.get(f"{self._repo}/commit/{quote(name)}", absent=(404,))
            if answer.status == 404:
                return None
            return self._sha(answer.document, "hash")
        if name not in self._known:
            self._known[name] = self._named(name)
        return self._known[name].get(_KINDS[kind])

    def _named(self, name: str) -> dict[str, str]:
        """Return the commits of the branch and the tag of a name, by kind."""
        found: dict[str, str] = {}
        text = name.replace('"', '\\"')
        query = {"q": f'name = "{text}"', "pagelen": "100"}
        page = self._document(f"{self._repo}/refs", query)
        for _ in range(_PAGES):
            for ref in self.api.list_in(page, "values"):
                if self.api.text_in(ref, "name") == name:
                    found[self.api.text_in(ref, "type")] = self._sha(ref, "target", "hash")
            following = page.get("next")
            if not following:
                return found
            page = self._document(following)
        raise self.api.failure("foreign", reason=f"its list of refs has more than {_PAGES} pages")

    def _document(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        answer = self.api.get(path, query, absent=(404,))
        if answer.status == 404:
            raise self.api.failure("repository")
        if isinstance(document := answer.document, dict):
            return document
        raise self.api.failure("foreign", reason="it is no JSON object")

    def _get(self, commit: str, file: BinaryIO) -> Answer:
        path = f"{self._repo}/src/{commit}/{quote(self.path)}"
        answer = self.api.get(path, accept="*/*", absent=(404,), into=file)
        # The list of what is in a folder is one.
        if answer.status == 200 and answer.kind == "application/json":
            raise self._failure("directory", commit)
        return answer

    def _check_repository(self) -> None:
        self._document(self._repo)


class _ServerSource(ForgeSource):
    def __init__(self, api: Api, storage: Bitbucket, clone_url: str) -> None:
        super().__init__(api, storage, clone_url)
        self._repo = f"projects/{quote(storage.project)}/repos/{quote(storage.repo)}"

    def _default(self) -> str | None:
        return self._newest()

    def _find(self, kind: str, name: str) -> str | None:
        return self._newest(until=name if kind == "commits" else f"refs/{kind}/{name}")

    def _newest(self, **until: str) -> str | None:
        """Return the newest commit of a ref, or of the default branch."""
        answer = self.api.get(f"{self._repo}/commits", {"limit": "1", **until}, absent=(404,))
        self._check_answer(answer)
        if answer.status == 404:
            return None
        commits = self.api.list_in(answer.document, "values")
        return self._sha(commits[0], "id") if commits else None

    def _get(self, commit: str, file: BinaryIO) -> Answer:
        path = f"{self._repo}/raw/{quote(self.path)}"
        answer = self.api.get(path, {"at": commit}, accept="*/*", absent=(404,), into=file)
        self._check_answer(answer)
        return answer

    def _check_answer(self, answer: Answer) -> None:
        if answer.status == 404 and b"NoSuchCommit" not in answer.body:
            names = (b"NoSuchRepository", b"NoSuchProject")
            if any(name in answer.body for name in names):
                raise self.api.failure("repository")
