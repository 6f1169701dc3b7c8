"""A catalog never hands out an older version as the newest than this machine has seen."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import flowhold
from flowhold import Catalog, Reference, keyring, seen
from flowhold.errors import FlowNotFoundError, IntegrityError, SerializationError, StorageError
from flowhold.filestore import FileStore
from flowhold.registering import register
from flowhold.storage import Bytes

DATA = Path("../flowhold/data")


def reference(name="etl", **fields):
    return Reference(name, {"type": "local", "options": {}}, "x", "pickle", **fields)


def entry(number, name="etl", root=DATA / "catalog"):
    return Path(root) / name / f"{number:010}.json"


@pytest.fixture
def catalog():
    catalog = Catalog()
    for _ in range(3):
        catalog.add(reference())
    return catalog


def test_a_newest_version_that_is_older_than_one_seen_is_refused(catalog):
    entry(3).unlink()
    attempts = [lambda: catalog.get("etl"), lambda: catalog.newest("etl")]
    attempts += [lambda: flowhold.load("etl"), lambda: catalog.add(reference())]
    attempts += [lambda: Catalog().rollback("etl", 1), lambda: Catalog().prune("etl", 1)]
    for attempt in attempts:
        with pytest.raises(IntegrityError, match="had version 3 of 'etl', and its newest is 2 now"):
            attempt()
    assert catalog.versions("etl") == [1, 2]


def test_a_version_behind_the_highest_is_not_added_out_of_sight(catalog):
    entry(10**10 - 1).write_text("{}")
    with pytest.raises(StorageError, match="the highest version that there can be"):
        catalog.add(reference())
    assert catalog.versions("etl") == [1, 2, 3, 10**10 - 1]


def test_a_flow_that_is_gone_altogether_is_told_too(catalog):
    shutil.rmtree(DATA / "catalog")
    for attempt in (catalog.get, catalog.newest):
        with pytest.raises(IntegrityError, match="had version 3 of 'etl', and it has none now"):
            attempt("etl")
    assert catalog.newest("other") is None
    with pytest.raises(FlowNotFoundError):
        catalog.get("other")


def test_an_older_version_is_had_by_its_number(catalog):
    entry(3).unlink()
    assert catalog.get("etl", 2).version == 2
    with pytest.raises(IntegrityError):
        catalog.get("etl")


def test_the_error_says_what_to_do_where_it_was_on_purpose(catalog):
    shutil.rmtree(DATA / "catalog")
    with pytest.raises(IntegrityError) as caught:
        catalog.add(reference())
    shutil.rmtree(caught.value.hint.rpartition("remove ")[2])
    assert catalog.add(reference()).version == 1


@pytest.mark.parametrize("look", [lambda: Catalog().get("etl"), lambda: Catalog().get("etl", 3)])
def test_what_was_only_read_counts_as_seen(catalog, look):
    shutil.rmtree(DATA / "seen")
    look()
    entry(3).unlink()
    with pytest.raises(IntegrityError):
        catalog.get("etl")


def test_a_list_shows_the_flow_with_the_error(catalog):
    catalog.add(reference("other"))
    entry(3).unlink()
    found = {name: (number, result) for name, number, result in catalog.references()}
    assert isinstance(found["etl"][1], IntegrityError)
    assert found["other"][1].version == 1


def test_a_version_that_is_added_while_flows_are_listed_is_no_reason_to_complain(
    catalog, monkeypatch
):
    stale = [*catalog.entries()]
    catalog.add(reference())
    monkeypatch.setattr(catalog, "entries", lambda: iter(stale))
    ((_, _, found),) = catalog.references()
    assert found.version == 4


def test_a_version_that_is_added_while_the_newest_is_looked_for_is_no_reason_to_complain(
    catalog, monkeypatch
):
    listed = catalog.store.list

    def slow(prefix):
        found = [*listed(prefix)]
        monkeypatch.delattr(catalog.store, "list")
        Catalog().add(reference())
        return found

    monkeypatch.setattr(catalog.store, "list", slow)
    assert catalog.get("etl").version == 3
    assert catalog.get("etl").version == 4


def test_a_prune_and_a_rollback_are_no_reason_to_complain(catalog):
    catalog.prune("etl", 1)
    assert catalog.get("etl").version == 3
    assert catalog.rollback("etl", 3).version == 4


def test_each_catalog_and_each_flow_counts_for_itself(catalog):
    assert Catalog("other").newest("etl") is None
    assert Catalog("other").add(reference()).version == 1
    assert catalog.add(reference("etl 2")).version == 1


def test_one_catalog_has_many_names(catalog, tmp_path):
    entry(3).unlink()
    (tmp_path / "link").symlink_to(DATA.resolve() / "catalog")
    path = (DATA / "catalog").resolve()
    for name in (path, f"{path}/", f"file://{path}", DATA / "catalog", tmp_path / "link"):
        with pytest.raises(IntegrityError):
            Catalog(name).get("etl")


@pytest.mark.parametrize("name", ["..", "a/b", "%2E", "été", "a\nb", "x" * 255, " "])
def test_flows_of_any_name_are_remembered(name):
    catalog = Catalog()
    catalog.add(reference(name))
    for info in [*catalog.store.list()]:
        catalog.store.delete(info.key)
    with pytest.raises(IntegrityError):
        catalog.get(name)


def test_the_protection_can_be_switched_off_by_the_user(catalog, monkeypatch):
    entry(3).unlink()
    monkeypatch.setenv("FLOWHOLD_ROLLBACK_PROTECTION", "false")
    assert catalog.get("etl").version == 2
    shutil.rmtree(DATA / "seen")
    assert catalog.add(reference()).version == 3
    assert not (DATA / "seen").exists()


def test_a_project_can_neither_switch_it_off_nor_make_it_forget(catalog):
    entry(3).unlink()
    path = (DATA / "catalog").resolve()
    for line in ("rollback_protection = false", "data_dir = 'fresh'"):
        Path("flowhold.toml").write_text(f"catalog = '{path}'\n{line}\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = Catalog()
            with pytest.raises(IntegrityError):
                other.get("etl")


def test_what_is_damaged_or_of_another_flow_is_not_remembered(catalog):
    for text in ("{", catalog.get("etl", 1).to_json()):
        entry(9_999_999_999).write_text(text)
        with pytest.raises(SerializationError):
            catalog.get("etl")
    entry(9_999_999_999).unlink()
    assert catalog.get("etl").version == 3


def test_where_signatures_are_asked_for_only_what_is_trusted_is_remembered():
    keyring.trust(keyring.create("release"))
    flow = flowhold.flow(lambda: 1, name="etl")
    signed = register(flow, storage=Bytes(), sign="release")
    high = 9_999_999_999
    forged = json.loads(base64.b64decode(signed.signed["payload"])) | {"version": high}
    payload = base64.b64encode(json.dumps(forged).encode()).decode()
    for text in (json.dumps(forged), json.dumps({**signed.signed, "payload": payload})):
        entry(high).write_text(text)
        with pytest.raises(flowhold.FlowholdError):
            flowhold.load("etl")
    entry(high).unlink()
    assert flowhold.load("etl").run().result == 1
    register(flow, storage=Bytes(), sign="release", force=True)
    assert flowhold.load("etl")._source.version == 2
    entry(2).unlink()
    with pytest.raises(IntegrityError):
        flowhold.load("etl")


def test_it_costs_no_request(catalog, monkeypatch):
    asked = []
    for name in ("put", "open", "head", "list", "delete", "get"):
        real = getattr(catalog.store, name)

        def spy(*args, _name=name, _real=real, **options):
            asked.append(_name)
            return _real(*args, **options)

        monkeypatch.setattr(catalog.store, name, spy)
    counts = []
    for on in ("true", "false"):
        monkeypatch.setenv("FLOWHOLD_ROLLBACK_PROTECTION", on)
        asked.clear()
        catalog.add(reference())
        catalog.get("etl")
        catalog.get("etl", 1)
        assert len([*catalog.references()]) == 1
        counts.append(list(asked))
    assert counts[0] == counts[1]


def test_only_the_highest_is_kept_whoever_is_first(catalog):
    memory = catalog._seen
    with ThreadPoolExecutor(8) as threads:
        [*threads.map(lambda number: memory.note("etl", number), [*range(1, 200)] * 2)]
    assert memory.newest("etl") == 199
    memory.note("etl", 5)
    assert memory.newest("etl") == 199
    memory.note("etl", 200)
    assert os.listdir(memory.folder / "etl") == ["0000000200"]


@pytest.fixture
def service(monkeypatch):
    """A catalog of some service, which counts what is read of it."""
    monkeypatch.setattr(FileStore, "local", False)
    catalog = Catalog()
    for _ in range(3):
        catalog.add(reference())
    catalog.reads = []
    opened = catalog.store.open
    monkeypatch.setattr(catalog.store, "open", lambda key: catalog.reads.append(key) or opened(key))
    return catalog


def kept(catalog):
    (path,) = (catalog._seen.folder / "etl").iterdir()
    return path


def test_the_newest_entry_of_a_service_is_not_read_again(service, monkeypatch):
    assert service.newest("etl") == service.newest("etl") == service.get("etl", 3)
    assert len(service.reads) == 1
    kept(service).write_bytes(b"")
    assert service.newest("etl") == service.newest("etl")
    assert len(service.reads) == 2
    monkeypatch.setenv("FLOWHOLD_ROLLBACK_PROTECTION", "false")
    assert service.newest("etl").version == 3
    assert len(service.reads) == 3


def test_an_entry_that_was_changed_is_read_again(service):
    entry(3).write_text(replace(service.newest("etl"), size=5).to_json())
    assert service.newest("etl").size == 5


@pytest.mark.parametrize("left", ["", "x\n{}", "{etag}", "{etag}\n", "{etag}\n{half}"])
def test_what_was_kept_of_an_entry_may_be_cut_off(service, left):
    newest = service.get("etl", 3)
    etag, _, whole = kept(service).read_text().partition("\n")
    assert whole
    kept(service).write_text(left.replace("{etag}", etag).replace("{half}", whole[:-5]))
    assert service.newest("etl") == newest
    assert len(service.reads) == 2


def test_a_large_entry_is_not_kept(service):
    service.add(reference(extra={"text": "x" * 70_000}))
    assert kept(service).name == "0000000004"
    assert kept(service).read_bytes() == b""
    assert service.newest("etl").version == 4


def test_of_a_catalog_on_this_machine_nothing_is_kept(catalog):
    assert catalog.newest("etl").version == 3
    assert kept(catalog).read_bytes() == b""


def test_other_processes_remember_for_all(catalog):
    code = """
import sys, flowhold
catalog = flowhold.Catalog()
for _ in range(10):
    catalog.add(flowhold.Reference("etl", {"type": "local"}, "x", "pickle"))
    catalog.get("etl")
    assert catalog.newest("etl")
"""
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert catalog._seen.newest("etl") == 43
    entry(43).unlink()
    with pytest.raises(IntegrityError, match="had version 43"):
        catalog.get("etl")


def test_files_that_are_no_versions_are_passed_over(catalog):
    folder = catalog._seen.folder / "etl"
    for name in ("x", "99", "٣" * 10, "0000000099.tmp"):
        (folder / name).touch()
    assert catalog.get("etl").version == 3


def test_where_it_cannot_be_remembered_a_warning_says_so_once(catalog, monkeypatch):
    shutil.rmtree(DATA / "seen")
    (DATA / "seen").write_text("in the way")
    monkeypatch.setattr(seen, "_warned", set())
    with pytest.warns(UserWarning, match="a catalog that is set back goes unnoticed") as caught:
        added = catalog.add(reference())
    assert added.version == 4
    assert len(caught) == 1
    assert str(DATA.resolve() / "seen") in str(caught[0].message)
    assert catalog.get("etl") == added


def test_a_data_directory_that_is_read_only_is_no_reason_to_fail(catalog, as_anybody):
    code = """
import os, sys, warnings, flowhold
from pathlib import Path
seen = Path(os.environ["FLOWHOLD_DATA_DIR"], "seen")
for folder in (seen, *seen.rglob("*")):
    if folder.is_dir():
        folder.chmod(0o500)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    catalog = flowhold.Catalog()
    for _ in range(2):
        added = catalog.add(flowhold.Reference("etl", {"type": "local"}, "x", "pickle"))
        assert catalog.get("etl") == added
        catalog.add(flowhold.Reference("new", {"type": "local"}, "x", "pickle"))
assert len(caught) <= 2, [str(each.message) for each in caught]
assert all("cannot be kept" in str(each.message) for each in caught) and caught
for folder in (seen, *seen.rglob("*")):
    if folder.is_dir():
        folder.chmod(0o700)
"""
    done = as_anybody("-c", code)
    assert done.returncode == 0, done.stderr


def test_what_was_seen_before_is_not_written_again(catalog):
    (path,) = (catalog._seen.folder / "etl").iterdir()
    before = path.stat()
    for _ in range(3):
        catalog.get("etl")
        catalog.get("etl", 2)
    after = path.stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
