"""What is Bitbucket's own."""

from __future__ import annotations

import pytest
from forges.cases import TOKEN, VARIABLES, forge_of
from forges.repository import NAMES
from forges.server import Reply

import flowhold
from flowhold.errors import ConfigurationError, StorageError
from flowhold_storage_git import Bitbucket

pytestmark = pytest.mark.usefixtures("as_new_user")


@pytest.fixture(autouse=True)
def _no_tokens(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cloud():
    with forge_of("cloud") as forge:
        yield forge


def test_the_arguments_are_in_the_order_that_prefect_had():
    storage = Bitbucket("P", "r", "w", "https://b.example", "c.py", "main", None, "USER", "PASS")
    assert (storage.project, storage.repo, storage.workspace) == ("P", "r", "w")
    assert (storage.host, storage.path, storage.ref) == ("https://b.example", "c.py", "main")
    assert storage.cloud_username_secret == "USER"
    assert storage.cloud_app_password_secret == "PASS"
    server = Bitbucket("P", "r", None, "https://b.example", "c.py", None, "TOKEN")
    assert server.access_token_secret == "TOKEN"


def test_a_token_of_a_server_is_not_for_the_cloud():
    with pytest.raises(ValueError, match="access_token_secret is for servers"):
        Bitbucket("P", "r", workspace="w", path="c.py", access_token_secret="TOKEN")


def test_a_user_and_a_password_go_together():
    with pytest.raises(ConfigurationError, match="go together"):
        Bitbucket("P", "r", workspace="w", path="c.py", cloud_username_secret="USER")


def test_without_a_host_or_a_workspace_there_is_nothing_to_ask():
    with pytest.raises(ConfigurationError) as caught:
        Bitbucket("P", "r", path="c.py").open_source()
    assert "workspace" in caught.value.hint


def test_the_cloud_is_where_it_is():
    source = Bitbucket("P", "r", workspace="w", path="c.py").open_source()
    assert repr(source) == "https://bitbucket.org/w/r"
    assert source.api.root == "https://api.bitbucket.org/2.0"


@pytest.mark.parametrize(
    ("user", "for_git"),
    [("someone", "someone"), ("someone@example.com", "x-bitbucket-api-token-auth")],
)
def test_git_knows_another_user_for_an_api_token(cloud, user, for_git):
    with flowhold.secrets({"USER": user, "TOKEN": TOKEN}):
        login = cloud.storage(**cloud.secret_options()).open_source().api.login
    assert (login.username, login.password) == (for_git, TOKEN)


def test_all_pages_of_refs_are_read(cloud):
    storage = cloud.storage(ref="refs/tags/both")
    assert storage.get_flow("flows/etl.py").name == "both-tag"
    pages = [asked.query.get("page") for asked in cloud.fake.asked if "q" in asked.query]
    assert pages == [None, "2"]


def test_a_next_page_on_another_host_is_not_asked_for(cloud):
    document = {"values": [], "next": "http://elsewhere.example/2.0/refs"}
    cloud.fake.faults = [Reply(200, document)]
    with pytest.raises(ConfigurationError, match="another host"):
        cloud.storage(ref="both").get_flow("flows/etl.py")


def test_a_server_may_have_personal_projects_and_a_path():
    with forge_of("server") as server:
        server.fake.repository.name = "~someone/my.repo"
        storage = server.storage(ref="light")
        assert storage.get_flow("flows/etl.py").name == "old"
        assert storage.open_source().resolve() == NAMES["old"]
        assert storage.get_flow("flows/etl.py").name == "old"


def test_a_project_that_is_not_there_is_said():
    with forge_of("server") as server, pytest.raises(StorageError, match="no repository"):
        server.storage(repo="none/my.repo").get_flow("flows/etl.py")
