"""Code of stored flows in folders, to be looked at and never run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import flowhold
from flowhold import contents, fetching
from flowhold.errors import (
    ConfigurationError,
    FlowNotFoundError,
    IntegrityError,
    SerializationError,
    SignatureError,
    StorageError,
)
from flowhold.storage import Bytes, Local, Memory, Module

SCRIPT = """
import pathlib
pathlib.Path("ran").touch()
from flowhold import flow

@flow
def etl():
    return 1
"""


@flowhold.flow
def etl():
    return 1


@pytest.fixture
def script():
    path = Path("etl.py")
    path.write_text(SCRIPT)
    Path("towns.csv").write_text("Bern\n")
    return path


def stored(storage):
    return flowhold.register(etl, storage=storage, force=True)


@pytest.fixture(params=["pickle", "script", "bundle", "bytes", "in place", "module"])
def reference(request, script, tmp_path, monkeypatch):
    files = {"local_script_path": "etl.py", "stored_as_script": True}
    if request.param == "module":
        (tmp_path / "etl_module.py").write_text(SCRIPT)
        monkeypatch.syspath_prepend(tmp_path)
    storage = {
        "pickle": lambda: Local(),
        "script": lambda: Local(**files),
        "bundle": lambda: Local(**files, include=["*.csv"]),
        "bytes": lambda: Bytes(**files),
        "in place": lambda: Local(path="etl.py", stored_as_script=True),
        "module": lambda: Module("etl_module"),
    }[request.param]()
    return stored(storage)


def test_a_flow_of_any_kind_is_fetched_with_its_reference_and_nothing_is_run(reference):
    paths = [path.as_posix() for path in fetching.fetch(reference, "out")]
    wanted = {
        ("pickle", "local"): ["flow.pickle"],
        ("script", "local"): ["etl.py"],
        ("script", "bytes"): ["etl.py"],
        ("bundle", "local"): ["etl.py", "towns.csv"],
        ("module", "module"): ["etl_module.py"],
    }[reference.kind, reference.storage["type"]]
    assert paths == sorted([*wanted, "reference.json"])
    assert sorted(path.name for path in Path("out").iterdir()) == paths
    for name in {"etl.py", "etl_module.py"} & set(wanted):
        assert Path("out", name).read_text() == SCRIPT
    text = Path("out/reference.json").read_text()
    assert flowhold.Reference.from_json(text) == reference
    assert not Path("ran").exists()
    assert "etl_module" not in sys.modules


def test_fetched_files_can_be_changed_and_removed(script):
    fetching.fetch(
        stored(Local(local_script_path="etl.py", stored_as_script=True, include=["*.csv"])), "out"
    )
    assert Path("out/towns.csv").stat().st_mode & 0o200
    assert Path("out/etl.py").stat().st_mode & 0o200


def test_an_empty_folder_is_filled_and_stays_itself(monkeypatch):
    reference = stored(Local())
    Path("here").mkdir()
    monkeypatch.chdir("here")
    fetching.fetch(reference, ".")
    assert sorted(path.name for path in Path().iterdir()) == ["flow.pickle", "reference.json"]


def test_missing_parents_are_made():
    fetching.fetch(stored(Local()), "a/b/c")
    assert Path("a/b/c/flow.pickle").is_file()


@pytest.mark.parametrize("there", ["file", "folder"])
def test_what_is_there_already_is_left_alone(there):
    reference = stored(Local())
    if there == "file":
        Path("out").write_text("mine")
    else:
        Path("out").mkdir()
        Path("out/mine").touch()
    with pytest.raises(ConfigurationError, match="is not"):
        fetching.fetch(reference, "out")
    assert Path("out").is_file() or [path.name for path in Path("out").iterdir()] == ["mine"]


@pytest.mark.parametrize("empty", [True, False])
def test_a_fetch_that_fails_leaves_nothing(empty):
    reference = stored(Local())
    Path(reference.location).write_bytes(b"x" * reference.size)
    if empty:
        Path("out").mkdir()
    with pytest.raises(IntegrityError):
        fetching.fetch(reference, "out")
    assert sorted(path.name for path in Path().rglob("*")) == (["out"] if empty else [])


def test_a_place_that_cannot_be_written_to_is_an_error_of_flowhold():
    reference = stored(Local())
    Path("file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        fetching.fetch(reference, "file/out")


def test_an_unsigned_reference_is_not_fetched_where_signatures_are_asked_for(monkeypatch):
    reference = stored(Local())
    monkeypatch.setenv("FLOWHOLD_REQUIRE_SIGNATURE", "true")
    with pytest.raises(SignatureError):
        fetching.fetch(reference, "out")
    assert not Path("out").exists()


def test_files_of_the_flow_with_the_names_of_ours_are_kept():
    Path("etl.py").write_text(SCRIPT)
    for name in ("flow.pickle", "reference.json"):
        Path(name).write_text("mine")
    reference = stored(Local(local_script_path="etl.py", include=["*.pickle", "*.json"]))
    fetching.fetch(reference, "out")
    assert Path("out/flow.pickle").read_text() == "mine"
    assert Path("out/reference.json").read_text() == "mine"
    assert contents.pickle_in(Path("out")).name == "_flow.pickle"
    assert Path("out/_flow.pickle").read_bytes()[:1] == b"\x80"
    assert flowhold.Reference.from_json(Path("out/_reference.json").read_text()) == reference


def test_memory_has_no_code_to_look_at(tmp_path):
    storage = Memory()
    storage.add_flow(etl)
    with pytest.raises(StorageError, match="no code to look at"):
        storage.extract("etl", tmp_path)


def test_a_storage_says_what_it_holds_where_a_flow_is_not_in_it(tmp_path):
    with pytest.raises(FlowNotFoundError, match="not contained"):
        Local().extract("other", tmp_path)


def test_a_module_without_source_cannot_be_looked_at(tmp_path):
    storage = Module("sys")
    storage.add_flow(etl)
    with pytest.raises(FlowNotFoundError, match="no source file"):
        storage.extract("etl", tmp_path)


def test_the_secrets_of_tasks_are_not_needed_to_look_at_code():
    fetching.fetch(stored(Local(secrets=["KEY"])), "out")
    assert Path("out/flow.pickle").is_file()


@pytest.mark.parametrize("kind", ["bundle", "image"])
def test_bytes_that_are_no_bundle_are_refused(tmp_path, kind):
    with pytest.raises(SerializationError):
        contents.extract(b"import os", kind, "etl.py", tmp_path)
