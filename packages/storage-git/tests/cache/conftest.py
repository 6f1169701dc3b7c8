"""A repository with many flows behind a server, and what loads them."""

from __future__ import annotations

import pytest
from git_repositories import make_repository
from git_servers import serving_http

from flowhold_storage_git import Git

from .loads import LISTED


@pytest.fixture
def repository(tmp_path):
    """The repository `team/flows.git` of the server, with 20 flows in a folder, and other files."""
    repository = make_repository(tmp_path / "served" / "team" / "flows.git")
    files = {f"flows/flow_{n:04}.py": LISTED.format(number=n) for n in range(20)}
    repository.commit(files | {"root.py": LISTED.format(number=99), "other/file.txt": "other"})
    return repository


@pytest.fixture
def server(tmp_path):
    with serving_http(tmp_path / "served") as server:
        yield server


@pytest.fixture
def storage(server, repository):
    """Return a function that makes the storage of a script in the repository."""

    def storage(path="flows/flow_0000.py", **options):
        return Git(path, git_clone_url=f"{server.url}/team/flows.git", retries=0, **options)

    return storage
