"""No repository, however it is made, is more than the settings allow: in files, or in bytes."""

from __future__ import annotations

import os
import tracemalloc

import pytest
from git_repositories import gitlink
from git_servers import serving_http

from flowhold.errors import IntegrityError, StorageUnavailableError
from flowhold.testing.faults import Drip, FaultProxy

from .evil import FILE, FOLDER, SCRIPT

pytestmark = pytest.mark.promise("bombs, git: a repository is never more than the settings allow")


def test_more_files_than_allowed_are_refused(hostile, monkeypatch):
    hostile.repository.commit({"flow.py": SCRIPT} | {f"f/{n}": str(n) for n in range(10)})
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_FILES", "10")
    assert "more than 10 files" in hostile.refused()
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_FILES", "11")
    hostile.root()


def test_of_too_many_files_a_folder_can_be_had(hostile, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_FILES", "10")
    hostile.repository.commit({"flow.py": SCRIPT, "a/b": "b"} | {f"f/{n}": "" for n in range(20)})
    assert hostile.load(directories=["a"]).run().result == 1


@pytest.mark.parametrize("content", [os.urandom(300_000), bytes(300_000)], ids=["noise", "zeros"])
def test_more_bytes_than_allowed_are_refused(hostile, content, monkeypatch):
    hostile.repository.commit({"flow.py": SCRIPT, "big": content})
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "200000")
    assert "more than 200,000 bytes" in hostile.refused()
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "400000")
    hostile.root()


def test_a_file_in_many_places_counts_in_each(hostile, monkeypatch):
    hostile.repository.commit({"flow.py": SCRIPT} | {f"f/{n}": bytes(50_000) for n in range(50)})
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "200000")
    assert "more than 200,000 bytes" in hostile.refused()


def test_a_tree_that_multiplies_itself_is_refused(hostile, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_FILES", "1000")
    for end in (hostile.tree(), hostile.tree((FILE, b"x", hostile.repository.blob(b"x")))):
        tree = end
        for _ in range(30):
            tree = hostile.tree(*((FOLDER, b"%d" % number, tree) for number in range(10)))
        hostile.commit((FOLDER, b"z", tree))
        hostile.refused(match="more than 1,000")


def test_folders_without_end_are_refused(hostile):
    tree = hostile.tree((FILE, b"x", hostile.repository.blob(b"x")))
    for _ in range(1000):
        tree = hostile.tree((FOLDER, b"d", tree))
    hostile.commit((FOLDER, b"d", tree))
    assert "nested too deeply" in hostile.refused()


def test_a_path_that_is_too_long_for_the_machine_is_refused(hostile):
    hostile.repository.commit({"flow.py": SCRIPT, "/".join(["d" * 250] * 30): "x"})
    assert "too long" in hostile.refused()


def test_what_is_too_large_is_refused_before_memory_is_used_up(local, tmp_path, monkeypatch):
    with open(tmp_path / "zeros", "wb") as file:
        file.truncate(200 << 20)
    blob = local.repository.git("hash-object", "-w", str(tmp_path / "zeros"))
    local.commit((FILE, b"zeros", blob))
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "1000000")
    with serving_http(local.repository.path.parent) as server:
        local.url = f"{server.url}/evil.git"
        tracemalloc.start()
        try:
            local.refused(match="more than 1,000,000 bytes")
            assert tracemalloc.get_traced_memory()[1] < 30 << 20
        finally:
            tracemalloc.stop()


def itself(count):
    """Return the names of submodules that are the repository itself, and the list of them."""
    names = [f"again{number}" for number in range(count)]
    each = '[submodule "{0}"]\npath = {0}\nurl = ../evil.git\n'
    return names, "".join(map(each.format, names))


def test_submodules_that_multiply_come_to_an_end(local, monkeypatch):
    repository = local.repository
    names, listed = itself(10)
    sha = repository.commit({"flow.py": SCRIPT, ".gitmodules": listed})
    for _ in range(8):
        sha = repository.commit({name: gitlink(sha) for name in names})
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_FILES", "100")
    local.refused(match="more than 100", submodules=True)


def test_bytes_of_submodules_count_together(local, monkeypatch):
    repository = local.repository
    names, listed = itself(4)
    sha = repository.commit({"flow.py": SCRIPT, ".gitmodules": listed, "large": bytes(50_000)})
    repository.commit({name: gitlink(sha) for name in names})
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "120000")
    local.refused(match="more than 120,000 bytes", submodules=True)
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "300000")
    assert local.load(submodules=True).run().result == 1


def test_a_server_that_names_refs_without_end_is_refused(local, monkeypatch):
    monkeypatch.setattr("flowhold_storage_git.transport._TALK", 100)
    with serving_http(local.repository.path.parent) as server:
        local.url = f"{server.url}/evil.git"
        with pytest.raises(IntegrityError, match="more than 100 bytes"):
            local.load()


def test_an_answer_that_comes_in_drops_is_given_up(local, monkeypatch):
    monkeypatch.setattr("flowhold_storage_git.dulwich_clients._PATIENCE", 0.3)
    with (
        serving_http(local.repository.path.parent) as server,
        FaultProxy(server.url) as proxy,
    ):
        local.url = f"{proxy.url}/evil.git"
        proxy.fail(Drip(100), 99)
        with pytest.raises(StorageUnavailableError, match="too slow"):
            local.load()
