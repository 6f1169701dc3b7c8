"""Old versions: made the newest again, or removed with what only they use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import flowhold
from flowhold import Catalog, keyring
from flowhold.errors import (
    ConfigurationError,
    FlowNotFoundError,
    PluginNotFoundError,
    SerializationError,
)
from flowhold.storage import Bytes, Local


def register(count, name="etl", storage=None):
    """Register that many versions and return them."""
    return [
        flowhold.register(
            flowhold.flow(lambda number=number: number, name=name),
            storage=storage or Local(),
            force=True,
        )
        for number in range(count)
    ]


def there(references):
    return [Path(reference.location).exists() for reference in references]


def test_an_older_version_becomes_the_newest_and_none_is_lost():
    first, _ = register(2)
    again = Catalog().rollback("etl", 1)
    assert again == replace(first, version=3, created=again.created)
    assert Catalog().versions("etl") == [1, 2, 3]
    assert flowhold.load("etl").run(parameters={}).result == 0


@pytest.mark.parametrize(("name", "version"), [("other", 1), ("etl", 3), ("etl", 0)])
def test_a_version_that_is_not_there_cannot_come_back(name, version):
    register(2)
    with pytest.raises(FlowNotFoundError):
        Catalog().rollback(name, version)
    assert Catalog().versions("etl") == [1, 2]


def test_all_but_the_newest_are_removed_with_their_objects():
    references = register(4)
    assert Catalog().prune("etl", 2) == references[:2]
    assert Catalog().versions("etl") == [3, 4]
    assert there(references) == [False, False, True, True]
    assert Catalog().prune("etl", 2) == []
    assert register(1)[0].version == 5


def test_a_dry_run_removes_nothing():
    references = register(3)
    assert Catalog().prune("etl", 1, dry_run=True) == references[:2]
    assert Catalog().versions("etl") == [1, 2, 3]
    assert all(there(references))


@pytest.mark.parametrize("keep", [0, -1])
def test_at_least_one_version_is_kept(keep):
    register(1)
    with pytest.raises(ConfigurationError):
        Catalog().prune("etl", keep)


def test_a_flow_that_is_not_there_cannot_be_pruned():
    with pytest.raises(FlowNotFoundError):
        Catalog().prune("etl", 1)


def test_the_object_of_a_version_that_came_back_stays():
    references = register(2)
    Catalog().rollback("etl", 1)
    Catalog().prune("etl", 1)
    assert there(references) == [True, False]
    assert flowhold.load("etl").run().result == 0


@pytest.mark.parametrize("key", [None, "shared"])
def test_an_object_that_another_flow_uses_stays(key):
    Path("both.py").write_text(
        "from flowhold import flow\n@flow\ndef one(): return 1\n@flow\ndef two(): return 2\n"
    )
    options = {"local_script_path": "both.py", "stored_as_script": True, "key": key}
    (one,) = register(1, "one", Local(**options))
    Catalog().add(replace(one, flow="two"))
    register(1, "one")
    Catalog().prune("one", 1)
    assert there([one]) == [True]
    assert flowhold.load("two").run().result == 2


def test_a_script_that_runs_in_place_stays():
    Path("etl.py").touch()
    (first,) = register(1, storage=Local(path="etl.py", stored_as_script=True))
    register(1)
    Catalog().prune("etl", 1)
    assert there([first]) == [True]


def test_flows_that_are_in_their_references_go_with_them():
    register(2, storage=Bytes())
    Catalog().prune("etl", 1)
    assert flowhold.load("etl").run().result == 1


def test_nothing_is_removed_where_an_entry_of_any_flow_cannot_be_read():
    references = register(2)
    register(1, "other")
    Path(Catalog().store.root, "other/0000000001.json").write_text("{")
    with pytest.raises(SerializationError):
        Catalog().prune("etl", 1)
    assert Catalog().versions("etl") == [1, 2]
    assert all(there(references))


def test_nothing_is_removed_where_a_plugin_is_missing(core_alone):
    (first,) = register(1)
    Catalog().add(replace(first, storage={**first.storage, "type": "s3"}))
    register(1)
    with pytest.raises(PluginNotFoundError):
        Catalog().prune("etl", 1)
    assert Catalog().versions("etl") == [1, 2, 3]


def test_an_entry_that_is_not_trusted_removes_no_object(monkeypatch):
    references = register(2)
    key = keyring.create("release")
    flowhold.register(flowhold.flow(lambda: 3, name="etl"), storage=Local(), sign="release")
    keyring.trust(key)
    with pytest.warns(UserWarning, match="no trusted key has signed stay"):
        Catalog().prune("etl", 1)
    assert all(there(references))
    assert Catalog().versions("etl") == [3]


def test_entries_that_are_not_trusted_push_out_no_version(monkeypatch):
    key = keyring.create("release")
    signed = [
        flowhold.register(
            flowhold.flow(lambda number=number: number, name="etl"), storage=Local(), sign="release"
        )
        for number in range(2)
    ]
    register(3)
    keyring.trust(key)
    assert Catalog().prune("etl", 2) == []
    assert all(there(signed))
    assert [each.version for each in Catalog().prune("etl", 1)] == [1]
    assert Catalog().versions("etl") == [2, 3, 4, 5]
