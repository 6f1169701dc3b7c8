"""The options of Git: positions, what is refused, and what is recorded and loaded by them."""

from __future__ import annotations

import inspect
import json
import logging
import shutil
from types import SimpleNamespace

import pytest
from git_repositories import make_repository
from git_servers import serving_http

import flowhold
from flowhold.errors import (
    AccessDeniedError,
    DuplicateFlowError,
    FlowNotFoundError,
    RevisionNotFoundError,
    StorageUnavailableError,
)
from flowhold.fetching import fetch
from flowhold.loading import load_reference
from flowhold.reference import Reference
from flowhold.registering import register_all
from flowhold.storage import Storage
from flowhold_storage_git import Git

ALL = {
    "flow_path": "flows/etl.py",
    "repo": "a/b",
    "repo_host": "h:8443",
    "flow_name": "etl",
    "git_token_secret_name": "TOKEN",
    "git_token_username": "oauth2",
    "git_clone_url_secret_name": "URL",
    "branch_name": "main",
    "tag": None,
    "commit": None,
    "clone_depth": 7,
    "use_ssh": True,
    "format_access_token": False,
}
OURS = {
    "git_clone_url": "ssh://git@h/a/b",
    "ssh_key_secret": "KEY",
    "submodules": True,
    "lfs": True,
    "directories": ["flows", "data"],
    "pin": True,
    "allow_stale": True,
    "timeout": 1.5,
    "retries": 9,
}
COMMON = {"secrets": ["A"], "labels": ["x", "y"], "add_default_labels": False}


def test_arguments_are_where_prefect_1_had_them():
    parameters = inspect.signature(Git).parameters
    positional = [it for it in parameters.values() if it.kind is it.POSITIONAL_OR_KEYWORD]
    assert [it.name for it in positional] == [*ALL]
    defaults = [inspect.Parameter.empty, None, "github.com", *[None] * 7, 1, False, True]
    assert [it.default for it in positional] == defaults
    assert {it.name for it in parameters.values() if it.kind is it.KEYWORD_ONLY} == {*OURS}
    assert all(getattr(Git(*ALL.values()), name) == value for name, value in ALL.items())


@pytest.mark.parametrize("named", [{"branch_name": "b"}, {"tag": "t"}, {"commit": "abcd1234"}])
@pytest.mark.parametrize("place", [{"git_clone_url": None}, {"repo": None}])
def test_every_option_survives_json(named, place):
    options = {**ALL, "branch_name": None, **OURS, **place, **named, **COMMON}
    storage = Git(**options)
    document = json.loads(json.dumps(storage.serialize()))
    again = Storage.deserialize(document)
    assert type(again) is Git
    assert {name: getattr(again, name) for name in options} == options
    assert again.serialize() == document


def test_flows_survive_json(history):
    storage = Git("two.py", git_clone_url=history.repository.url, pin=True)
    storage.add_flow(flowhold.Flow("one"))
    storage.add_flow(flowhold.Flow("other"))
    storage.build()
    again = Storage.deserialize(json.loads(json.dumps(storage.serialize())))
    assert again.flows == {"one": "two.py", "other": "two.py"}
    assert "other" in again
    assert "third" not in again
    assert [it.revision for it in again.references()] == [history.shas[6]] * 2
    assert again.get_flow("other").name == "other"


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        "named",
        [
            {"branch_name": "a", "tag": "b"},
            {"branch_name": "a", "commit": "abcd"},
            {"tag": "a", "commit": "abcd"},
            {"branch_name": "a", "tag": "b", "commit": "abcd"},
            {"branch_name": ""},
            {"tag": 5},
        ],
    )
    def test_several_revisions_or_none(self, named):
        with pytest.raises(ValueError, match=r"only one of|is text"):
            Git("flow.py", "a/b", **named)

    def test_no_repository(self):
        with pytest.raises(ValueError, match="no repository is named") as caught:
            Git("flow.py")
        assert "git_clone_url_secret_name" in caught.value.hint

    @pytest.mark.parametrize(
        "path",
        [
            "/flow.py", "/etc/flow.py", "../flow.py", "a/../../flow.py", "a/../flow.py",
            "./flow.py", "a//flow.py", "flow.txt", "flow", "", ".py/..", "a\\flow.py",
            "..", "flow.py/",
        ],
    )  # fmt: skip
    def test_a_path_that_is_none_of_a_script(self, path):
        with pytest.raises(ValueError, match="not the path of a script"):
            Git(path, "a/b")

    @pytest.mark.parametrize("folder", ["..", "a/../b", "/etc/..", "", "/", "a//b", ".", 5, None])
    def test_a_folder_that_is_none(self, folder):
        with pytest.raises(ValueError, match="not a folder of a repository"):
            Git("flow.py", "a/b", directories=[folder])

    @pytest.mark.parametrize("depth", [0, -1, None, "1", 1.5])
    def test_a_depth_that_is_none(self, depth):
        with pytest.raises(ValueError, match="clone_depth"):
            Git("flow.py", "a/b", clone_depth=depth)

    def test_a_second_flow_of_the_same_name(self):
        storage = Git("flow.py", "a/b")
        storage.add_flow(flowhold.Flow("one"))
        with pytest.raises(DuplicateFlowError, match="Name conflict"):
            storage.add_flow(flowhold.Flow("one"))

    def test_a_token_beside_ssh_is_told(self, caplog):
        Git("flow.py", "a/b", use_ssh=True, git_token_secret_name="TOKEN")
        assert "git_token_secret_name is not used" in caplog.text

    def test_parts_of_a_url_beside_a_whole_one_are_told(self, caplog):
        Git("flow.py", git_clone_url_secret_name="URL")
        assert caplog.text == ""
        Git("flow.py", "a/b", git_clone_url_secret_name="URL")
        assert "no other option of it" in caplog.text


def test_what_it_shows():
    assert repr(Git("f.py", "a/b")) == "<Storage: Git repo='a/b' flow_path='f.py'>"
    storage = Git("f.py", git_clone_url="https://h/a", tag="v1", git_token_secret_name="T")
    shown = "<Storage: Git git_clone_url='https://h/a' flow_path='f.py' tag='v1'>"
    assert repr(storage) == shown
    assert storage.name == "Git"
    assert storage.stored_as_script is True


class TestFlows:
    @pytest.fixture
    def two(self, history):
        return lambda **options: Git("two.py", git_clone_url=history.repository.url, **options)

    def test_of_several_in_a_script_the_one_asked_for_is_loaded(self, two):
        storage = two()
        for name in ("one", "other"):
            assert storage.add_flow(flowhold.Flow(name)) == "two.py"
        assert storage.flows == {"one": "two.py", "other": "two.py"}
        for name in ("other", "one"):
            assert storage.get_flow(name).name == name
        with pytest.raises(FlowNotFoundError, match="'third' is not contained"):
            storage.get_flow("third")

    def test_by_its_path_alone_it_has_to_be_the_only_one(self, two):
        with pytest.raises(FlowNotFoundError, match="'one'"):
            two().get_flow("two.py")

    def test_one_can_be_named_once_and_for_all(self, two):
        storage = two(flow_name="other")
        assert storage.get_flow("two.py").name == "other"
        storage.add_flow(flowhold.Flow("other"))
        assert storage.get_flow().name == "other"
        with pytest.raises(FlowNotFoundError, match="for the flow 'other', not 'one'"):
            storage.add_flow(flowhold.Flow("one"))

    def test_another_path_is_not_in_the_storage(self, two):
        with pytest.raises(FlowNotFoundError):
            two().get_flow("single.py")


@pytest.fixture
def own(tmp_path, scripts_of):
    """A repository of the test's own, at value 1, and a server for it that can be stopped."""
    repository = make_repository(tmp_path / "served" / "own.git")
    first = repository.commit(scripts_of(1))
    with serving_http(tmp_path / "served") as server:
        place = f"{server.url}/own.git"

        def storage(path="single.py", name="single", **options):
            options = {"git_clone_url": place, "timeout": 5, "retries": 0, **options}
            storage = Git(path, **options)
            storage.add_flow(flowhold.Flow(name))
            return storage

        def commit(number, **more):
            return repository.commit(scripts_of(number), **more)

        def stop():
            server.fail = [503] * 1000

        yield SimpleNamespace(
            repository=repository, first=first, server=server, storage=storage, commit=commit,
            stop=stop,
        )  # fmt: skip


def run(source):
    """Return the value of the flow of a storage or reference."""
    if isinstance(source, Reference):
        return load_reference(Reference.from_json(source.to_json())).run().result
    return source.get_flow().run().result


def register(storage):
    """Register the flow of a storage anew, and return its registration."""
    (name,) = storage.flows
    return register_all([flowhold.Flow(name)], storage=storage)[0]


def forget_checkouts(tmp_path):
    shutil.rmtree(tmp_path / "flowhold" / "cache")


class TestPinned:
    def test_the_commit_is_in_the_reference(self, own):
        reference = register(own.storage(pin=True)).reference
        assert (reference.revision, reference.pinned) == (own.first, True)
        assert (reference.kind, reference.location) == ("script", "single.py")

    @pytest.mark.parametrize(
        "named", [{}, {"branch_name": "trunk"}, {"tag": "v1"}, {"commit": "short"}]
    )
    def test_it_is_the_one_that_is_named(self, own, named):
        own.repository.tag("v1", own.first, annotated=True)
        if "commit" in named:
            named = {"commit": own.first[:8]}
        assert register(own.storage(pin=True, **named)).reference.revision == own.first

    def test_it_is_loaded_after_the_branch_has_moved(self, own, tmp_path):
        reference = register(own.storage(pin=True)).reference
        own.commit(2)
        assert run(reference) == 1
        forget_checkouts(tmp_path)
        assert run(reference) == 1
        assert run(own.storage()) == 2

    def test_it_is_loaded_after_history_was_rewritten(self, own, tmp_path):
        reference = register(own.storage(pin=True)).reference
        tree = own.repository.git("rev-parse", f"{own.commit(2)}^{{tree}}")
        own.repository.git("update-ref", "-d", "refs/heads/trunk")
        own.repository.commit_tree(tree)
        forget_checkouts(tmp_path)
        assert run(reference) == 1
        assert run(own.storage()) == 2

    def test_once_its_commit_is_gone_it_is_loaded_where_it_is_cached(self, own, tmp_path):
        reference = register(own.storage(pin=True)).reference
        assert run(reference) == 1
        tree = own.repository.git("rev-parse", f"{own.commit(2)}^{{tree}}")
        own.repository.git("update-ref", "-d", "refs/heads/trunk")
        own.repository.commit_tree(tree)
        own.repository.git("reflog", "expire", "--expire=now", "--all")
        own.repository.git("gc", "--quiet", "--prune=now")
        assert run(reference) == 1
        forget_checkouts(tmp_path)
        with pytest.raises(RevisionNotFoundError, match=own.first):
            run(reference)

    def test_where_it_is_cached_no_request_is_made(self, own):
        reference = register(own.storage(pin=True)).reference
        assert run(reference) == 1
        own.server.reset()
        assert run(reference) == 1
        assert own.storage(commit=own.first).get_flow().run().result == 1
        assert own.server.requests == []

    def test_it_is_unchanged_while_the_commit_is_the_same(self, own):
        assert not register(own.storage(pin=True)).unchanged
        again = register(own.storage(pin=True))
        assert (again.unchanged, again.reference.version) == (True, 1)
        own.commit(2)
        moved = register(own.storage(pin=True))
        assert (moved.unchanged, moved.reference.version) == (False, 2)
        assert (run(moved.reference), moved.reference.revision != own.first) == (2, True)

    def test_one_storage_notices_at_once_that_the_branch_has_moved(self, own):
        storage = own.storage(pin=True)
        assert register(storage).reference.revision == own.first
        assert register(storage).unchanged
        second = own.commit(2)
        moved = register(storage)
        assert (moved.unchanged, moved.reference.revision) == (False, second)

    def test_flows_that_are_registered_together_are_of_one_commit_and_one_request(self, own):
        storage = own.storage("two.py", "one", pin=True)
        own.server.reset()
        both = register_all([flowhold.Flow("one"), flowhold.Flow("other")], storage=storage)
        assert {each.reference.revision for each in both} == {own.first}
        assert own.server.fetches == 1
        assert own.server.ls_refs == 2  # at registering, and as a part of the fetch

    def test_a_script_that_is_not_there_is_not_registered(self, own):
        with pytest.raises(FlowNotFoundError, match=r"gone\.py"):
            register(own.storage("gone.py", pin=True))
        assert flowhold.Catalog().newest("single") is None

    def test_it_is_unchanged_where_a_branch_moved_elsewhere(self, own):
        own.repository.branch("release", own.first)
        register(own.storage(pin=True, branch_name="release"))
        own.commit(2)
        assert register(own.storage(pin=True, branch_name="release")).unchanged

    def test_what_cannot_be_found_is_not_registered(self, own):
        with pytest.raises(RevisionNotFoundError):
            register(own.storage(pin=True, branch_name="none"))
        assert flowhold.Catalog().newest("single") is None


class TestFloating:
    def test_the_reference_says_so(self, own):
        reference = register(own.storage()).reference
        assert (reference.revision, reference.pinned) == (None, False)

    @pytest.mark.parametrize("named", [{}, {"branch_name": "trunk"}])
    def test_it_follows_the_branch(self, own, named, caplog):
        reference = register(own.storage(**named)).reference
        assert run(reference) == 1
        second = own.commit(2)
        with caplog.at_level(logging.INFO, "flowhold.storage.git"):
            assert run(reference) == 2
        (said,) = [text for text in caplog.messages if text.startswith("loading")]
        assert said == f"loading single.py of {own.server.url}/own.git at commit {second}"

    def test_it_follows_a_tag_that_was_moved(self, own):
        own.repository.tag("latest", own.first)
        reference = register(own.storage(tag="latest")).reference
        assert run(reference) == 1
        own.repository.tag("latest", own.commit(2), annotated=True)
        assert run(reference) == 2

    def test_it_is_unchanged_whatever_the_branch_does(self, own):
        assert not register(own.storage()).unchanged
        own.commit(2)
        assert register(own.storage()).unchanged

    def test_nothing_is_asked_to_register_it(self, own):
        register(own.storage())
        assert own.server.requests == []


class TestStale:
    def test_while_the_server_is_down_the_last_checkout_runs(self, own, caplog):
        assert run(own.storage(allow_stale=True)) == 1
        own.commit(2)
        assert run(own.storage(allow_stale=True)) == 2
        second = own.repository.head()
        own.stop()
        caplog.clear()
        assert run(own.storage(allow_stale=True)) == 2
        (warning,) = [it for it in caplog.records if it.levelno == logging.WARNING]
        assert "cannot be reached" in warning.getMessage()
        assert warning.getMessage().endswith(f"at commit {second}")

    def test_an_older_commit_that_a_worker_loads_is_not_the_last_one(self, own):
        reference = register(own.storage(allow_stale=True)).reference
        old = load_reference(reference)._source
        own.commit(2)
        assert run(reference) == 2
        assert run(old) == 1
        own.stop()
        assert run(reference) == 2

    def test_without_leave_it_does_not(self, own):
        assert run(own.storage(allow_stale=True)) == 1
        own.stop()
        with pytest.raises(StorageUnavailableError):
            run(own.storage())

    def test_each_branch_has_its_own(self, own):
        own.commit(2, branch="other")
        assert run(own.storage(allow_stale=True, branch_name="other")) == 2
        assert run(own.storage(allow_stale=True)) == 1
        own.stop()
        assert run(own.storage(allow_stale=True, branch_name="other")) == 2
        assert run(own.storage(allow_stale=True)) == 1
        with pytest.raises(StorageUnavailableError):
            run(own.storage(allow_stale=True, branch_name="third"))

    def test_what_was_never_loaded_cannot_be(self, own):
        own.stop()
        with pytest.raises(StorageUnavailableError):
            run(own.storage(allow_stale=True))

    def test_what_was_removed_from_the_cache_cannot_be(self, own, tmp_path):
        assert run(own.storage(allow_stale=True)) == 1
        shutil.rmtree(tmp_path / "flowhold" / "cache" / "trees")
        own.stop()
        with pytest.raises(StorageUnavailableError):
            run(own.storage(allow_stale=True))

    def test_a_refused_login_or_a_lost_branch_is_not_a_server_that_is_down(self, own):
        own.repository.branch("lost", own.first)
        assert run(own.storage(allow_stale=True, branch_name="lost")) == 1
        own.server.users = {"ann": "password"}
        with pytest.raises(AccessDeniedError):
            run(own.storage(allow_stale=True, branch_name="lost"))
        own.server.users = None
        own.repository.git("update-ref", "-d", "refs/heads/lost")
        with pytest.raises(RevisionNotFoundError):
            run(own.storage(allow_stale=True, branch_name="lost"))


class TestLooking:
    def test_verify_names_the_commit(self, own):
        storage = own.storage()
        (found,) = storage.verify()
        assert found["ok"]
        assert own.first in found["detail"]
        assert "floating" in found["detail"]
        storage = own.storage(pin=True).build()
        assert "as recorded" in storage.verify()[0]["detail"]

    def test_verify_tells_what_is_wrong(self, own):
        for options in ({"branch_name": "none"}, {"path": "none.py"}):
            (found,) = own.storage(**options).verify()
            assert not found["ok"]
            assert "none" in found["detail"]

    def test_fetch_gives_the_files_of_the_commit_to_be_changed(self, own, tmp_path, scripts_of):
        reference = register(own.storage(pin=True)).reference
        own.commit(2)
        folder = tmp_path / "there"
        paths = fetch(reference, folder)
        assert {path.as_posix() for path in paths} == {*scripts_of(1), "reference.json"}
        for path, text in scripts_of(1).items():
            assert (folder / path).read_text() == text
            (folder / path).write_text("changed")
        assert not [*folder.rglob(".git")]
        assert run(reference) == 1

    def test_fetch_runs_nothing(self, own, tmp_path):
        own.repository.commit({"single.py": "raise SystemExit('run')\n"})
        fetch(register(own.storage()).reference, tmp_path / "there")
        assert (tmp_path / "there" / "single.py").read_text() == "raise SystemExit('run')\n"

    def test_of_some_folders_these_and_the_script_are_there(self, own, tmp_path):
        storage = own.storage("company/flows/relative.py", "relative", directories=["/company/"])
        storage.extract("relative", tmp_path / "there")
        there = {path.name for path in (tmp_path / "there").iterdir()}
        assert there == {"company"}
