"""What holds for GitHub, GitLab, Bitbucket Cloud and Bitbucket Server alike."""

from __future__ import annotations

import hashlib
import logging
import pickle
import time
import traceback
from email.utils import formatdate

import pytest
from forges.cases import BASIC, FAKES, GIT_USERS, TOKEN, USER, VARIABLES, forge_of
from forges.repository import BIG, NAMES, ODD
from forges.server import Reply, slow

import flowhold
from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowholdError,
    FlowNotFoundError,
    IntegrityError,
    RevisionNotFoundError,
    SecretNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.storage import Storage
from flowhold_storage_git import forge_http

pytestmark = pytest.mark.usefixtures("as_new_user")


@pytest.fixture(params=FAKES)
def forge(request, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with forge_of(request.param) as forge:
        yield forge


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited, without waiting."""
    found = []
    monkeypatch.setattr(forge_http, "pause", found.append)
    return found


@pytest.fixture
def with_token():
    with flowhold.secrets({"TOKEN": TOKEN, "USER": USER}):
        yield


def loaded(storage):
    return storage.get_flow(storage.path).name


def refused(storage, kind=FlowholdError):
    with pytest.raises(kind) as caught:
        storage.get_flow(storage.path)
    return caught.value


# What is named.


@pytest.mark.parametrize(
    ("ref", "commit"),
    [
        (None, "trunk"),
        ("trunk", "trunk"),
        ("feature/x", "feature/x"),
        (ODD, "odd"),
        ("tag/" + ODD, "odd"),
        ("light", "old"),
        ("refs/heads/trunk", "trunk"),
        (NAMES["old"], "old"),
        (NAMES["old"].upper(), "old"),
        (NAMES["old"][:8], "old"),
    ],
)
def test_what_is_named_is_what_is_loaded(forge, ref, commit, caplog):
    caplog.set_level(logging.INFO)
    assert loaded(forge.storage(ref=ref)) == commit
    assert NAMES[commit] in caplog.text


def test_an_annotated_tag_is_the_commit_that_it_is_put_on(forge):
    assert forge.storage(ref="v1").open_source().resolve() == NAMES["v1"]


def test_a_branch_comes_before_a_tag_of_its_name_unless_the_tag_is_said(forge):
    assert loaded(forge.storage(ref="both")) == "both-branch"
    assert loaded(forge.storage(ref="refs/tags/both")) == "both-tag"
    assert loaded(forge.storage(ref="refs/heads/both")) == "both-branch"


def test_the_path_may_hold_any_characters(forge):
    assert loaded(forge.storage("flows/ünï #1%20?.py")) == "trunk odd"


def test_a_file_of_two_megabytes_is_loaded(forge):
    storage = forge.storage("big.py")
    assert loaded(storage) == "big"
    checkout = storage.open_source().checkout(NAMES["trunk"])
    assert checkout.manifest["big.py"] == hashlib.sha256(BIG.encode()).hexdigest()


@pytest.mark.parametrize("ref", ["", "a..b", "a b", "a~1", "a^{}", "a:b", "@{-1}", "/a", "a/", 7])
def test_a_ref_that_no_branch_can_have_is_refused_at_once(forge, ref):
    with pytest.raises(ConfigurationError, match="not the name of a branch"):
        forge.storage(ref=ref)


@pytest.mark.parametrize("path", [None, "/etl.py", "../etl.py", "etl.txt", ""])
def test_a_path_is_required_and_stays_in_the_repository(forge, path):
    with pytest.raises(ConfigurationError):
        forge.storage(path)


# Requests.


def test_a_commit_that_is_cached_needs_no_request(forge):
    storage = forge.storage(ref=NAMES["old"])
    assert loaded(storage) == "old"
    assert len(forge.fake.asked) == 1
    forge.fake.asked.clear()
    assert loaded(storage) == "old"
    assert forge.fake.asked == []


def test_a_pinned_flow_stays_at_its_commit_and_needs_no_request(forge):
    storage = forge.storage(pin=True)
    storage.add_flow(flowhold.Flow("trunk", lambda **_: None))
    reference = storage.build().references()[0]
    assert reference.revision == NAMES["trunk"]
    forge.fake.repository.branches["trunk"] = NAMES["odd"]
    again = Storage.deserialize(reference.storage | {"flows": storage.serialize()["flows"]})
    assert again.get_flow("trunk").name == "trunk"
    forge.fake.asked.clear()
    assert again.get_flow("trunk").name == "trunk"
    assert forge.fake.asked == []


def test_a_branch_costs_one_request_once_its_file_is_cached(forge):
    loaded(storage := forge.storage(ref="feature/x"))
    forge.fake.asked.clear()
    loaded(storage)
    assert len(forge.fake.asked) == 1


def test_options_survive_being_serialized(forge, with_token):
    options = {"pin": True, "timeout": 7.5, "retries": 1, "whole_repo": True}
    storage = forge.storage(ref="both", **options, **forge.secret_options())
    again = Storage.deserialize(storage.serialize())
    assert again.serialize() == storage.serialize()
    assert {**storage.serialize()["options"], **options} == storage.serialize()["options"]
    assert repr(again) == repr(storage)
    assert "both" in repr(again)


# What is not there.


def test_a_repository_a_ref_and_a_file_that_are_not_there_are_told_apart(forge):
    here = forge.fake.repository.name
    error = refused(forge.storage(repo="own-er/none"), StorageError)
    assert "no repository" in str(error)
    assert "own-er/none" not in here
    assert "may not read" in error.hint
    error = refused(forge.storage(ref="nowhere"), RevisionNotFoundError)
    assert "no branch, tag or commit nowhere" in str(error)
    error = refused(forge.storage("none.py"), FlowNotFoundError)
    assert "no file none.py in" in str(error)
    error = refused(forge.storage("none.py", NAMES["old"]), FlowNotFoundError)
    assert f"at commit {NAMES['old'][:12]}" in str(error)
    assert refused(forge.storage(ref="0" * 40), RevisionNotFoundError)
    assert refused(forge.storage(ref="0" * 8), RevisionNotFoundError)


def test_a_repository_without_commits_has_no_default_branch(forge):
    forge.fake.repository.branches.clear()
    if forge.name == "cloud":
        forge.fake.repository.default = None
    assert refused(forge.storage(), RevisionNotFoundError)


@pytest.mark.parametrize("path", ["folder.py", "sub.py"])
def test_a_folder_or_submodule_is_no_script(forge, path):
    assert refused(forge.storage(path), FlowNotFoundError)


def test_a_symbolic_link_is_followed_by_the_forge_or_said_to_be_one(forge):
    if forge.name == "github":
        assert loaded(forge.storage("link.py")) == "trunk"
    else:
        assert "link.py" in str(error := refused(forge.storage("link.py"), StorageError))
        assert "symbolic link" in str(error)


def test_a_script_that_lfs_keeps_is_said_to_be_so(forge):
    assert "Git LFS" in str(refused(forge.storage("lfs.py"), StorageError))


def test_a_file_larger_than_the_limit_is_not_kept(forge, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "1000000")
    assert "1,000,000 bytes" in str(refused(forge.storage("big.py"), IntegrityError))


# Logins.


def test_a_private_repository_is_read_with_the_token(forge, with_token):
    forge.private()
    assert loaded(forge.storage(**forge.secret_options())) == "trunk"


def test_tokens_are_found_by_their_usual_names(forge, monkeypatch):
    forge.private()
    names = {"github": "GITHUB_ACCESS_TOKEN", "gitlab": "GITLAB_ACCESS_TOKEN"}
    name = names.get(forge.name, "BITBUCKET_ACCESS_TOKEN")
    given = {name: TOKEN}
    if forge.name == "cloud":
        given = {"BITBUCKET_CLOUD_USERNAME": USER, "BITBUCKET_CLOUD_APP_PASSWORD": TOKEN}
    with flowhold.secrets(given):
        assert loaded(forge.storage()) == "trunk"
    for name, value in given.items():
        monkeypatch.setenv(name, value + "\n")
    assert loaded(forge.storage()) == "trunk"


def test_a_secret_that_is_named_has_to_be_there(forge):
    assert refused(forge.storage(**forge.secret_options()), SecretNotFoundError)


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "ünï", ""])
def test_what_cannot_be_a_token_is_refused_without_showing_it(forge, token):
    with flowhold.secrets({"TOKEN": token, "USER": USER}):
        error = refused(forge.storage(**forge.secret_options()), ConfigurationError)
    assert "holds no token" in str(error)
    assert not token or token not in "".join(traceback.format_exception(error))


def test_a_login_that_is_refused_is_not_tried_again(forge, with_token, waits):
    forge.private()
    with flowhold.secrets({"TOKEN": "wrong-token"}):
        error = refused(forge.storage(**forge.secret_options()), AccessDeniedError)
    assert "was refused" in str(error)
    assert (len(forge.fake.asked), waits) == (1, [])


def test_a_missing_permission_is_not_tried_again(forge, with_token, waits):
    forge.private()
    forge.fake.faults = [forge.fake.error(403, "Insufficient scope")]
    error = refused(forge.storage(**forge.secret_options()), AccessDeniedError)
    assert "no permission" in str(error)
    assert (len(forge.fake.asked), waits) == (1, [])


def test_a_refusal_of_the_file_alone_is_told_as_it_is(forge, with_token, waits):
    forge.private()
    for status, kind in ((403, AccessDeniedError), (500, StorageUnavailableError)):
        forge.fake.faults = [forge.fake.error(status, "no file for you") for _ in range(4)]
        storage = forge.storage(ref=NAMES["old"], **forge.secret_options())
        assert f"HTTP {status} no file for you" in str(refused(storage, kind))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"values": 7}', b'"text"', b"\xff", b"7"])
def test_an_answer_that_makes_no_sense_is_an_error_of_ours(forge, body):
    forge.fake.faults = [Reply(200, body) for _ in range(3)]
    assert refused(forge.storage(ref="feature/x"), ConfigurationError)


def test_without_a_token_a_private_repository_is_said_to_be_perhaps_one(forge):
    forge.private()
    error = refused(forge.storage(), StorageError)
    assert "not for this login" in str(error) or "not for everybody" in str(error)


def test_a_token_is_not_sent_in_clear_text(forge, with_token):
    storage = forge.storage(host="http://forge.example", **forge.secret_options())
    assert "clear text" in str(refused(storage, ConfigurationError))


def test_the_credentials_in_netrc_are_for_others(forge, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login someone password {TOKEN}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert loaded(forge.storage()) == "trunk"
    assert all("authorization" not in asked.headers for asked in forge.fake.asked)


def test_cookies_are_not_kept(forge, waits):
    forge.fake.faults = [lambda _: Reply(503, b"", headers={"Set-Cookie": "session=1; Path=/"})]
    loaded(forge.storage())
    assert all("cookie" not in asked.headers for asked in forge.fake.asked)


# Trouble.


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_trouble_is_waited_out(forge, status, waits):
    forge.fake.faults = [Reply(status, b"<html>busy</html>", "text/html") for _ in range(3)]
    assert loaded(forge.storage()) == "trunk"
    assert len(waits) == 3
    assert waits == sorted(waits)


def test_trouble_that_does_not_pass_is_an_error(forge, waits):
    forge.fake.faults = [Reply(503, b"") for _ in range(9)]
    error = refused(forge.storage(retries=2), StorageUnavailableError)
    assert "HTTP 503" in str(error)
    assert (len(forge.fake.asked), len(waits)) == (3, 2)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_wait_is_as_long_as_is_asked_for(forge, form, waits):
    after = "7" if form == "seconds" else formatdate(time.time() + 8, usegmt=True)
    forge.fake.faults = [Reply(429, b"", headers={"Retry-After": after})]
    assert loaded(forge.storage()) == "trunk"
    assert 5 < waits[0] <= 8


def test_no_more_than_a_minute_is_waited_and_the_error_says_when_to_come_again(forge, waits):
    forge.fake.faults = [Reply(429, b"", headers={"Retry-After": "25"}) for _ in range(9)]
    error = refused(forge.storage(retries=9), StorageUnavailableError)
    assert waits == [25, 25]
    assert "not before 2" in str(error)
    assert "UTC" in str(error)


def test_a_server_that_is_not_there_cannot_be_reached(forge, waits):
    forge.fake.close()
    error = refused(forge.storage(retries=1), StorageUnavailableError)
    assert "cannot be reached" in str(error)
    assert len(waits) == 1


def test_a_server_that_is_slow_times_out_and_is_asked_again(forge, waits):
    forge.fake.faults = [slow]
    assert loaded(forge.storage(timeout=0.3)) == "trunk"
    assert len(waits) == 1


def test_a_download_that_breaks_off_is_begun_anew(forge, waits):
    cut = Reply(
        200, b"import os", "text/plain", {"length": 99, "close": "1", "Connection": "close"}
    )
    forge.fake.faults = [cut]
    assert loaded(forge.storage("big.py", NAMES["old"])) == "big"
    assert len(waits) == 1


def test_a_web_page_is_no_answer_of_an_api(forge):
    forge.fake.faults = [forge.fake.page()]
    error = refused(forge.storage(), ConfigurationError)
    assert "did not answer as the API" in str(error)


def test_a_proxy_of_the_environment_is_used(forge, monkeypatch):
    monkeypatch.setenv("http_proxy", forge.fake.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    forge.fake.faults = [Reply(418, b"") for _ in range(3)]
    assert "HTTP 418" in str(refused(forge.storage(host="http://forge.example"), StorageError))


def test_a_bundle_of_certificates_that_is_missing_is_said(forge, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    storage = forge.storage(host=forge.fake.url.replace("http:", "https:"))
    assert "/nowhere/ca.pem" in str(refused(storage, ConfigurationError))


def test_a_server_without_tls_is_no_trusted_one(forge, waits):
    storage = forge.storage(host=forge.fake.url.replace("http:", "https:"), retries=0)
    assert "no trusted connection" in str(refused(storage, StorageUnavailableError))


# Redirects.


def moved(status, to):
    return lambda asked: Reply(status, b"", headers={"Location": to + asked.headers["raw"]})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_repository_that_was_renamed_is_found(forge, status, with_token):
    forge.private()
    forge.fake.faults = [moved(status, "")]
    assert loaded(forge.storage(**forge.secret_options())) == "trunk"


def test_the_token_is_not_carried_to_another_host_nor_back(forge, with_token):
    with forge_of(forge.name) as other:
        forge.private()
        forge.fake.faults = [moved(302, other.fake.url)]
        other.fake.faults = [moved(302, forge.fake.url)]
        refused(forge.storage(**forge.secret_options()), StorageError)
        assert len(other.fake.asked) == 1
        first, back = forge.fake.asked[0], forge.fake.asked[1]
    assert TOKEN not in str(other.fake.asked)
    assert not {name.lower() for name in forge.fake.login} & other.fake.asked[0].headers.keys()
    assert {name.lower() for name in forge.fake.login} <= first.headers.keys()
    assert not {name.lower() for name in forge.fake.login} & back.headers.keys()


def test_redirects_without_end_end(forge):
    forge.fake.faults = [moved(302, "") for _ in range(20)]
    assert "more than 5" in str(refused(forge.storage(), StorageError))
    assert len(forge.fake.asked) == 6


def test_a_redirect_to_something_else_than_a_web_server_is_refused(forge):
    forge.fake.faults = [moved(302, "file:///etc/passwd")]
    assert "clear text" in str(refused(forge.storage(), StorageError))


# The whole repository.


def test_the_whole_repository_is_checked_out_by_git(forge, with_token, monkeypatch):
    forge.private()
    asked = []

    class Stub:
        def __init__(self, url, *, username=None, password=None, **_):
            asked.append((url, username, password))

        def checkout(self, commit):
            raise StorageError(f"asked for {commit}")

    monkeypatch.setattr("flowhold_storage_git.source.GitSource", Stub)
    storage = forge.storage(ref="both", whole_repo=True, **forge.secret_options())
    assert str(refused(storage)) == f"asked for {NAMES['both-branch']}"
    scm = "/scm" if forge.name == "server" else ""
    url = f"{forge.fake.url}{scm}/{forge.fake.repository.name}.git"
    assert asked == [(url, GIT_USERS[forge.name], TOKEN)]


# Tokens are nowhere.


def reachable(error):
    """All that an error leads to: its chain, attributes, and what its frames show."""
    seen, todo, texts = set(), [error], []
    while todo:
        thing = todo.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        texts.append(repr(thing))
        if isinstance(thing, BaseException):
            todo += [thing.__cause__, thing.__context__, thing.args, vars(thing)]
            for frame, _ in traceback.walk_tb(thing.__traceback__):
                if "site-packages" in frame.f_code.co_filename or "flowhold" in str(
                    frame.f_globals.get("__name__")
                ):
                    texts.append(repr(frame.f_locals))
        elif isinstance(thing, dict):
            todo += [*thing.keys(), *thing.values()]
        elif isinstance(thing, (list, tuple, set)):
            todo += thing
        elif type(thing).__module__.split(".")[0] in ("requests", "urllib3"):
            todo.append(vars(thing) if hasattr(thing, "__dict__") else None)
    return "\n".join(texts)


TROUBLE = {
    "none": [],
    "refused": [Reply(401, b'{"message": "Bad credentials"}')],
    "forbidden": [Reply(403, b"{}")],
    "absent": [Reply(404, b"{}") for _ in range(9)],
    "down": [Reply(500, b"") for _ in range(9)],
    "slow": [slow, slow],
    "cut": [Reply(200, b"{", headers={"length": 99, "Connection": "close", "close": "1"})] * 2,
    "echo": [Reply(400, {"message": f"what is {TOKEN}?"})] * 9,
    "page": [Reply(200, b"<html>", "text/html")],
    "away": [Reply(302, b"", headers={"Location": "http://127.0.0.1:1/"})] * 2,
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_no_token_is_in_logs_errors_reprs_references_pickles_or_the_cache(
    forge, trouble, with_token, waits, caplog, tmp_path
):
    caplog.set_level(logging.DEBUG)
    forge.private()
    forge.fake.faults = [
        Reply(fault.status, fault.body, fault.kind, dict(fault.headers))
        if isinstance(fault, Reply)
        else fault
        for fault in TROUBLE[trouble]
    ]
    options = {"timeout": 0.3, "retries": 1, **forge.secret_options()}
    storage = forge.storage(**options)
    texts = []
    try:
        loaded(storage)
    except FlowholdError as error:
        texts.append(reachable(error))
    else:
        assert trouble == "none"
    storage.add_flow(flowhold.Flow("trunk", lambda **_: None))
    source = storage.open_source()
    texts += [caplog.text, repr(storage), repr(source), repr(vars(source)), repr(vars(source.api))]
    texts += [str(storage.serialize()), str(storage.references()), str(pickle.dumps(storage))]
    texts += [record.__dict__.__repr__() for record in caplog.records]
    texts += [str(p.read_bytes()) for p in (tmp_path / "flowhold").rglob("*") if p.is_file()]
    from flowhold import clients

    texts.append(repr(clients._clients))
    for text in texts:
        assert TOKEN not in text
        assert BASIC.split()[1] not in text


def test_loads_share_their_connections(forge, monkeypatch):
    monkeypatch.setattr("flowhold.clients._clients", made := {})
    for ref in ("trunk", "both"):
        loaded(forge.storage(ref=ref))
    adapters = [client for client, _ in made.values() if hasattr(client, "poolmanager")]
    assert len(adapters) == 1
    adapters[0].close()


def test_pages_are_of_the_same_host(forge):
    api = forge.storage().open_source().api
    with pytest.raises(ConfigurationError, match="another host"):
        api.get("https://elsewhere.example/page")
