from __future__ import annotations

import base64
import json
import pickle

import pytest

import flowhold
from flowhold.errors import (
    ConfigurationError,
    FlowNotFoundError,
    IntegrityError,
    ObjectExistsError,
    ObjectNotFoundError,
)
from flowhold.storage import Bytes, Memory, Storage
from flowhold.storage.inline import DictStore


def made(storage, *names):
    for name in names:
        assert storage.add_flow(flowhold.Flow(name)) == name
    return storage.build()


def test_memory_gives_back_the_very_flow():
    flow = flowhold.Flow("etl")
    storage = Memory()
    storage.add_flow(flow)
    assert storage.get_flow("etl") is flow
    assert storage.references() == []
    assert storage.verify() == [{"name": "etl", "ok": True, "detail": "etl is in memory"}]


def test_a_serialized_memory_holds_no_flow_and_a_forgotten_one_is_gone():
    storage = made(Memory(labels=["x"]), "etl")
    restored = Storage.deserialize(json.loads(json.dumps(storage.serialize())))
    assert (restored.flows, restored.labels) == ({}, ["x"])
    with pytest.raises(FlowNotFoundError):
        restored.get_flow("etl")
    storage.delete("etl")
    assert "etl" not in storage


def test_flows_in_bytes_survive_a_round_trip_through_json():
    storage = made(Bytes(), "A B", "a-b", "!!!", "x/../y")
    restored = Storage.deserialize(json.loads(json.dumps(storage.serialize())))
    for name in storage.flows:
        assert restored.get_flow(name).name == name
    assert all(check["ok"] for check in restored.verify())


def test_a_reference_carries_the_bytes_of_its_flow_only():
    references = made(Bytes(), "one", "two").references()
    assert [list(reference.storage["objects"]) for reference in references] == [["one"], ["two"]]
    text = references[1].to_json()
    assert flowhold.load(json.loads(text)).name == "two"


def test_bytes_serialized_before_the_build_hold_their_flows():
    storage = Bytes()
    storage.add_flow(flowhold.Flow("etl"))
    assert Storage.deserialize(storage.serialize()).get_flow().name == "etl"
    assert pickle.loads(pickle.dumps(storage)).get_flow().name == "etl"


def test_changed_bytes_are_not_run():
    document = made(Bytes(), "etl").serialize()
    data = bytearray(base64.b64decode(document["objects"]["etl"]))
    data[-1] ^= 1
    document["objects"]["etl"] = base64.b64encode(data).decode()
    restored = Storage.deserialize(document)
    with pytest.raises(IntegrityError):
        restored.get_flow("etl")
    assert restored.verify()[0]["ok"] is False


def test_the_dictionary_store_keeps_the_rules_of_stores():
    store = DictStore({})
    assert store.put("b", [b"1", memoryview(b"2")]).size == 2
    store.put("a/é", b"3")
    with pytest.raises(ObjectExistsError):
        store.put("b", b"other", if_absent=True)
    assert (store.get("b"), [info.key for info in store.list()]) == (b"12", ["a/é", "b"])
    assert [info.key for info in store.list("", start_after="a/é")] == ["b"]
    before = store.head("b").etag
    store.put("b", b"21")
    assert store.head("b").etag != before
    store.delete("b")
    store.delete("b")
    with pytest.raises(ObjectNotFoundError):
        store.open("b")
    with pytest.raises(ConfigurationError):
        DictStore.from_url("dict://x")
