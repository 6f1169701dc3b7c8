"""What is GitHub's own."""

from __future__ import annotations

import subprocess
import time

import pytest
from forges.cases import TOKEN, VARIABLES, forge_of
from forges.repository import NAMES
from forges.server import Reply

import flowhold
from flowhold.errors import AccessDeniedError, ConfigurationError, StorageUnavailableError
from flowhold_storage_git import GitHub, forge_http
from flowhold_storage_git.github import _site

pytestmark = pytest.mark.usefixtures("as_new_user")


@pytest.fixture
def github(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with forge_of("github") as forge:
        yield forge


@pytest.fixture
def waits(monkeypatch):
    found = []
    monkeypatch.setattr(forge_http, "pause", found.append)
    return found


def test_the_arguments_are_in_the_order_that_prefect_had():
    storage = GitHub("a/b", "c.py", "main", "SECRET", "https://ghe.example/api/v3")
    assert (storage.repo, storage.path, storage.ref) == ("a/b", "c.py", "main")
    assert storage.access_token_secret == "SECRET"
    assert storage.base_url == "https://ghe.example/api/v3"


@pytest.mark.parametrize(
    ("root", "site"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://ghe.example:8443/api/v3", "https://ghe.example:8443"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com"),
    ],
)
def test_repositories_are_cloned_from_the_site_that_belongs_to_the_api(root, site):
    assert _site(root) == site


def test_an_enterprise_server_is_asked_below_its_root(github):
    github.fake.root = "/api/v3"
    storage = GitHub("own-er/my.repo", "flows/etl.py", base_url=f"{github.fake.url}/api/v3/")
    assert storage.get_flow("flows/etl.py").name == "trunk"
    assert repr(storage.open_source()) == f"{github.fake.url}/own-er/my.repo"


def test_a_base_url_that_is_not_the_root_of_the_api_is_said(github):
    github.fake.root = "/api/v3"
    with pytest.raises(ConfigurationError, match="web page") as caught:
        github.storage().get_flow("flows/etl.py")
    assert "/api/v3" in caught.value.hint


@pytest.mark.parametrize(
    "url", ["https://user:pass@ghe.example", "ftp://ghe.example", "https://", "https://a b"]
)
def test_a_base_url_has_no_credentials_and_is_one_of_the_web(url):
    with pytest.raises(ConfigurationError) as caught:
        GitHub("a/b", "c.py", base_url=url)
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize("repo", ["b", "a/b/c", "/b", "a/", "../b", None])
def test_a_repository_is_an_owner_and_a_name(repo):
    with pytest.raises(ConfigurationError, match="not a repository"):
        GitHub(repo, "c.py")


def limit(remaining, wait, status=403):
    reset = str(int(time.time() + wait))
    headers = {"X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}
    return Reply(status, b'{"message": "API rate limit exceeded"}', headers=headers)


@pytest.mark.parametrize("status", [403, 429])
def test_a_rate_limit_that_ends_soon_is_waited_out(github, waits, status):
    github.fake.faults = [limit("0", 20, status)]
    github.storage().get_flow("flows/etl.py")
    assert 15 < waits[0] <= 20


def test_a_rate_limit_that_ends_late_is_an_error_that_says_when(github, waits):
    github.fake.faults = [limit("0", 3000)]
    with pytest.raises(StorageUnavailableError, match=r"not before .* UTC") as caught:
        github.storage().get_flow("flows/etl.py")
    assert "rate limit exceeded" in str(caught.value)
    assert waits == []


def test_a_secondary_rate_limit_is_waited_for(github, waits):
    words = b'{"message": "You have exceeded a secondary rate limit."}'
    github.fake.faults = [Reply(403, words, headers={"Retry-After": "9"})]
    github.storage().get_flow("flows/etl.py")
    assert waits == [9]


def test_a_secondary_rate_limit_that_does_not_say_for_how_long_is_a_minute(github, waits):
    words = b'{"message": "You have exceeded a secondary rate limit."}'
    github.fake.faults = [Reply(403, words)]
    github.storage().get_flow("flows/etl.py")
    assert waits == [60]


def test_a_403_with_requests_left_is_a_missing_permission(github, waits):
    github.fake.faults = [limit("12", 20)]
    with flowhold.secrets({"GITHUB_ACCESS_TOKEN": TOKEN}), pytest.raises(AccessDeniedError):
        github.storage().get_flow("flows/etl.py")
    assert waits == []


def test_the_default_branch_costs_two_requests_and_the_file_one(github):
    github.storage().get_flow("flows/etl.py")
    repo = "/repos/own-er/my.repo"
    assert [asked.path for asked in github.fake.asked] == [
        repo,
        f"{repo}/commits/heads/trunk",
        f"{repo}/contents/flows/etl.py",
    ]
    assert github.fake.asked[-1].query == {"ref": NAMES["trunk"]}


def test_with_the_whole_repository_its_other_modules_are_there(github, tmp_path, monkeypatch):
    folder = tmp_path / "own-er" / "my.repo.git"
    (folder / "flows").mkdir(parents=True)
    (folder / "flows" / "sibling.py").write_text("NAME = 'from its sibling'")
    script = "from flowhold import Flow\nfrom sibling import NAME\nflow = Flow(NAME, lambda: None)"
    (folder / "flows" / "etl.py").write_text(script)
    git = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e@example.com"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    github.fake.repository.branches["trunk"] = commit
    monkeypatch.setattr("flowhold_storage_git.github._site", lambda _root: f"file://{tmp_path}")
    assert github.storage(whole_repo=True).get_flow("flows/etl.py").name == "from its sibling"
