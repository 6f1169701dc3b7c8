"""A repository whose files LFS keeps, and what happens when its flow is loaded."""

from __future__ import annotations

import pytest
from git_repositories import make_repository

from flowhold_storage_git import Git

from .cases import CONTENT, SCRIPT, TOKEN
from .server import serving_lfs


@pytest.fixture
def server(tmp_path):
    with serving_lfs(tmp_path / "served") as server:
        yield server


@pytest.fixture
def repository(tmp_path, server):
    repository = make_repository(tmp_path / "served" / "flows.git")
    repository.commit(
        {
            "flow.py": SCRIPT,
            "model.bin": server.lfs.add(CONTENT),
            ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
        }
    )
    return repository


@pytest.fixture
def storage(server, repository):
    """Return a function that makes the storage of the script."""

    def storage(lfs=True, **options):
        url = options.pop("git_clone_url", f"{server.url}/flows.git")
        return Git("flow.py", git_clone_url=url, lfs=lfs, retries=0, **options)

    return storage


@pytest.fixture
def private(server, monkeypatch):
    """The server, which wants a token that a secret has."""
    server.users = {None: TOKEN}
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", TOKEN)
    return server
