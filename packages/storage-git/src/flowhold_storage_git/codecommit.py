"""Flows in scripts on AWS CodeCommit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, ClassVar

from flowhold._secrets import secret
from flowhold.clients import check_options, secret_mapping, shared_client
from flowhold.errors import ConfigurationError, FlowholdError, PluginLoadError
from flowhold.redaction import mask
from flowhold_storage_git.errors import CODECOMMIT, failure
from flowhold_storage_git.naming import candidates, check_ref, check_repository
from flowhold_storage_git.refs import is_full
from flowhold_storage_git.revisions import Source
from flowhold_storage_git.single import FileSource, FileStorage

__all__ = ["CodeCommit"]

_SECRET = "AWS_CREDENTIALS"  # noqa: S105 (its name)
_KEYS = {
    "ACCESS_KEY": "aws_access_key_id",
    "SECRET_ACCESS_KEY": "aws_secret_access_key",
    "SESSION_TOKEN": "aws_session_token",
}
_NAMES = frozenset(_KEYS.values())
_NO_BRANCH = ("BranchDoesNotExistException", "InvalidBranchNameException")
_NO_COMMIT = ("CommitDoesNotExistException", "InvalidCommitException")


class CodeCommit(FileStorage):
    """Finds flows in a script on AWS CodeCommit.

    Credentials come from the secret ``AWS_CREDENTIALS`` (JSON with ACCESS_KEY, SECRET_ACCESS_KEY
    and perhaps SESSION_TOKEN) where `secrets` lists it, else from `client_options`, else from where
    boto3 finds them. None of them is serialized.

    Args:
        repo: Its name.
        path: Path of the script in the repository.
        commit: Branch, tag or full SHA; default: the repository's default branch.
        client_options: Arguments of ``boto3.client``: ``region_name``, ``endpoint_url``,
            ``profile_name``, ``verify`` and so on.
        **options: See :class:`~flowhold_storage_git.single.FileStorage`.
    """

    not_serialized: ClassVar[frozenset[str]] = FileStorage.not_serialized | {"_credentials"}
    shown: ClassVar[tuple[str, ...]] = ("repo", "path", "commit")

    def __init__(
        self,
        repo: str,
        path: str | None = None,
        commit: str | None = None,
        client_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path, **options)
        self.repo = check_repository(repo, parts=1)
        self.commit = check_ref(commit)
        rest, self._credentials = client_options, {}
        if isinstance(client_options, Mapping):
            rest = {name: client_options[name] for name in client_options if name not in _NAMES}
            self._credentials = {
                name: client_options[name] for name in client_options.keys() & _NAMES
            }
        self.client_options = check_options("client_options", rest) or None

    def open_source(self) -> Source:
        """Return the repository, with the credentials that hold now."""
        given = self._credentials or {}
        if _SECRET in self.secrets:
            found = secret_mapping(_SECRET, secret(_SECRET))
            given = {_KEYS[name]: str(text) for name, text in found.items() if name in _KEYS}
        options = {**(self.client_options or {}), **given}
        try:
            client = shared_client(
                _make, "AWS_", options=options, timeout=self.timeout, retries=self.retries
            )
        except ImportError as error:
            raise PluginLoadError(
                f"CodeCommit storage needs boto3, which cannot be imported: {error}",
                storage=self.name,
                hint='install it: pip install "flowhold[codecommit]"',
            ) from error
        return _Source(client, self)


class _Source(FileSource):
    def __init__(self, client: Any, storage: CodeCommit) -> None:
        self.client = client
        self.repo = storage.repo
        self.path = storage.path
        self.ref = storage.commit

    def __repr__(self) -> str:
        return f"{self.client.meta.endpoint_url}/{self.repo}"

    def resolve(self) -> str:
        """Return the full SHA of what is named; see :meth:`Source.resolve`."""
        if self.ref is None:
            about = self._in(self._ask("get_repository"), "repositoryMetadata")
            branch = about.get("defaultBranch")
            commit = self._of_branch(branch) if branch else None
            if commit is None:
                raise self._failed("empty")
            return commit
        if is_full(self.ref.lower()):
            return self.ref.lower()
        for kind, name in candidates(self.ref):
            commit = self._of_branch(name) if kind == "heads" else None
            if kind == "tags" and (found := self._file(f"refs/tags/{name}")) is not None:
                commit = self._in(found, "commitId")
            if commit:
                return commit
        raise self._failed("revision", reason=self.ref)

    def _of_branch(self, name: str) -> str | None:
        answer = self._ask("get_branch", absent=_NO_BRANCH, branchName=name)
        return None if answer is None else str(self._in(answer, "branch", "commitId"))

    def _file(self, commit: str) -> Any:
        return self._ask("get_file", absent=_NO_COMMIT, commitSpecifier=commit, filePath=self.path)

    def _fetch(self, commit: str, file: BinaryIO) -> None:
        found = self._file(commit)
        if found is None:
            raise self._failed("revision", reason=commit)
        if self._in(found, "fileMode") == "SYMLINK":
            raise self._failure("link", commit)
        file.write(self._in(found, "fileContent"))

    def _in(self, answer: Any, *names: str) -> Any:
        """Return what an answer holds; botocore makes an empty one of what was cut off."""
        for name in names:
            if name not in answer:
                raise self._failed("partial", reason=f"it lacks {name}")
            answer = answer[name]
        return answer

    def _failure(self, code: str, commit: str) -> FlowholdError:
        return self._failed(code, reason=self.path, at=commit)

    def _failed(self, *codes: int | str, reason: str = "", at: str = "") -> FlowholdError:
        place = repr(self) + (f" at commit {at[:12]}" if at else "")
        return failure(*codes, reason=reason, place=place, storage="CodeCommit", rules=CODECOMMIT)

    def _ask(self, operation: str, absent: tuple[str, ...] = (), **arguments: str) -> Any:
        """Return an answer of the service, None where its error is one of some."""
        from botocore.exceptions import BotoCoreError, ClientError

        codes: list[int | str]
        try:
            return getattr(self.client, operation)(repositoryName=self.repo, **arguments)
        except ClientError as error:
            said, status = error.response.get("Error", {}), error.response["ResponseMetadata"]
            codes = [said.get("Code", ""), status.get("HTTPStatusCode", 0)]
            reason = mask(said.get("Message") or str(error))
            # What a frame of a traceback shows is as good as said.
            del said, status
        except BotoCoreError as error:
            codes, reason = [kind.__name__ for kind in type(error).__mro__], str(error)
        # Not the original, as some of these hold the request with the session's token.
        if codes[0] in absent:
            return None
        if codes[0] == "FileDoesNotExistException":
            raise self._failure("file", arguments["commitSpecifier"])
        raise self._failed(*codes, reason=reason)


def _make(options: dict[str, Any], timeout: float, retries: int) -> Any:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    options = dict(options)
    given = options.pop("config", None)
    names = ("profile_name", "botocore_session", "aws_account_id")
    session = {name: options.pop(name) for name in names if name in options}
    try:
        config = Config(
            connect_timeout=timeout,
            read_timeout=timeout,
            retries={"mode": "standard", "total_max_attempts": retries + 1},
        ).merge(Config(**given) if isinstance(given, Mapping) else given or Config())
        return boto3.Session(**session).client("codecommit", config=config, **options)
    except (BotoCoreError, AttributeError, TypeError, ValueError) as error:
        problem = str(error)
    raise ConfigurationError(
        f"no client of CodeCommit can be made: {problem}", hint="check client_options"
    )
