"""GitHub, GitLab, Bitbucket and CodeCommit hold what every storage has to."""

from __future__ import annotations

import hashlib
import logging
from functools import partial

import pytest
from forges.cases import BASIC, TOKEN, USER, VARIABLES, forge_of

from flowhold.testing import StorageTests, replaces
from flowhold_storage_git import CodeCommit

PATH = "flows/kit_flows.py"
KEY = "canary-key-id"


def place_in(repository):
    """Return what commits a script to the default branch of a fake's repository."""

    def place(text):
        sha = hashlib.sha1(f"{len(repository.commits)} {text}".encode()).hexdigest()
        repository.commits[sha] = {PATH: text.encode()}
        repository.branches[repository.default] = sha

    return place


class ForgeSuite(StorageTests):
    name: str

    @pytest.fixture
    def forge(self):
        with forge_of(self.name) as forge:
            forge.private()
            yield forge

    @pytest.fixture
    def secret_values(self, monkeypatch):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", TOKEN)
        monkeypatch.setenv("FLOWHOLD_SECRET_USER", USER)
        return [TOKEN, BASIC.split()[1]]

    @pytest.fixture
    def make_storage(self, forge, secret_values):
        return partial(forge.storage, PATH, **forge.secret_options())

    @pytest.fixture
    def place_script(self, forge):
        return place_in(forge.fake.repository)


@pytest.mark.sampled(8)
class TestGitHub(ForgeSuite):
    name = "github"


@pytest.mark.sampled(8)
class TestGitLab(ForgeSuite):
    name = "gitlab"


@pytest.mark.sampled(8)
class TestBitbucketCloud(ForgeSuite):
    name = "cloud"


@pytest.mark.sampled(8)
class TestBitbucketServer(ForgeSuite):
    name = "server"


@pytest.mark.sampled(8)
class TestCodeCommit(StorageTests):
    @pytest.fixture
    def fake(self):
        pytest.importorskip("boto3", reason="boto3 is not installed")
        from forges.codecommit import CodeCommitFake

        fake = CodeCommitFake()
        yield fake
        fake.close()

    @pytest.fixture
    def secret_values(self, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", TOKEN)
        return [KEY, TOKEN]

    @pytest.fixture
    def make_storage(self, fake, secret_values):
        options = {
            "endpoint_url": fake.url,
            "region_name": "eu-west-1",
            "aws_access_key_id": KEY,
            "aws_secret_access_key": TOKEN,
        }
        return partial(CodeCommit, "my.repo", PATH, client_options=options)

    @pytest.fixture
    def place_script(self, fake):
        return place_in(fake.repository)

    @replaces(reason="botocore logs the key id that it signs with at DEBUG, but not the secret key")
    def test_logs_show_no_secret(self, keep, caplog):
        caplog.set_level(logging.DEBUG)
        keep("etl").get_flow("etl")
        assert KEY in caplog.text
        assert TOKEN not in caplog.text
        ours = [record for record in caplog.records if record.name.startswith("flowhold")]
        assert ours
        assert all(KEY not in record.getMessage() for record in ours)
