"""A repository made to do harm, in a folder and behind a server."""

from __future__ import annotations

import pytest
from git_repositories import make_repository
from git_servers import serving_http

from .evil import Hostile


@pytest.fixture
def local(tmp_path):
    """A hostile repository in a folder."""
    repository = make_repository(tmp_path / "served" / "evil.git")
    return Hostile(tmp_path, repository, repository.url)


@pytest.fixture(params=["http", "file"])
def hostile(request, local, tmp_path):
    """A hostile repository in a folder, or behind a server."""
    if request.param == "file":
        yield local
    else:
        with serving_http(tmp_path / "served") as server:
            local.url = f"{server.url}/evil.git"
            yield local
