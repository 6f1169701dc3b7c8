from __future__ import annotations

import json
import string
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowhold
from flowhold import plugins
from flowhold.errors import (
    ConfigurationError,
    DuplicateFlowError,
    FlowholdError,
    FlowNotFoundError,
    SecretNotFoundError,
)
from flowhold.storage import Bytes, Capability, Local, Memory, Module, Storage
from flowhold.storage.documents import option_parameters
from flowhold.storage.records import Record

text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
names = st.lists(text, max_size=3)
results = st.none() | st.booleans()
results |= st.builds(
    flowhold.Result,
    url=st.none() | st.just("file:///srv/results"),
    location=st.sampled_from(["{flow}/{task}/{run_id}", "x/{task}"]),
    serializer=st.sampled_from(["pickle", "json", "json+zstd", "pickle+gzip"]),
)
results |= st.builds(flowhold.LocalResult, dir=st.none() | st.just("/srv/results"))
common = {
    "result": results,
    "secrets": st.none() | names,
    "labels": st.none() | names,
    "add_default_labels": st.none() | st.booleans(),
}
packed = {
    "include": st.none() | names,
    "pickle_modules": st.none() | names,
    "overwrite": st.booleans(),
    "stored_as_script": st.booleans(),
}
digest = st.text("0123456789abcdef", min_size=64, max_size=64)
records = st.builds(
    Record,
    location=text,
    kind=st.sampled_from(["pickle", "script", "bundle", "module"]),
    sha256=st.none() | digest,
    size=st.none() | st.integers(1),
    revision=st.none() | text,
    attribute=st.none() | text,
    environment=st.just({}) | st.just({"python": "3.12.1", "packages": {"pandas": "2.2"}}),
    fingerprint=st.none() | digest,
)
storages = {
    Memory: st.builds(Memory, **common),
    Bytes: st.builds(Bytes, **common, **packed, key=st.none() | text),
    Module: st.builds(
        Module, st.text(string.ascii_lowercase, min_size=1) | st.just("a.b:make"), **common
    ),
    Local: st.builds(
        Local,
        directory=st.none() | text,
        validate=st.booleans(),
        path=st.none() | text,
        **common,
        **packed,
    )
    | st.builds(Local, key=text, **common, **packed),
}


@pytest.mark.parametrize("cls", storages)
@given(data=st.data())
def test_every_option_survives_json_also_on_another_host(cls, data):
    storage = data.draw(storages[cls])
    flows = {} if cls is Memory else data.draw(st.dictionaries(text, records, max_size=3))
    storage._records = flows
    if cls is Bytes:
        storage._objects = {name: data.draw(st.binary()) for name in flows}
    document = json.loads(json.dumps(storage.serialize()))
    labels, default_labels = storage.labels, storage.default_labels
    with mock.patch("socket.gethostname", return_value="elsewhere"):
        restored = Storage.deserialize(document)
        assert type(restored) is cls
        assert restored.serialize() == document
        assert restored.labels == labels
        if storage.add_default_labels:
            assert restored.default_labels == default_labels
    for name in option_parameters(cls).keys() - cls.not_serialized - {"result", "labels"}:
        assert getattr(restored, name) == getattr(storage, name), name
    assert (restored.flows, restored._records) == (storage.flows, flows)
    assert (restored.result is None) == (storage.result is None)
    assert restored.result == storage.result
    if cls is Bytes:
        assert restored._objects == storage._objects


def test_secrets_are_resolved_before_loading_and_written_only_by_name(monkeypatch):
    storage = Bytes(secrets=["TOKEN_A"])
    storage.add_flow(flowhold.Flow("etl"))
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN_A", "hunter2")
    storage.get_flow("etl")
    assert "hunter2" not in json.dumps(storage.serialize()) + repr(storage)
    monkeypatch.delenv("FLOWHOLD_SECRET_TOKEN_A")
    with pytest.raises(SecretNotFoundError, match="TOKEN_A"):
        storage.get_flow("etl")


@pytest.mark.parametrize("make", [Memory, Bytes, Local, lambda **o: Module("json", **o)])
def test_names_decide_what_a_storage_contains(make):
    storage = make()
    storage.add_flow(flowhold.Flow("a"))
    assert "a" in storage
    assert "b" not in storage
    assert 5 not in storage
    text = 'Name conflict: Flow with the name "a" is already present in this storage.'
    with pytest.raises(DuplicateFlowError) as caught:
        storage.add_flow(flowhold.Flow("a"))
    assert str(caught.value) == text
    assert isinstance(caught.value, ValueError)
    with pytest.raises(FlowNotFoundError, match=r"'b' is not contained .*'a'") as caught:
        storage.get_flow("b")
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("make", [Memory, Bytes, Local])
def test_the_only_flow_needs_no_name_and_its_location_finds_it(make):
    storage = make()
    with pytest.raises(FlowNotFoundError, match="holds: none"):
        storage.get_flow()
    location = storage.add_flow(flowhold.Flow("a"))
    storage.build()
    assert storage.get_flow().name == storage.get_flow(location).name == "a"
    storage.add_flow(flowhold.Flow("b"))
    with pytest.raises(FlowNotFoundError, match=r"which flow.* 'a', 'b'"):
        storage.get_flow()


def test_labels_are_sorted_once_each_and_an_opt_out_holds():
    storage = Local(labels=["z", "a", "z"])
    host = storage.default_labels
    assert storage.labels == sorted({"a", "z", *host})
    assert Local(labels={"b"}, add_default_labels=False).labels == ["b"]
    assert Local(labels="one").labels == sorted(["one", *host])


def test_the_setting_decides_on_default_labels(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_ADD_DEFAULT_LABELS", "false")
    assert Local().labels == []
    assert Local(add_default_labels=True).labels == Local().default_labels


@pytest.mark.parametrize(
    "option",
    [{"labels": [1]}, {"secrets": [""]}, {"labels": [None]}, {"secrets": ""}, {"labels": ""}],
)
def test_labels_and_secrets_are_names(option):
    with pytest.raises(ConfigurationError, match=f"{next(iter(option))} must be names"):
        Memory(**option)


@pytest.mark.parametrize("option", [{"include": [Path()]}, {"overwrite": 10**5000}])
def test_an_option_that_is_not_json_is_named_when_serializing_and_not_before(tmp_path, option):
    storage = Local(tmp_path, **option)
    with pytest.raises(ConfigurationError, match=f"option {next(iter(option))} of Local storage"):
        storage.serialize()


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({}, "not a serialized storage"),
        (None, "not a serialized storage"),
        ({"type": "local", "options": {"future": 1}}, "Local storage here does not know: future"),
        ({"type": "local", "flows": {"a": {"bad": 1}}}, "not a serialized storage"),
        ({"type": "local", "flows": 3}, "not a serialized storage"),
        ({"type": "local", "default_labels": 3}, "not a serialized storage"),
        ({"type": "local", "labels": 3}, "cannot be made"),
        ({"type": "module"}, "Module storage cannot be made"),
        ({"type": "bytes", "objects": {"a": "!"}}, "are damaged"),
        ({"type": "local", "options": {"directory": 3}}, "cannot be made"),
    ],
)
def test_a_malformed_document_is_a_clear_error(document, problem):
    with pytest.raises(ConfigurationError, match=problem):
        Storage.deserialize(document)


def test_a_storage_of_an_unknown_type_tells_what_to_install(core_alone):
    with pytest.raises(plugins.PluginNotFoundError) as caught:
        Storage.deserialize({"type": "s3"})
    assert "flowhold[s3]" in f"{caught.value} {caught.value.hint}"


class Own(Storage):
    """The least that a storage has to be."""

    capabilities = frozenset({Capability.PICKLE})

    def __init__(self, place="here", *, token=None, **common):
        super().__init__(**common)
        self.place = place
        self.token = token

    not_serialized = frozenset({"token"})
    shown = ("place",)

    def _add(self, flow):
        return Record(flow.name, "pickle")

    def _load(self, name, record, *, allow_unverified):
        return FLOW


FLOW = flowhold.Flow("a")


def test_a_storage_of_another_making_gets_options_labels_and_results():
    storage = Own("there", token="hunter2", labels=["x"], result=flowhold.LocalResult())
    storage.add_flow(FLOW)
    assert storage.serialize()["options"] == {"place": "there"}
    assert repr(storage) == "<Storage: Own place='there'>"
    assert storage.get_flow().result == flowhold.LocalResult()


def test_the_result_of_one_storage_does_not_reach_a_flow_that_another_loads_too():
    storages = [Own(result=flowhold.LocalResult(dir=name)) for name in ("/one", "/two")]
    for storage in storages:
        storage.add_flow(FLOW)
    found = [storage.get_flow().result for storage in storages]
    assert found == [flowhold.LocalResult(dir="/one"), flowhold.LocalResult(dir="/two")]
    assert FLOW.result is None
    nowhere = Own(result=False)
    nowhere.add_flow(FLOW)
    assert nowhere.get_flow().result is None


@pytest.mark.parametrize("options", [[[None, None]], [["key", "etl", "more"]], {"key": 5}, "key"])
def test_options_that_are_none_are_an_error_of_flowhold(options):
    with pytest.raises(FlowholdError):
        Storage.deserialize({**Local().serialize(), "options": options}).get_flow("etl")
