"""Versions of references by name: none lost, none overwritten, all found again."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flowhold import Catalog, ObjectInfo, ObjectStore, Reference
from flowhold.catalog import split_name
from flowhold.errors import (
    ConfigurationError,
    FlowNotFoundError,
    ObjectExistsError,
    SerializationError,
    StorageError,
)

NAMES = ["a/b", "a%2Fb", "100%", ".", "..", "...", "etl.v1", "etl", "été 漢 \U0001f600", " ", "a@3"]
NAMES += ["a\\b", "a:b*?", "-", "~", "a\nb", ".flowhold-tmp", "x" * 255]


@pytest.fixture
def catalog(tmp_path):
    return Catalog(tmp_path / "catalog")


def reference(flow="etl", **fields):
    return Reference(flow, {"type": "local", "options": {}}, "somewhere", "pickle", **fields)


def entry(catalog, name, version):
    return catalog.store.root / name / f"{version:010}.json"


def test_versions_count_from_one_and_the_newest_is_the_default(catalog):
    assert catalog.newest("etl") is None
    added = [catalog.add(reference(fingerprint=str(number))) for number in range(12)]
    assert [each.version for each in added] == catalog.versions("etl") == list(range(1, 13))
    assert catalog.get("etl") == catalog.newest("etl") == added[-1]
    assert [catalog.get("etl", number) for number in range(1, 13)] == added


def test_an_entry_is_the_documents_json_at_the_documented_key(catalog):
    catalog.add(reference("a b"))
    text = (catalog.store.root / "a%20b/0000000001.json").read_bytes()
    assert Reference.from_json(text) == catalog.get("a b")
    assert json.loads(text)["version"] == 1


def test_a_hundred_and_sixty_registrations_at_once_get_1_to_160(catalog):
    barrier = Barrier(16)

    def add(number):
        barrier.wait()
        own = Catalog(catalog.url)
        return [own.add(reference(fingerprint=f"{number}-{turn}")) for turn in range(10)]

    with ThreadPoolExecutor(16) as executor:
        added = [each for own in executor.map(add, range(16)) for each in own]
    assert sorted(each.version for each in added) == catalog.versions("etl") == [*range(1, 161)]
    assert all(catalog.get("etl", each.version) == each for each in added)


def test_processes_that_register_at_once_lose_nothing(catalog):
    code = f"""
import sys
from flowhold import Catalog, ObjectInfo, ObjectStore, Reference
sys.stdin.readline()
for turn in range(10):
    Catalog({catalog.url!r}).add(Reference("etl", {{"type": "local"}}, sys.argv[1], "pickle"))
"""
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(number)], stdin=subprocess.PIPE)
        for number in range(3)
    ]
    for process in running:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert catalog.versions("etl") == list(range(1, 31))
    by = [catalog.get("etl", version).location for version in range(1, 31)]
    assert {number: by.count(number) for number in by} == {"0": 10, "1": 10, "2": 10}


def test_flows_of_any_name_are_kept_apart(catalog):
    for name in NAMES:
        catalog.add(reference(name))
    for name in NAMES:
        assert catalog.get(name).flow == name
        assert catalog.versions(name) == [1]
    assert sorted(catalog.names()) == sorted(NAMES)
    assert all(path.parent == catalog.store.root for path in catalog.store.root.iterdir())


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=40))
@example("\ud800")
def test_a_name_is_found_again_or_refused_at_once(tmp_path_factory, name):
    catalog = Catalog(tmp_path_factory.mktemp("catalog"))
    try:
        catalog.add(reference(name))
    except ConfigurationError:
        assert list(catalog.names()) == []
        assert not name or "\ud800" <= max(name) <= "\udfff" or len(urllib.parse.quote(name)) > 200
        return
    assert catalog.get(name).flow == name
    assert list(catalog.entries()) == [(name, 1)]


@pytest.mark.parametrize("name", ["", "x" * 256, "é" * 43, "\ud800"])
def test_a_name_that_cannot_be_kept_is_refused_with_the_limit(catalog, name):
    for use in (catalog.get, catalog.versions, lambda name: catalog.add(reference(name))):
        with pytest.raises(ConfigurationError, match="cannot be in a catalog") as caught:
            use(name)
        assert "255" in caught.value.hint


def test_many_flows_are_listed_in_byte_order_of_their_keys_with_their_newest(catalog):
    names = [f"flow {number}{mark}" for number in range(12) for mark in ("", ".", "-b", "é", "A")]
    for name in names:
        catalog.add(reference(name))
    catalog.add(reference("flow 3"))
    expected = sorted(
        names, key=lambda name: urllib.parse.quote(name, safe="").replace(".", "%2E") + "/"
    )
    assert list(catalog.names()) == expected
    assert dict(catalog.entries()) == {name: 2 if name == "flow 3" else 1 for name in names}


def test_a_name_that_begins_as_another_does_not_mix_with_it(catalog):
    for name in ("etl", "etl-2", "etl2", "et"):
        catalog.add(reference(name))
    assert catalog.versions("etl") == [1]
    assert catalog.versions("e") == []


@pytest.mark.parametrize("local", [True, False])
def test_all_flows_are_read_in_order_and_a_damaged_one_does_not_hide_the_others(
    catalog, monkeypatch, local
):
    for name in ("c", "a", "b"):
        catalog.add(reference(name))
        catalog.add(reference(name))
    entry(catalog, "b", 2).write_text("{")
    monkeypatch.setattr(type(catalog.store), "local", local)
    found = list(catalog.references())
    assert [each[:2] for each in found] == [("a", 2), ("b", 2), ("c", 2)]
    assert isinstance(found[1][2], SerializationError)
    assert [found[0][2].flow, found[2][2].flow] == ["a", "c"]


def test_a_known_newest_version_saves_the_list(catalog, monkeypatch):
    catalog.add(reference())
    monkeypatch.setattr(catalog, "_newest", None)
    assert catalog.add(reference(), newest=1).version == 2


def test_a_newest_version_that_is_no_longer_the_newest_does_no_harm(catalog):
    for _ in range(5):
        catalog.add(reference())
    assert catalog.add(reference(), newest=2).version == 6


def test_a_store_that_calls_everything_taken_is_not_asked_for_ever(catalog, monkeypatch):
    def put(key, parts, *, if_absent=False):
        raise ObjectExistsError("refused by a policy")

    catalog.add(reference())
    monkeypatch.setattr(catalog.store, "put", put)
    with pytest.raises(StorageError, match="is said to exist, but is not listed"):
        catalog.add(reference())


class Endless(ObjectStore):
    """Lists many flows, made up one by one."""

    from_url = put = open = head = delete = None

    def list(self, prefix="", start_after=None):
        for number in range(50_000):
            for version in (1, 2):
                yield ObjectInfo(f"flow{number:05}/{version:010}.json", 100)


def test_fifty_thousand_flows_are_listed_in_bounded_memory(catalog):
    Endless.__abstractmethods__ = frozenset()
    catalog.store = Endless()
    entries = catalog.entries()
    next(entries)
    tracemalloc.start()
    count = sum(version == 2 for _, version in entries)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 49_999
    assert peak < 100_000


def test_what_is_not_there_is_said_with_what_is(catalog):
    with pytest.raises(FlowNotFoundError, match="'nothing'") as caught:
        catalog.get("nothing")
    assert "flowhold list" in caught.value.hint
    catalog.add(reference())
    catalog.add(reference())
    for version in (3, 0, -1, 10**10):
        with pytest.raises(FlowNotFoundError, match=f"no version {version} .*versions: 1, 2"):
            catalog.get("etl", version)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"schema": "flowhold.reference/1"}'])
def test_a_corrupt_entry_is_named_and_does_not_harm_the_others(catalog, data):
    for _ in range(2):
        catalog.add(reference())
    entry(catalog, "etl", 2).write_bytes(data)
    with pytest.raises(SerializationError, match=r"etl/0000000002\.json is damaged"):
        catalog.get("etl")
    assert catalog.get("etl", 1).version == 1
    assert dict(catalog.entries()) == {"etl": 2}
    assert catalog.add(reference()).version == 3


def test_an_entry_of_a_newer_flowhold_says_to_upgrade(catalog):
    catalog.add(reference())
    path = entry(catalog, "etl", 1)
    path.write_text(path.read_text().replace("reference/1", "reference/2"))
    with pytest.raises(SerializationError, match="reference/2") as caught:
        catalog.get("etl")
    assert caught.value.hint == "upgrade flowhold"


def test_an_entry_that_was_moved_under_another_name_or_number_is_refused(catalog):
    catalog.add(reference("paid-off"))
    other = entry(catalog, "etl", 1)
    other.parent.mkdir()
    text = entry(catalog, "paid-off", 1).read_text()
    other.write_text(text)
    with pytest.raises(SerializationError, match="paid-off@1"):
        catalog.get("etl")
    entry(catalog, "paid-off", 2).write_text(text)
    with pytest.raises(SerializationError, match="paid-off@1"):
        catalog.get("paid-off")


def test_foreign_files_in_a_catalog_are_left_alone(catalog):
    catalog.add(reference())
    for path in (
        "README.md",
        "etl/notes.txt",
        "etl/1.json",
        "etl/0000000009.json.bak",
        "a/b/0000000001.json",
    ):
        target = catalog.store.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("x")
    assert list(catalog.entries()) == [("etl", 1)]
    assert catalog.versions("etl") == [1]


def test_a_file_in_the_place_of_a_flow_is_an_error_and_not_an_endless_search(catalog):
    catalog.store.root.mkdir()
    (catalog.store.root / "etl").write_text("mine")
    with pytest.raises(StorageError, match="etl"):
        catalog.add(reference())
    with pytest.raises(FlowNotFoundError):
        catalog.get("etl", 1)


def test_the_default_catalog_is_in_the_data_directory_or_where_the_setting_says(
    tmp_path, monkeypatch
):
    Catalog().add(reference())
    assert (tmp_path / "flowhold/data/catalog/etl/0000000001.json").is_file()
    monkeypatch.setenv("FLOWHOLD_CATALOG", (tmp_path / "team catalog").as_uri())
    assert list(Catalog().names()) == []
    Catalog().add(reference())
    assert (tmp_path / "team catalog/etl/0000000001.json").is_file()


@given(st.text(max_size=20), st.integers(1, 10**10 - 1))
def test_a_name_and_a_version_are_split_at_the_last_at_sign(name, version):
    if name:
        assert split_name(f"{name}@{version}") == (name, version)
    if "@" not in name:
        assert split_name(name) == (name, None)


@pytest.mark.parametrize(
    "text",
    [
        "a@",
        "a@0",
        "a@-1",
        "a@1.0",
        "a@x",
        "@1",
        "@",
        "a@²",
        "a@٣",
        "a@ 1",
        "a@1 ",
        "a@" + "9" * 11,
        "a@" + "9" * 5000,
    ],
)
def test_what_is_no_version_is_refused(text):
    with pytest.raises(ConfigurationError, match="NAME@VERSION") as caught:
        split_name(text)
    assert caught.value.hint


def test_an_entry_that_is_too_large_is_neither_added_nor_read(catalog, monkeypatch):
    catalog.add(reference())
    monkeypatch.setattr("flowhold.catalog._LARGEST", 100)
    with pytest.raises(SerializationError, match="takes more than 100 bytes"):
        catalog.add(reference())
    assert catalog.versions("etl") == [1]
    with pytest.raises(SerializationError, match="is too large"):
        catalog.get("etl", 1)
