"""What is GitLab's own."""

from __future__ import annotations

import pytest
from forges.cases import TOKEN, VARIABLES, forge_of
from forges.repository import NAMES

import flowhold
from flowhold.errors import AccessDeniedError, ConfigurationError, RevisionNotFoundError
from flowhold.storage import Storage
from flowhold_storage_git import GitLab

pytestmark = pytest.mark.usefixtures("as_new_user")


@pytest.fixture
def gitlab(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with forge_of("gitlab") as forge:
        yield forge


@pytest.fixture
def cloned(monkeypatch):
    """What git was asked for."""
    found = []

    class Stub:
        def __init__(self, url, *, username=None, password=None, named=None, only=None, **_):
            self.named = named
            found.append((url, username, password, str(named), only))

        def resolve(self):
            if self.named and self.named.branch:
                raise RevisionNotFoundError("no such branch")
            return NAMES["v1"]

        def checkout(self, commit):
            raise AccessDeniedError(f"asked for {commit}")

    monkeypatch.setattr("flowhold_storage_git.source.GitSource", Stub)
    return found


def test_the_arguments_are_in_the_order_that_prefect_had():
    storage = GitLab("a/b", "git.example", "c.py", "main", "SECRET")
    assert (storage.repo, storage.host, storage.path) == ("a/b", "git.example", "c.py")
    assert (storage.ref, storage.access_token_secret) == ("main", "SECRET")


@pytest.mark.parametrize("repo", [4711, "4711", "own-er/my.repo"])
def test_a_project_is_named_by_its_path_or_its_number(gitlab, repo):
    storage = GitLab(repo, gitlab.fake.url, "flows/etl.py")
    assert storage.get_flow("flows/etl.py").name == "trunk"
    assert Storage.deserialize(storage.serialize()).repo == repo


def test_a_project_may_be_in_groups_of_groups(gitlab):
    gitlab.fake.repository.name = "group/sub/project"
    storage = GitLab("group/sub/project", gitlab.fake.url, "flows/etl.py")
    assert storage.get_flow("flows/etl.py").name == "trunk"


@pytest.mark.parametrize(
    ("host", "root"),
    [
        (None, "https://gitlab.com"),
        ("git.example", "https://git.example"),
        ("git.example:8443/gitlab/", "https://git.example:8443/gitlab"),
        ("http://localhost:80/", "http://localhost:80"),
        ("https://git.example/api/v4", "https://git.example"),
    ],
)
def test_a_host_is_written_with_or_without_scheme_port_and_path(host, root):
    source = GitLab("a/b", host, "c.py").open_source()
    assert source.api.root == f"{root}/api/v4"
    assert repr(source) == f"{root}/a/b"


def test_gitlab_may_be_below_a_path(gitlab):
    gitlab.fake.root = "/some/where/api/v4"
    storage = GitLab("own-er/my.repo", f"{gitlab.fake.url}/some/where/", "flows/etl.py")
    assert storage.get_flow("flows/etl.py").name == "trunk"


@pytest.mark.parametrize(
    ("token", "kind", "header"),
    [
        (TOKEN, None, {"PRIVATE-TOKEN": TOKEN}),
        ("glpat-" + TOKEN, None, {"PRIVATE-TOKEN": "glpat-" + TOKEN}),
        ("glcbt-64_" + TOKEN, None, {"JOB-TOKEN": "glcbt-64_" + TOKEN}),
        (TOKEN, "job", {"JOB-TOKEN": TOKEN}),
        (TOKEN, "oauth", {"Authorization": "Bearer " + TOKEN}),
        ("gldt-" + TOKEN, "access", {"PRIVATE-TOKEN": "gldt-" + TOKEN}),
    ],
)
def test_each_kind_of_token_has_its_header(gitlab, token, kind, header):
    gitlab.fake.login = header
    storage = gitlab.storage(access_token_secret="TOKEN", token_kind=kind)
    with flowhold.secrets({"TOKEN": token}):
        assert storage.get_flow("flows/etl.py").name == "trunk"


def test_the_token_of_a_ci_job_is_used_only_where_that_is_said(gitlab, monkeypatch):
    monkeypatch.setenv("CI_JOB_TOKEN", TOKEN)
    gitlab.storage().get_flow("flows/etl.py")
    assert TOKEN not in str(gitlab.fake.asked)
    gitlab.fake.login = {"JOB-TOKEN": TOKEN}
    storage = gitlab.storage(ref="feature/x", token_kind="job")
    assert storage.get_flow("flows/etl.py").name == "feature/x"


def test_only_the_raw_form_of_files_is_asked_for_which_every_token_may_read(gitlab):
    for ref in (None, "feature/x", "v1", NAMES["old"][:7]):
        gitlab.storage(ref=ref).get_flow("flows/etl.py")
    paths = {asked.path for asked in gitlab.fake.asked}
    path = "/api/v4/projects/own-er%2Fmy.repo/repository/files/flows%2Fetl.py/raw"
    assert paths == {path}


def test_with_a_deploy_token_git_is_asked_for_the_script_alone(gitlab, cloned):
    options = {"access_token_secret": "TOKEN", "token_username": "gitlab+deploy-token-1"}
    with flowhold.secrets({"TOKEN": "gldt-" + TOKEN}):
        storage = gitlab.storage(ref="v1", **options)
        with pytest.raises(AccessDeniedError, match=NAMES["v1"]):
            storage.get_flow("flows/etl.py")
        with pytest.raises(AccessDeniedError):
            gitlab.storage(whole_repo=True, **options).get_flow("flows/etl.py")
    login = (f"{gitlab.fake.url}/own-er/my.repo.git", "gitlab+deploy-token-1", "gldt-" + TOKEN)
    assert cloned == [
        (*login, "branch v1", None),
        (*login, "tag v1", None),
        (*login, "None", ["flows/etl.py"]),
        (*login, "None", None),
        (*login, "None", None),
    ]
    assert gitlab.fake.asked == []


def test_a_deploy_token_needs_its_user(gitlab):
    storage = gitlab.storage(access_token_secret="TOKEN", token_kind="deploy")
    with flowhold.secrets({"TOKEN": TOKEN}), pytest.raises(ConfigurationError) as caught:
        storage.get_flow("flows/etl.py")
    assert "token_username" in caught.value.hint


def test_a_project_that_is_named_by_its_number_is_cloned_by_its_path(gitlab, cloned):
    storage = GitLab(4711, gitlab.fake.url, "flows/etl.py", whole_repo=True)
    with pytest.raises(AccessDeniedError):
        storage.get_flow("flows/etl.py")
    assert cloned[0][:3] == (f"{gitlab.fake.url}/own-er/my.repo.git", None, None)


def test_an_unknown_kind_of_token_is_refused():
    with pytest.raises(ConfigurationError, match="token_kind"):
        GitLab("a/b", path="c.py", token_kind="magic")
