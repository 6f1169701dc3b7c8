"""Where only some folders are wanted, only these are fetched, and only these are there."""

from __future__ import annotations

import os

import pytest
from git_repositories import make_repository
from git_servers import serving_http

from flowhold import cache
from flowhold.errors import FlowNotFoundError
from flowhold_storage_git import Git

from .loads import LISTED, load, value


def trees():
    return [entry for entry in cache.entries() if entry.kind == "tree"]


def test_folders_that_are_not_wanted_are_not_there(storage):
    flow = load(storage(directories=["flows"]))
    assert flow.run().result == [0]
    (entry,) = trees()
    assert sorted(path.name for path in (entry.path / "files").iterdir()) == ["flows"]
    assert len([*(entry.path / "files/flows").iterdir()]) == 20


def test_a_script_beside_its_folders_is_there_too(storage):
    assert value(storage("root.py", directories=["other/"])) == [99]
    (entry,) = trees()
    found = {path.name for path in (entry.path / "files").iterdir()}
    assert found == {"other", "root.py"}


def test_a_folder_that_is_not_there_is_named(storage):
    with pytest.raises(FlowNotFoundError, match="no absent in the repository"):
        load(storage(directories=["flows", "absent"]))
    assert trees() == []


def packs(monkeypatch):
    """Return the list to which the size of each pack is added that arrives."""
    from flowhold_storage_git.objects import PackedObjects

    sizes, original = [], PackedObjects.add_pack

    def add_pack(self, file):
        sizes.append(os.fstat(file.fileno()).st_size)
        original(self, file)

    monkeypatch.setattr(PackedObjects, "add_pack", add_pack)
    return sizes


@pytest.mark.parametrize("filters", [True, False])
def test_of_a_large_repository_only_the_folders_that_are_wanted_are_fetched(
    filters, tmp_path, monkeypatch
):
    repository = make_repository(tmp_path / "served" / "large.git")
    files = {f"large/{number}.bin": os.urandom(10_000) for number in range(50)}
    repository.commit(files | {"flows/flow.py": LISTED.format(number=5)})
    sizes = packs(monkeypatch)
    with serving_http(tmp_path / "served", allow_filter=filters) as server:
        options = {"git_clone_url": f"{server.url}/large.git", "retries": 0}
        assert value(Git("flows/flow.py", directories=["flows"], **options)) == [5]
        assert (sum(sizes) < 10_000) == filters
        (entry,) = trees()
        assert [path.name for path in (entry.path / "files").iterdir()] == ["flows"]
        sizes.clear()
        load(Git("flows/flow.py", **options))
        assert sum(sizes) > 500_000
