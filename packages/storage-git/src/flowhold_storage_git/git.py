"""Flows in scripts of any git repository."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from flowhold._secrets import secret
from flowhold.errors import ConfigurationError, FlowNotFoundError
from flowhold.storage.records import Record
from flowhold_storage_git.address import Address
from flowhold_storage_git.naming import check_repository
from flowhold_storage_git.refs import Named
from flowhold_storage_git.revisions import RevisionStorage, check_path
from flowhold_storage_git.source import GitSource

__all__ = ["Git"]

_LOGGER = logging.getLogger("flowhold.storage.git")


class Git(RevisionStorage):
    """Finds flows in a script of a git repository, with the whole work tree around it.

    Args:
        flow_path: Path of the script in the repository.
        repo: ``owner/name`` on `repo_host`, of any depth.
        repo_host: Host, perhaps with a port.
        flow_name: Name of the flow in the script; default: the one asked for.
        git_token_secret_name: Name of a secret with a token.
        git_token_username: User that goes with the token; default: the first part of `repo`.
        git_clone_url_secret_name: Name of a secret with a whole clone URL.
        branch_name: At most one of these three; default: the repository's default branch.
        tag: A light or an annotated one.
        commit: A full or short SHA.
        clone_depth: How many commits of history are fetched.
        use_ssh: Connect by ssh, with the user's own keys, agent, configuration and known hosts.
        format_access_token: Whether user and token are given, or the token alone.
        git_clone_url: A clone URL without credentials: https, ssh, git or file.
        ssh_key_secret: Name of a secret with the text of a private key, as a deploy key.
        submodules: Check out submodules too; those on the same host with the same credentials.
        lfs: Fetch the files that LFS keeps.
        directories: Check out only these folders, and fetch no others.
        pin: Record the commit when a flow is stored, and load exactly that one.
        allow_stale: Run from the commit that was checked out last where the remote cannot be
            reached.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again where that can help.
        **common: See :class:`~flowhold.Storage`.

    Raises:
        ConfigurationError: The options name no repository, or several revisions.
    """

    shown: ClassVar[tuple[str, ...]] = (
        "repo", "git_clone_url", "flow_path", "branch_name", "tag", "commit",
    )  # fmt: skip

    def __init__(
        self,
        flow_path: str,
        repo: str | None = None,
        repo_host: str = "github.com",
        flow_name: str | None = None,
        git_token_secret_name: str | None = None,
        git_token_username: str | None = None,
        git_clone_url_secret_name: str | None = None,
        branch_name: str | None = None,
        tag: str | None = None,
        commit: str | None = None,
        clone_depth: int = 1,
        use_ssh: bool = False,
        format_access_token: bool = True,
        *,
        git_clone_url: str | None = None,
        ssh_key_secret: str | None = None,
        submodules: bool = False,
        lfs: bool = False,
        directories: Sequence[str] | None = None,
        pin: bool = False,
        allow_stale: bool = False,
        timeout: float = 30,
        retries: int = 3,
        **common: Any,
    ) -> None:
        super().__init__(pin=pin, timeout=timeout, retries=retries, **common)
        self.flow_path = check_path(flow_path)
        self.repo = repo
        self.repo_host = repo_host
        self.flow_name = flow_name
        self.git_token_secret_name = git_token_secret_name
        self.git_token_username = git_token_username
        self.git_clone_url_secret_name = git_clone_url_secret_name
        self.branch_name = branch_name
        self.tag = tag
        self.commit = commit
        self.clone_depth = clone_depth
        self.use_ssh = use_ssh
        self.format_access_token = format_access_token
        self.git_clone_url = git_clone_url
        self.ssh_key_secret = ssh_key_secret
        self.submodules = submodules
        self.lfs = lfs
        self.directories = (
            [directories] if isinstance(directories, str) else directories and [*directories]
        )
        self.allow_stale = allow_stale
        self._named = Named(branch_name, tag, commit)
        self._check_options()

    def _check_options(self) -> None:
        places = [self.repo, self.git_clone_url, self.git_clone_url_secret_name]
        if not any(places):
            raise ConfigurationError(
                "no repository is named",
                storage=self.name,
                hint="give repo, git_clone_url or git_clone_url_secret_name",
            )
        if self.repo is not None:
            self._check_repo()
        if self.git_clone_url is not None:
            self._check_url(Address.parse(self.git_clone_url))
        if type(self.clone_depth) is not int or self.clone_depth < 1:
            raise ConfigurationError(f"clone_depth must be 1 or more, not {self.clone_depth!r}")
        for folder in self.directories or ():
            parts = folder.strip("/").split("/") if isinstance(folder, str) else [""]
            if any(part in ("", ".", "..") for part in parts):
                raise ConfigurationError(
                    f"{folder!r} is not a folder of a repository",
                    hint="give paths relative to the repository's root",
                )
        if self.use_ssh and self.git_token_secret_name:
            _LOGGER.warning("git_token_secret_name is not used: use_ssh logs in with a key")
        if self.git_clone_url_secret_name and (self.repo or self.git_token_secret_name):
            _LOGGER.warning(
                "the URL of git_clone_url_secret_name is used, and no other option of it"
            )

    def _check_repo(self) -> None:
        check_repository(self.repo)
        if self.git_clone_url is not None:
            raise ConfigurationError(
                "repo and git_clone_url name a repository each", hint="give one of them"
            )
        if "://" in self.repo_host or "/" in self.repo_host:
            raise ConfigurationError(
                f"repo_host {self.repo_host!r} is not the name of a host",
                hint="write HOST or HOST:PORT, or give git_clone_url",
            )
        if Address.parse(f"https://{self.repo_host}/{self.repo}").username:
            raise ConfigurationError(
                "repo_host holds a login, and is written down with each flow",
                hint="git_token_username and git_token_secret_name name it",
            )

    def _check_url(self, address: Address) -> None:
        # A token can stand for the user too.
        if address.password or (address.username and address.scheme != "ssh"):
            raise ConfigurationError(
                "git_clone_url holds a login, and is written down with each flow",
                storage=self.name,
                hint="leave it out: git_token_username and git_token_secret_name name it, or "
                "git_clone_url_secret_name a secret with the whole URL",
            )
        if (self.use_ssh or self.ssh_key_secret) and address.scheme != "ssh":
            raise ConfigurationError(
                "use_ssh and ssh_key_secret need a git_clone_url for ssh",
                storage=self.name,
                hint="write ssh://git@HOST/PATH or git@HOST:PATH",
            )

    @property
    def script(self) -> str:
        """Path of the script."""
        return self.flow_path

    def open_source(self) -> GitSource:
        """Return the repository, with the credentials that the secrets have now."""
        only = None
        if self.directories is not None:
            only = [folder.strip("/") for folder in self.directories]
            if not any(self.flow_path.startswith(f"{folder}/") for folder in only):
                only.append(self.flow_path)
        return GitSource(
            self._address(),
            named=self._named,
            depth=self.clone_depth,
            only=only,
            submodules=self.submodules,
            lfs=self.lfs,
            # What is pinned is never taken for newer than it is.
            allow_stale=self.allow_stale and not self.pin,
            timeout=self.timeout,
            retries=self.retries,
        )

    @property
    def _repository(self) -> str:
        return (self.repo or "").removesuffix(".git")

    def _address(self) -> Address:
        # In no frame are secrets while something can fail.
        if self.git_clone_url_secret_name:
            address = Address.parse(secret(self.git_clone_url_secret_name).strip())
        elif self.git_clone_url:
            address = Address.parse(self.git_clone_url)
        elif self.use_ssh or self.ssh_key_secret:
            address = Address.parse(f"ssh://git@{self.repo_host}/./{self._repository}.git")
        else:
            address = Address.parse(f"https://{self.repo_host}/{self._repository}.git")
        if address.scheme == "ssh":
            return replace(
                address, ssh_key=secret(self.ssh_key_secret) if self.ssh_key_secret else None
            )
        if not self.git_token_secret_name or self.git_clone_url_secret_name:
            return address
        token = secret(self.git_token_secret_name).strip()
        if not self.format_access_token:
            if ":" in token:
                del token
                raise ConfigurationError(
                    "a token with a ':' cannot stand alone", hint="give git_token_username"
                )
            return replace(address, username=token, password=None)
        user = self.git_token_username or (self.repo or "").partition("/")[0] or "git"
        return replace(address, username=user, password=token)

    def _locate(self, flow: Any) -> Record:
        self._check_name(getattr(flow, "name", None))
        return super()._locate(flow)

    def _load(self, name: str | None, record: Record, *, allow_unverified: bool) -> Any:
        self._check_name(name)
        return super()._load(name or self.flow_name, record, allow_unverified=allow_unverified)

    def _check_name(self, name: str | None) -> None:
        if self.flow_name is not None and name not in (None, self.flow_name):
            raise FlowNotFoundError(
                f"this Git storage is for the flow {self.flow_name!r}, not {name!r}",
                storage=self.name,
                hint="leave flow_name out to find flows by their names",
            )
