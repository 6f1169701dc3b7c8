"""The document that finds a flow again: read strictly, written whole, kept as it was signed."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from dataclasses import replace
from datetime import datetime
from importlib.resources import files

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowhold import Flow, Reference, register
from flowhold.errors import FlowholdError, PluginNotFoundError, SerializationError
from flowhold.reference import KINDS, SCHEMA
from flowhold.storage import Bytes, Local

SCHEMA_FILE = json.loads(files("flowhold").joinpath("reference.schema.json").read_bytes())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA_FILE)
DOCUMENT = {
    "schema": SCHEMA,
    "flow": "etl",
    "version": 3,
    "storage": {"type": "local", "labels": ["b"], "default_labels": ["a"], "secrets": ["TOKEN"]},
    "location": "etl/2026",
    "kind": "pickle",
    "sha256": "0" * 64,
    "size": 10,
    "revision": None,
    "fingerprint": "f",
    "environment": {"python": "3.11.7", "packages": {"flowhold": "0.1.0"}},
    "created": "2026-11-20T19:09:24+00:00",
}

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
REFERENCES = st.builds(
    Reference,
    flow=TEXT.filter(bool),
    storage=st.dictionaries(TEXT.map("x{}".format), JSON, max_size=3).map(
        lambda options: {"type": "local", **options}
    ),
    location=TEXT,
    kind=st.sampled_from(KINDS),
    version=st.none() | st.integers(1, 10**10),
    sha256=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    size=st.none() | st.integers(0, 2**62 - 1),
    revision=st.none() | TEXT,
    fingerprint=st.none() | TEXT,
    environment=st.dictionaries(TEXT.map("x{}".format), JSON, max_size=2),
    extra=st.dictionaries(TEXT.map("x-{}".format), JSON, max_size=3),
)


def changed(**fields):
    return json.dumps({**DOCUMENT, **fields})


@settings(max_examples=100, deadline=None)
@given(REFERENCES)
def test_a_reference_survives_its_json_whole(reference):
    for text in (reference.to_json(), reference.to_json().encode()):
        assert Reference.from_json(text) == reference
        assert Reference.from_json(text).extra == reference.extra
    assert Reference.from_json(reference.to_json()).to_json() == reference.to_json()
    assert Reference.from_dict(reference.to_dict()) == reference
    VALIDATOR.validate(json.loads(reference.to_json()))


@pytest.mark.parametrize("make", [lambda _: Bytes(), lambda path: Local(path / "flows")])
def test_what_registering_writes_is_valid_by_the_shipped_schema(tmp_path, make):
    flow = Flow("etl", storage=make(tmp_path))
    reference = register(flow)
    VALIDATOR.validate(json.loads(reference.to_json()))
    only_of_signed_ones = {"signed"}
    assert set(reference.to_dict()) == set(SCHEMA_FILE["properties"]) - only_of_signed_ones
    assert Reference.from_json(reference.to_json()) == reference


def test_the_schema_itself_is_valid_and_agrees_with_the_code():
    VALIDATOR.check_schema(SCHEMA_FILE)
    VALIDATOR.validate(DOCUMENT)
    assert SCHEMA_FILE["properties"]["kind"]["enum"] == list(KINDS)
    assert SCHEMA_FILE["properties"]["schema"]["const"] == SCHEMA


WRONG = {
    "schema": ["", 1, None],
    "flow": [None, 1, ["etl"]],
    "version": ["3", True, 1.5, [3]],
    "storage": [None, "local", ["local"], 1],
    "location": [None, 1, {}],
    "kind": [None, "zip", 1, ""],
    "sha256": [1, "", "0" * 63, "0" * 65, "A" * 64, "../../etc/passwd", "0" * 64 + "\n"],
    "size": ["10", True, 1.5],
    "revision": [1, []],
    "fingerprint": [1, {}],
    "environment": ["3.11", [], 1],
    "created": [None, 1],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in WRONG.items() for v in values])
def test_a_field_of_the_wrong_type_is_named(name, value):
    with pytest.raises(SerializationError, match=name) as caught:
        Reference.from_json(changed(**{name: value}))
    assert "\n" not in str(caught.value)
    assert not VALIDATOR.is_valid({**DOCUMENT, name: value})


@pytest.mark.parametrize("name", ["schema", "flow", "storage", "location", "kind", "created"])
def test_a_field_that_is_missing_is_named(name):
    document = {key: value for key, value in DOCUMENT.items() if key != name}
    with pytest.raises(SerializationError, match=name):
        Reference.from_json(json.dumps(document))
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("name", ["labels", "default_labels", "secrets"])
@pytest.mark.parametrize("value", ["abc", 5, [1], ["a", None], {"a": 1}])
def test_names_in_the_storage_are_lists_of_strings(name, value):
    storage = {**DOCUMENT["storage"], name: value}
    with pytest.raises(SerializationError, match=name):
        Reference.from_json(changed(storage=storage))
    assert not VALIDATOR.is_valid({**DOCUMENT, "storage": storage})


def test_optional_fields_may_be_missing():
    required = ("schema", "flow", "storage", "location", "kind", "created")
    reference = Reference.from_dict({name: DOCUMENT[name] for name in required})
    assert (reference.version, reference.sha256, reference.environment) == (None, None, {})
    VALIDATOR.validate(reference.to_dict())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        "",
        "{",
        "null",
        "[]",
        '"etl"',
        "{}",
        b"\xff\xfe",
        "[" * 100_000,
        b"\x80\x05.",
        "9" * 5000,
    ],
)
def test_what_is_no_reference_is_refused_in_our_words(text):
    with pytest.raises(SerializationError, match="not a reference"):
        Reference.from_json(text)


@settings(max_examples=150, deadline=None)
@given(JSON | st.sampled_from(list(DOCUMENT)).flatmap(
    lambda name: JSON.map(lambda value: {**DOCUMENT, name: value})
))  # fmt: skip
def test_any_document_is_refused_in_our_words_or_can_be_shown(document):
    try:
        reference = Reference.from_json(json.dumps(document))
    except SerializationError:
        return
    assert isinstance(reference.labels, list)
    assert json.loads(reference.to_json())["flow"] == reference.flow
    hash(reference)


def test_a_newer_schema_says_to_upgrade():
    with pytest.raises(SerializationError, match=r"flowhold\.reference/2") as caught:
        Reference.from_json(changed(schema="flowhold.reference/2", location={"new": "shape"}))
    assert caught.value.hint == "upgrade flowhold"


def test_fields_of_a_newer_flowhold_are_kept():
    extra = {"provenance": {"by": "ci", "n": [1, None]}, "extra": 1}
    reference = Reference.from_json(changed(**extra))
    again = json.loads(replace(reference, version=4).to_json())
    assert {name: again[name] for name in extra} == extra
    assert again["version"] == 4


def test_pinned_means_a_digest_or_a_revision():
    reference = Reference.from_dict(DOCUMENT)
    assert reference.pinned
    assert replace(reference, sha256=None, revision="c0ffee", kind="script").pinned
    assert not replace(reference, sha256=None).pinned
    # Nothing checks the digest of an installed module.
    assert not replace(reference, kind="module").pinned


def test_labels_are_the_users_and_the_default_ones_sorted():
    assert Reference.from_dict(DOCUMENT).labels == ["a", "b"]
    assert Reference.from_json(changed(storage={"type": "s3", "labels": None})).labels == []


def test_references_can_be_compared_hashed_copied_and_pickled():
    reference = Reference.from_dict(DOCUMENT)
    for twin in (copy.deepcopy(reference), pickle.loads(pickle.dumps(reference))):
        assert {reference, twin} == {reference}
    assert reference != replace(reference, version=4)


def test_a_new_reference_carries_its_time_with_an_offset():
    created = Reference("etl", {}, "x", "pickle").created
    assert datetime.fromisoformat(created).utcoffset() is not None


def signed(payload, /, **changes):
    envelope = {
        "payloadType": "application/vnd.flowhold.reference+json",
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": "k", "sig": "c2ln"}],
    }
    return {**envelope, **changes}


def test_a_signed_reference_keeps_its_envelope_and_payload_to_the_byte():
    payload = ("\n  " + json.dumps(dict(reversed(DOCUMENT.items())), indent=7) + "\n").encode()
    envelope = signed(payload, later="kept")
    reference = Reference.from_json(json.dumps(envelope))
    assert reference == Reference.from_dict(DOCUMENT)
    again = json.loads(reference.to_json())
    assert again == envelope
    assert base64.b64decode(again["payload"]) == payload
    jsonschema.validate(again, {**SCHEMA_FILE["$defs"]["signed"]})
    assert Reference.from_json(reference.to_json()).signed == envelope


@pytest.mark.parametrize(
    "envelope",
    [
        signed(b"{}"),
        signed(b"no json"),
        signed(b"", payload="not base64!"),
        signed(b"", payload=None),
        signed(b"", payload="\u00e9"),
        signed(json.dumps(DOCUMENT).encode(), signatures=None),
        signed(json.dumps(DOCUMENT).encode(), signatures=[1]),
        signed(json.dumps(DOCUMENT).encode(), payloadType="application/vnd.in-toto+json"),
        signed(json.dumps(DOCUMENT).encode(), payloadType=None),
        {"payloadType": "application/vnd.flowhold.reference+json"},
        signed(json.dumps(signed(json.dumps(DOCUMENT).encode())).encode()),
    ],
)
def test_a_malformed_signed_reference_is_refused(envelope):
    with pytest.raises(SerializationError, match="reference"):
        Reference.from_json(json.dumps(envelope))


def test_the_storage_of_an_unknown_plugin_says_what_to_install(core_alone):
    reference = Reference.from_json(changed(storage={"type": "s3", "options": {"bucket": "b"}}))
    with pytest.raises(PluginNotFoundError, match="s3"):
        reference.open_storage()


@pytest.mark.parametrize("flows", [None, "etl", ["etl"], {"etl": None}, {"etl": 5}, {"other": {}}])
def test_odd_records_inside_the_storage_never_escape_as_raw_errors(flows):
    reference = Reference.from_json(changed(storage={"type": "local", "flows": flows}))
    try:
        storage = reference.open_storage()
    except FlowholdError:
        return
    assert storage.flows == {"etl": "etl/2026"}
