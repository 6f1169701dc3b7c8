"""Whatever a reader is given, it gives a value or an error of Flowhold."""

from __future__ import annotations

import base64
import json
import os
import pickle
import shutil
import string

import pytest
import zstandard
from hostile_values import document, leaves, mutated, texts, values, words
from hypothesis import strategies as st

from flowhold import settings
from flowhold.bundles import read_entries, unpack
from flowhold.catalog import Catalog, split_name
from flowhold.cli.storage_options import parse_options
from flowhold.envelope import open_envelope, seal
from flowhold.errors import ConfigurationError, FlowholdError
from flowhold.filestore import FileStore
from flowhold.loading import find_reference
from flowhold.reference import Reference
from flowhold.results import Result
from flowhold.serializers import get_serializer
from flowhold.storage import Local
from flowhold.store import check_key, open_store
from flowhold.unpacking import flow_from_bytes, kind_of

GOOD = [
    {"path": "etl.py", "size": 3, "sha256": "0" * 64},
    {"path": "a/b", "size": 0, "sha256": "0"},
]


def test_envelopes(fuzz):
    good = seal({"kind": "pickle", "pickle": 3, "files": GOOD}) + b"N..more"
    head = document({"kind": "bundle", "files": GOOD, "script": "etl.py", "pickle": 0})
    sealed = head.map(lambda header: seal(header) + b"body")

    def read(data):
        envelope = open_envelope(data)
        assert envelope.kind in ("pickle", "bundle")
        head = 14 + int.from_bytes(data[10:14], "big")
        assert len(envelope.pickle) + len(envelope.files) == len(data) - head

    fuzz(st.binary(max_size=99) | mutated(good) | sealed, reader=read)


def test_headers_and_frames_of_bundles(fuzz, tmp_path):
    frame = zstandard.compress(b"abc")
    files = st.lists(document(GOOD[0]) | values, max_size=4) | values
    bodies = st.binary(max_size=30) | mutated(frame) | st.just(frame)
    folder = tmp_path / "unpacked"

    def read(header, body):
        data = seal({"kind": "bundle", "script": "etl.py", "files": header}) + body
        envelope = open_envelope(data)
        entries = read_entries(envelope.header["files"])
        folder.mkdir()
        try:
            unpack(envelope.files, entries, folder)
        finally:
            shutil.rmtree(folder)

    fuzz(files, bodies, reader=read)


def test_objects_of_any_kind(fuzz):
    good = seal({"kind": "bundle", "files": GOOD, "script": "etl.py"}) + zstandard.compress(b"abc")
    kinds = st.sampled_from(["bundle", "image", "module", ""]) | texts.filter(
        lambda kind: kind not in ("pickle", "script")
    )

    def read(data, kind):
        kind_of(data)
        flow_from_bytes(data, kind)

    fuzz(st.binary(max_size=99) | mutated(good), kinds, reader=read)


def test_references(fuzz):
    known = json.loads(
        Reference("etl", {"type": "memory", "options": {}, "flows": {}}, "etl", "pickle").to_json()
    )
    signed = {
        "payloadType": "application/vnd.flowhold.reference+json",
        "payload": base64.b64encode(json.dumps(known).encode()).decode(),
        "signatures": [{"keyid": "", "sig": ""}],
    }
    documents = (document(known) | document(signed) | values).map(json.dumps)
    raw = mutated(json.dumps(known).encode()) | mutated(json.dumps(signed).encode())

    def read(text):
        reference = Reference.from_json(text)
        assert Reference.from_json(reference.to_json()) == reference
        hash(reference)
        assert isinstance(reference.labels, list)
        reference.open_storage().references()

    fuzz(documents | raw | st.binary(max_size=60) | texts, reader=read)


def test_settings(fuzz, home):
    names = st.sampled_from(list(settings.Settings.__dataclass_fields__)) | texts
    plain = st.booleans() | st.integers() | texts | st.lists(texts, max_size=2)
    lines = st.lists(st.tuples(names, plain), max_size=3).map(
        lambda pairs: "\n".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in pairs)
    )
    raw = texts | lines | st.text(string.printable, max_size=60)
    config = home / "config" / "config.toml"

    def read(text, data):
        config.unlink(missing_ok=True)
        config.write_bytes(text.encode(errors="surrogatepass") + data)
        settings.current()

    fuzz(raw, st.binary(max_size=2) | st.just(b""), reader=read)


def test_settings_in_the_environment(fuzz, monkeypatch):
    names = st.sampled_from(
        [name for name in settings.Settings.__dataclass_fields__ if not name.endswith("_dir")]
    )
    usable = (texts | words).filter(lambda text: "\0" not in text).filter(_encodable)

    def read(name, text):
        with monkeypatch.context() as patch:
            patch.setenv(f"FLOWHOLD_{name.upper()}", text)
            settings.current()

    fuzz(names, usable, reader=read)


def _encodable(text):
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


schemes = st.sampled_from(["file://", "file:///", "file:", "s3://", "FILE:///", "://", "gs://", ""])


def test_addresses_of_stores_and_catalogs(fuzz, tmp_path):
    below = st.tuples(schemes, st.sampled_from([f"{tmp_path}/", ""]), texts | words)

    def read(parts):
        url = "".join(parts)
        # Listed is only what is relative to the test's folder, or below it.
        at_root = parts[0].lower() == "file:///" and not parts[1]
        if not at_root and "/" not in parts[2] and ".." not in parts[2]:
            for name in Catalog(url).names():
                assert isinstance(name, str)
        open_store(url)

    fuzz(below, reader=read)


def test_names_and_versions(fuzz):
    versions = st.sampled_from(
        ["", "0", "1", "007", "-1", "1.0", "²", "٣", "9" * 11, "9" * 5_000, " 1"]
    )
    named = st.tuples(texts | words, versions | texts).map("@".join)
    catalog = Catalog()

    def read(text):
        name, version = split_name(text)
        assert version is None or version > 0
        catalog.get(name, version)

    fuzz(named | texts, reader=read)


def test_what_load_is_given(fuzz):
    fuzz(
        texts | words | values | document({"schema": "flowhold.reference/1"}), reader=find_reference
    )


def test_keys(fuzz, tmp_path):
    store = FileStore(tmp_path / "store")
    keys = texts | words | st.lists(words | texts, max_size=5).map("/".join)

    def read(key):
        check_key(key)
        store.put(key, b"x")
        assert store.get(key) == b"x"
        assert [info.key for info in store.list(key)] == [key]
        store.delete(key)

    fuzz(keys, reader=read)
    assert {path.name for path in tmp_path.iterdir()} <= {"store", "flowhold", "home", "work"}


def test_prefixes_of_lists(fuzz, tmp_path):
    store = FileStore(tmp_path / "store")
    keys = ["a/b", "a/b.c", "ab", "b/c/d"]
    for key in keys:
        store.put(key, b"")

    def read(prefix, after):
        listed = [info.key for info in store.list(prefix, after)]
        assert listed == [key for key in keys if key.startswith(prefix) and key > (after or "")]

    near = st.sampled_from(["a", "a/", "a/b", "a/b.", "b/c", "/", "a//", "../", ""]) | texts
    fuzz(near, st.none() | near, reader=read)


def test_options_of_the_command_line(fuzz):
    names = st.sampled_from(
        ["directory", "validate", "include", "labels", "secrets", "key", "overwrite"]
    )
    given_options = st.lists(
        st.tuples(names | texts, texts | words).map("=".join) | texts, max_size=4
    )
    fuzz(given_options, reader=lambda options: parse_options("local", Local, options))


def test_pickles_of_prefect_1(fuzz, tmp_path):
    # Only pickles of plain values: what is unpickled is trusted, and can do anything.
    bodies = leaves.map(
        lambda value: base64.b64encode(pickle.dumps(value)).decode()
    ) | texts.filter(lambda text: not _is_base64(text))
    good = document(
        {"flow": "", "versions": {"python": "3.8", "prefect": "1.4.1", "cloudpickle": "2"}}
    )
    documents = st.tuples(good | values, bodies).map(
        lambda pair: {**pair[0], "flow": pair[1]} if isinstance(pair[0], dict) else pair[0]
    )
    path = tmp_path / "flows" / "stored"
    path.parent.mkdir()
    storage = Local(path.parent)

    def read(fields):
        path.write_text(json.dumps(fields))
        with pytest.raises(FlowholdError):
            storage.get_flow(str(path))
        storage.get_flow(str(path), allow_unverified=kind_of(path.read_bytes()) == "pickle")

    fuzz(documents, reader=read)


def _is_base64(text):
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def test_results(fuzz):
    def read(fields):
        result = Result.deserialize(fields)
        result.format(flow="etl", task="t", run_id="1")

    fuzz(
        document({"url": None, "location": "{flow}", "serializer": "json", "options": {}}),
        reader=read,
    )


def test_locations_of_results(fuzz, tmp_path):
    templates = st.text("{}!:.[]%/aflow<0dn ", max_size=12) | texts
    fuzz(
        templates, texts, reader=lambda template, name: Result(location=template).format(flow=name)
    )


@pytest.mark.parametrize("name", ["json", "json+zstd", "json+gzip"])
def test_bytes_of_results(fuzz, name):
    serializer = get_serializer(name)
    good = serializer.dumps({"a": [1, 2.5, "text"]})
    fuzz(st.binary(max_size=40) | mutated(good), reader=serializer.loads)


def test_the_fuzzer_would_notice(fuzz):
    def read(text):
        raise ConfigurationError(text) if len(text) < 3 else KeyError(text)

    with pytest.raises(KeyError):
        fuzz(texts, reader=read, counted=False)
