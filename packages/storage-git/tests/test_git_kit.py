"""Git holds what every storage has to."""

from __future__ import annotations

from functools import partial

import git_repositories
import pytest

from flowhold.testing import StorageTests
from flowhold_storage_git import Git

TOKEN = "canary-token"


class GitSuite(StorageTests):
    @pytest.fixture
    def repository(self, tmp_path):
        repository = git_repositories.make_repository(tmp_path / "kit.git")
        repository.commit({})
        return repository

    @pytest.fixture
    def place_script(self, repository):
        def place_script(text):
            repository.commit({"flows/kit_flows.py": text})

        return place_script


@pytest.mark.sampled(5)
class TestGitFolder(GitSuite):
    @pytest.fixture
    def make_storage(self, repository):
        return partial(Git, "flows/kit_flows.py", git_clone_url=repository.url)


@pytest.mark.sampled(5)
class TestGitHTTP(GitSuite):
    @pytest.fixture
    def repository(self, git_folder, git_http, request):
        path = git_folder / f"kit-{abs(hash(request.node.nodeid))}.git"
        repository = git_repositories.make_repository(path)
        repository.commit({})
        return repository

    @pytest.fixture
    def secret_values(self, monkeypatch, git_http, repository):
        monkeypatch.setenv("FLOWHOLD_SECRET_KIT_TOKEN", TOKEN)
        monkeypatch.setattr(git_http, "users", {None: TOKEN})
        return [TOKEN]

    @pytest.fixture
    def make_storage(self, repository, git_http, secret_values):
        return partial(
            Git,
            "flows/kit_flows.py",
            git_clone_url=f"{git_http.url}/{repository.path.name}",
            git_token_secret_name="KIT_TOKEN",
        )
