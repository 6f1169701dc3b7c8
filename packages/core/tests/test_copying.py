"""Copies of flows in other storages and catalogs."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

import flowhold
from flowhold import Catalog, plugins
from flowhold.copying import copy_flows
from flowhold.errors import (
    DuplicateFlowError,
    IntegrityError,
    ObjectExistsError,
    StorageError,
)
from flowhold.storage import Bytes, Capability, Local, Memory, Module, ObjectStorage
from flowhold.storage.inline import DictStore

KEPT = {}


class Shelf(ObjectStorage):
    """A third party's storage, with its own name for everything."""

    capabilities = ObjectStorage.capabilities - {Capability.BUNDLE}

    def __init__(self, row="a", **common):
        super().__init__(**common)
        self.row = row

    def open_store(self):
        return DictStore(KEPT.setdefault(self.row, {}))


class Plugin:
    @flowhold.hookimpl
    def flowhold_storages(self):
        return [plugins.StorageInfo("shelf", "a test", f"{__name__}:Shelf")]


@pytest.fixture(autouse=True)
def shelf(monkeypatch):
    import sys
    import types

    home = types.ModuleType("shelf_storage")
    home.Shelf = Shelf
    monkeypatch.setitem(sys.modules, __name__, home)
    plugin = Plugin()
    plugins.register(plugin)
    KEPT.clear()
    yield
    plugins.unregister(plugin)


def etl(number, storage):
    Path("etl.py").write_text(
        f"from flowhold import flow\n@flow\ndef etl():\n    return {number}\n"
    )
    flow = flowhold.flow(lambda: number, name="etl")
    return flowhold.register(flow, storage=storage, force=True)


KINDS = {
    "pickle": {},
    "script": {"local_script_path": "etl.py", "stored_as_script": True},
    "bundle": {"local_script_path": "etl.py", "stored_as_script": True, "include": ["*.py"]},
}


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        (source, target, kind)
        for source, target, kind in product([Local, Bytes, Shelf], [Local, Bytes, Shelf], KINDS)
        if kind != "bundle" or Shelf not in (source, target)
    ],
)
def test_a_copy_has_the_bytes_of_the_original_and_says_where_it_is_from(source, target, kind):
    options = {"directory": "elsewhere"} if target is Local else {}
    original = etl(7, source(labels=["gpu"], secrets=[], **KINDS[kind]))
    (copy,) = copy_flows([original], target(**options), Catalog())
    for field in ("flow", "kind", "sha256", "size", "fingerprint", "environment", "created"):
        assert getattr(copy, field) == getattr(original, field), field
    origin = copy.extra["copied_from"]
    assert (origin["version"], origin["storage"]) == (1, source.__name__.lower())
    assert origin["location"] == original.location
    assert "gpu" in copy.labels
    assert copy.version == 2
    if source is Local:
        Path(original.location).unlink()
    assert Catalog().get("etl") == copy
    assert flowhold.load("etl").run().result == 7


def test_all_versions_are_copied_into_bytes():
    originals = [etl(1, Local()), etl(2, Local())]
    copies = list(copy_flows(originals, Bytes(), Catalog("other")))
    assert [flowhold.load(copy).run().result for copy in copies] == [1, 2]


def test_all_versions_are_copied_in_order_to_another_catalog():
    originals = [
        etl(1, Local()),
        etl(2, Bytes(**KINDS["script"])),
        etl(3, Local(**KINDS["bundle"])),
    ]
    other = Catalog("other")
    copies = list(copy_flows(originals, Local("copies"), other))
    assert [copy.version for copy in copies] == other.versions("etl") == [1, 2, 3]
    assert [copy.sha256 for copy in copies] == [each.sha256 for each in originals]
    assert len({copy.location for copy in copies}) == 3
    assert [flowhold.load(copy).run().result for copy in copies] == [1, 2, 3]
    assert Catalog().versions("etl") == [1, 2, 3]


def test_a_copy_into_bytes_can_be_copied_on_and_each_carries_only_itself():
    originals = [etl(1, Local()), etl(2, Local())]
    first, second = copy_flows(originals, Bytes(), Catalog("other"))
    assert first.storage["objects"] != second.storage["objects"]
    assert [flowhold.load(each).run().result for each in (first, second)] == [1, 2]
    (back,) = copy_flows([first], Local(), Catalog("other"))
    assert back.sha256 == originals[0].sha256


def test_secrets_labels_and_results_of_both_storages_are_kept():
    original = etl(1, Local(labels=["a"], secrets=["ONE"], result=False))
    (copy,) = copy_flows([original], Bytes(labels=["b"], secrets=["TWO"]), Catalog())
    assert copy.storage["labels"] == ["a", "b"]
    assert copy.storage["secrets"] == ["TWO", "ONE"]
    assert copy.storage["result"] is False
    assert copy.storage["default_labels"] == []


def test_what_was_copied_is_unchanged_when_registered_again():
    storage = Bytes()
    flow = flowhold.flow(lambda: 1, name="etl")
    original = flowhold.register(flow, storage=Local(add_default_labels=False))
    (copy,) = copy_flows([original], storage, Catalog())
    again = flowhold.register(flow, storage=Bytes(add_default_labels=True))
    assert again == copy


@pytest.mark.parametrize("kind", ["module", "in place"])
def test_a_floating_flow_cannot_be_copied(kind, tmp_path, monkeypatch):
    Path("etl.py").touch()
    in_place = Local(path="etl.py", stored_as_script=True)
    original = etl(1, in_place if kind == "in place" else Module("json"))
    with pytest.raises(StorageError, match="is floating") as caught:
        list(copy_flows([original], Bytes(), Catalog()))
    assert caught.value.hint
    assert Catalog().versions("etl") == [1]


@pytest.mark.parametrize("target", [Memory(), Module("json")])
def test_a_storage_that_keeps_no_objects_takes_no_copies(target):
    with pytest.raises(StorageError, match="keeps no copies"):
        list(copy_flows([etl(1, Local())], target, Catalog()))


def test_a_storage_that_cannot_keep_the_kind_takes_no_copy():
    with pytest.raises(StorageError, match="Shelf storage keeps no bundle"):
        list(copy_flows([etl(1, Local(**KINDS["bundle"]))], Shelf(), Catalog()))
    assert KEPT == {} or KEPT == {"a": {}}


def test_versions_do_not_overwrite_one_another():
    originals = [etl(1, Local()), etl(2, Local())]
    copies = []
    with pytest.raises(ObjectExistsError):
        copies.extend(copy_flows(originals, Shelf(key="one", overwrite=True), Catalog("other")))
    assert flowhold.load(Catalog("other").get("etl", 1)).run().result == 1


def test_another_object_at_the_key_is_not_replaced():
    etl(1, Local("same", key="one"))
    with pytest.raises(ObjectExistsError):
        list(copy_flows([etl(2, Local())], Local("same", key="one"), Catalog("other")))
    assert Catalog("other").versions("etl") == []


def test_a_storage_with_a_flow_of_that_name_is_not_disturbed():
    storage = Bytes()
    storage.add_flow(flowhold.flow(lambda: 5, name="etl"))
    with pytest.raises(DuplicateFlowError):
        list(copy_flows([etl(1, Local())], storage, Catalog()))
    assert storage.get_flow("etl").run().result == 5


def test_bytes_that_were_changed_are_not_copied():
    original = etl(1, Local())
    Path(original.location).write_bytes(b"other")
    with pytest.raises(IntegrityError):
        list(copy_flows([original], Bytes(), Catalog()))
    assert Catalog().versions("etl") == [1]
