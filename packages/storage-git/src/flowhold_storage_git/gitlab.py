"""Flows in scripts on GitLab."""

from __future__ import annotations

from typing import Any, BinaryIO, ClassVar
from urllib.parse import quote

from flowhold.errors import ConfigurationError
from flowhold_storage_git.answers import Answer
from flowhold_storage_git.forge import ClonedSource, ForgeSource, ForgeStorage
from flowhold_storage_git.forge_http import Api, root_of
from flowhold_storage_git.login import Login, token_of
from flowhold_storage_git.naming import check_repository
from flowhold_storage_git.refs import is_full
from flowhold_storage_git.revisions import Source

__all__ = ["GitLab"]

_HEADERS = {
    "access": ("PRIVATE-TOKEN", "{}"),
    "oauth": ("Authorization", "Bearer {}"),
    "job": ("JOB-TOKEN", "{}"),
}
_USERS = {"access": "oauth2", "oauth": "oauth2", "job": "gitlab-ci-token"}
_COMMIT = "x-gitlab-commit-id"
_PREFIXES = {"gldt-": "deploy", "glcbt-": "job"}


class GitLab(ForgeStorage):
    """Finds flows in a script on GitLab.

    The token is in the secret that is named, else in the secret or environment variable
    ``GITLAB_ACCESS_TOKEN``; without one, public projects can be read. A personal, project or group
    token needs the scope ``read_repository`` only. A deploy token opens no part of the API, so git
    is asked instead. The token of a CI job lives as long as the job, and opens other projects where
    these allow it.

    Args:
        repo: ``group/project``, of any depth, or the project's ID.
        host: Where GitLab is, perhaps with a port and a path; default: ``https://gitlab.com``.
        path: Path of the script in the repository.
        ref: Branch, tag or SHA; default: the project's default branch.
        access_token_secret: Name of a secret with a token.
        token_kind: ``access`` (personal, project, group), ``oauth``, ``deploy`` or ``job``;
            default: what its prefix says, else ``access``. With ``job`` and no secret, the token is
            that of ``CI_JOB_TOKEN``.
        token_username: User that goes with a deploy token, as GitLab shows it beside the token.
        **options: See :class:`~flowhold_storage_git.forge.ForgeStorage`.
    """

    shown: ClassVar[tuple[str, ...]] = ("repo", "host", "path", "ref")

    def __init__(
        self,
        repo: str | int,
        host: str | None = None,
        path: str | None = None,
        ref: str | None = None,
        access_token_secret: str | None = None,
        *,
        token_kind: str | None = None,
        token_username: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path, ref, **options)
        check_repository(str(repo) if isinstance(repo, int) else repo)
        kinds = (*_HEADERS, "deploy")
        if token_kind not in (None, *kinds):
            raise ConfigurationError(
                f"token_kind cannot be {token_kind!r}", hint=f"it is one of {', '.join(kinds)}"
            )
        self.repo = repo
        self.host = host
        self.access_token_secret = access_token_secret
        self.token_kind = token_kind
        self.token_username = token_username
        self._root = root_of("host", host or "https://gitlab.com").removesuffix("/api/v4")

    def open_source(self) -> Source:
        """Return the project, with the token that the secret has now."""
        project = str(self.repo)
        place = f"{self._root}/{'projects/' if project.isdecimal() else ''}{project}"
        kind, login = self._login()
        api = self._api(f"{self._root}/api/v4", login, place)
        if kind != "deploy":
            return _Source(api, self, self._root)
        if project.isdecimal() or not self.token_username:
            raise ConfigurationError(
                "a deploy token goes with a user name and the path of a project",
                storage=self.name,
                hint="give token_username, as GitLab shows it beside the token, and repo='group/…'",
            )
        return ClonedSource(api, self, f"{place}.git")

    def _login(self) -> tuple[str, Login]:
        of_job = self.token_kind == "job"  # noqa: S105 (no token)
        default = "CI_JOB_TOKEN" if of_job else "GITLAB_ACCESS_TOKEN"
        token = token_of(self.access_token_secret, default)
        if token is None:
            return "", Login()
        found = (kind for prefix, kind in _PREFIXES.items() if token.startswith(prefix))
        kind = self.token_kind or next(found, "access")
        if kind == "deploy":
            return kind, Login(None, self.token_username, token)
        name, form = _HEADERS[kind]
        return kind, Login({name: form.format(token)}, _USERS[kind], token)


class _Source(ForgeSource):
    """A project; ``clone_url`` is the URL of its host.

    Only the one endpoint is used that is open to all kinds of tokens that the API knows.
    """

    def __init__(self, api: Api, storage: GitLab, clone_url: str) -> None:
        super().__init__(api, storage, clone_url)
        self.project = str(storage.repo)
        file = f"repository/files/{quote(self.path, safe='')}/raw"
        self._file = f"projects/{quote(self.project, safe='')}/{file}"

    def _default(self) -> str | None:
        return self._find("commits", "HEAD")

    def _find(self, kind: str, name: str) -> str | None:
        ref = name if kind == "commits" else f"refs/{kind}/{name}"
        answer = self.api.get(self._file, {"ref": ref}, method="HEAD", accept="*/*", absent=(404,))
        if answer.status == 200:
            return self._sha({name.lower(): text for name, text in answer.headers.items()}, _COMMIT)
        # Only the body, which HEAD has none of, tells what it is that is not there.
        answer = self.api.get(self._file, {"ref": ref}, accept="*/*", absent=(404,))
        if "Commit" in answer.said:
            return None
        if "File" in answer.said:
            place = {"at": name} if is_full(name) else {}
            raise self.api.failure("file", reason=self.path, **place)
        raise self.api.failure("repository")

    def _get(self, commit: str, file: BinaryIO) -> Answer:
        return self.api.get(self._file, {"ref": commit}, accept="*/*", absent=(404,), into=file)

    def _clone_url(self) -> str:
        path = self.project
        if path.isdecimal():
            path = self.api.text_in(
                self.api.get(f"projects/{path}").document, "path_with_namespace"
            )
        return f"{self.clone_url}/{path}.git"
