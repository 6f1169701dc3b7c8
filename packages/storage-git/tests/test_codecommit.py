"""Flows in files of AWS CodeCommit."""

from __future__ import annotations

import json
import pickle
import sys

import pytest
from forges.cases import TOKEN
from forges.codecommit import CodeCommitFake
from forges.repository import NAMES
from forges.server import Reply

import flowhold
from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowNotFoundError,
    PluginLoadError,
    RevisionNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.storage import Storage
from flowhold_storage_git import CodeCommit

pytestmark = pytest.mark.usefixtures("as_new_user")
pytest.importorskip("boto3", reason="boto3 is not installed")


@pytest.fixture
def fake(monkeypatch):
    from botocore.retries import standard

    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda *_: 0.01)
    fake = CodeCommitFake()
    yield fake
    fake.close()


@pytest.fixture
def storage(fake):
    def make(commit=None, path="flows/etl.py", repo="my.repo", **options):
        client = {
            "endpoint_url": fake.url,
            "region_name": "eu-west-1",
            "aws_access_key_id": "key",
            "aws_secret_access_key": TOKEN,
        }
        return CodeCommit(repo, path, commit, {**client, **options.pop("client", {})}, **options)

    return make


@pytest.mark.parametrize(
    ("commit", "name"),
    [
        (None, "trunk"),
        ("trunk", "trunk"),
        ("feature/x", "feature/x"),
        ("both", "both-branch"),
        ("refs/tags/both", "both-tag"),
        ("v1", "v1"),
        ("light", "old"),
        (NAMES["old"], "old"),
    ],
)
def test_what_is_named_is_what_is_loaded(storage, commit, name):
    loading = storage(commit)
    assert loading.open_source().resolve() == NAMES[name]
    assert loading.get_flow("flows/etl.py").name == name


def test_a_commit_that_is_cached_needs_no_request(storage, fake):
    storage(NAMES["old"]).get_flow("flows/etl.py")
    fake.asked.clear()
    assert storage(NAMES["old"]).get_flow("flows/etl.py").name == "old"
    assert fake.asked == []


def test_a_file_of_two_megabytes_is_loaded(storage):
    assert storage(path="big.py").get_flow("big.py").name == "big"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"repo": "none"}, StorageError, "no repository"),
        ({"commit": "none"}, RevisionNotFoundError, "no branch, tag or commit none"),
        ({"commit": "abcdef12"}, RevisionNotFoundError, "no branch, tag or commit abcdef12"),
        ({"commit": "0" * 40}, RevisionNotFoundError, "no branch, tag or commit 0"),
        ({"path": "none.py"}, FlowNotFoundError, "no file none.py"),
        ({"path": "folder.py"}, FlowNotFoundError, "no file folder.py"),
        ({"path": "link.py"}, StorageError, "symbolic link"),
    ],
)
def test_what_is_not_there_is_told_apart(storage, options, error, words):
    loading = storage(**options)
    with pytest.raises(error, match=words):
        loading.get_flow(loading.path)


def test_a_repository_without_commits_has_no_default_branch(storage, fake):
    fake.repository.default = None
    with pytest.raises(RevisionNotFoundError, match="no default branch"):
        storage().get_flow("flows/etl.py")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "UnrecognizedClientException", AccessDeniedError),
        (400, "ExpiredTokenException", AccessDeniedError),
        (400, "AccessDeniedException", AccessDeniedError),
        (400, "EncryptionKeyAccessDeniedException", AccessDeniedError),
        (400, "FileTooLargeException", StorageError),
        (400, "ThrottlingException", StorageUnavailableError),
        (500, "InternalFailure", StorageUnavailableError),
    ],
)
def test_what_the_service_refuses_is_an_error_of_ours(storage, fake, status, code, error):
    answer = {"__type": code, "message": "so it is"}
    fake.faults = [Reply(status, answer) for _ in range(5)]
    with pytest.raises(error, match="so it is"):
        storage(NAMES["old"]).get_flow("flows/etl.py")


def test_passing_trouble_is_waited_out(storage, fake):
    fake.faults = [Reply(500, {"__type": "InternalFailure"}) for _ in range(3)]
    assert storage().get_flow("flows/etl.py").name == "trunk"


@pytest.mark.parametrize("commit", [None, "trunk", "refs/tags/both", NAMES["old"]])
@pytest.mark.parametrize("body", [b"{}", b'{"branch": {}}', b'{"repositoryMetada', b""])
def test_an_answer_that_lacks_something_is_an_error_of_ours(storage, fake, commit, body):
    fake.faults = [Reply(200, body, "application/x-amz-json-1.1")] * 9
    with pytest.raises(StorageError):
        storage(commit).get_flow("flows/etl.py")


def test_a_service_that_is_not_there_cannot_be_reached(storage, fake):
    fake.close()
    with pytest.raises(StorageUnavailableError, match="cannot be reached"):
        storage(retries=0).get_flow("flows/etl.py")


def test_a_missing_region_is_said():
    with pytest.raises(ConfigurationError, match="region"):
        CodeCommit("r", "c.py").get_flow("c.py")


def test_the_secret_comes_before_all_other_credentials(storage, fake):
    keys = {"ACCESS_KEY": "of-secret", "SECRET_ACCESS_KEY": "s", "SESSION_TOKEN": "canary-session"}
    with flowhold.secrets({"AWS_CREDENTIALS": json.dumps(keys)}):
        storage(secrets=["AWS_CREDENTIALS"]).get_flow("flows/etl.py")
    assert "Credential=of-secret/" in fake.asked[0].headers["authorization"]
    assert fake.asked[0].headers["x-amz-security-token"] == "canary-session"


def test_credentials_are_used_but_neither_serialized_nor_pickled(storage):
    made = storage("both")
    assert TOKEN not in str(made.serialize()) + repr(made) + str(pickle.dumps(made))
    assert made.client_options.keys() == {"endpoint_url", "region_name"}
    again = Storage.deserialize(made.serialize())
    assert again.serialize() == made.serialize()
    assert (again.repo, again.path, again.commit) == ("my.repo", "flows/etl.py", "both")


def test_no_credentials_are_in_an_error(storage, fake):
    fake.close()
    with pytest.raises(StorageUnavailableError) as caught:
        storage(retries=0).get_flow("flows/etl.py")
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert TOKEN not in str(vars(caught.value))


def test_other_credentials_in_the_options_are_refused():
    with pytest.raises(ConfigurationError, match=r"client_options\.password holds credentials"):
        CodeCommit("r", "c.py", client_options={"password": "x"})


@pytest.mark.parametrize("options", [{"path": None}, {"repo": "a/b"}, {"commit": "a..b"}])
def test_options_that_cannot_be_are_refused_at_once(storage, options):
    with pytest.raises(ConfigurationError):
        storage(**options)


@pytest.mark.parametrize("option", ["whole_repo", "ref"])
def test_there_is_no_whole_repository_to_check_out(option):
    with pytest.raises(TypeError, match=option):
        CodeCommit("r", "c.py", **{option: True})


def test_without_boto3_the_error_says_what_to_install(storage, monkeypatch):
    made = storage()
    monkeypatch.setitem(sys.modules, "boto3", None)
    from flowhold import clients

    clients._clients.clear()
    with pytest.raises(PluginLoadError) as caught:
        made.get_flow("flows/etl.py")
    assert 'pip install "flowhold[codecommit]"' in caught.value.hint
