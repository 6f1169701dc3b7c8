from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import flowhold
from flowhold import cache, plugins, settings
from flowhold.errors import (
    ConfigurationError,
    FlowNotFoundError,
    IntegrityError,
    SerializationError,
)
from flowhold.loading import is_path
from flowhold.manifest import Manifest
from flowhold.registering import register
from flowhold.storage import Bytes, Local


@pytest.fixture
def reference():
    flow = flowhold.flow(lambda: "ran", name="etl")
    return register(flow, storage=Bytes())


def test_a_flow_is_loaded_by_reference_fields_file_name_and_version(reference, tmp_path):
    path = tmp_path / "ref.json"
    path.write_text(reference.to_json())
    sources = [reference, reference.to_dict(), json.loads(reference.to_json())]
    sources += [str(path), path, "etl", "etl@1"]
    assert {flowhold.load(source).run().result for source in sources} == {"ran"}


def test_a_name_of_a_given_catalog_is_looked_up_there(reference, tmp_path):
    other = flowhold.Catalog(tmp_path / "catalog")
    flow = flowhold.Flow("elsewhere")
    flow.register(catalog=other)
    for catalog in (other, other.url):
        assert flowhold.load("elsewhere", catalog=catalog).name == "elsewhere"
    with pytest.raises(FlowNotFoundError, match="no flow 'elsewhere' in the catalog"):
        flowhold.load("elsewhere")


def test_a_file_in_the_working_directory_never_shadows_a_name(reference):
    for name in ("etl", "etl@1"):
        Path(name).write_text("raise SystemExit('ran')")
    assert flowhold.load("etl").run().result == "ran"
    assert flowhold.load("etl@1").run().result == "ran"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("etl", False),
        ("etl@3", False),
        ("a.b", False),
        ("etl.pyx", False),
        ("etl:py", False),
        ("etl.py", True),
        ("etl.py:flow", True),
        ("./etl", True),
        ("ref.json", True),
        (f"folder{os.sep}etl", True),
    ],
)
def test_what_is_a_path_shows_by_its_form(text, expected):
    assert is_path(text) is expected


@pytest.mark.parametrize(
    ("source", "error", "problem"),
    [
        ("nothing", FlowNotFoundError, "no flow 'nothing' in the catalog"),
        ("etl@7", FlowNotFoundError, "has no version 7.*versions: 1"),
        ("etl@x", ConfigurationError, "is not NAME or NAME@VERSION"),
        ("gone.py", FlowNotFoundError, "gone.py does not exist"),
        ("gone.json", ConfigurationError, "gone.json cannot be read"),
        ("./etl", FlowNotFoundError, "does not exist"),
        (5, ConfigurationError, "a int names no flow"),
        ({}, SerializationError, "schema is missing"),
        ({"schema": "flowhold.reference/2"}, SerializationError, "has the schema"),
    ],
)
def test_what_names_no_flow_is_a_clear_error(reference, source, error, problem):
    with pytest.raises(error, match=problem):
        flowhold.load(source)


def test_a_damaged_reference_file_is_named(tmp_path):
    path = tmp_path / "ref.json"
    path.write_text("{")
    with pytest.raises(SerializationError) as caught:
        flowhold.load(path)
    assert caught.value.location == str(path)


def test_what_was_loaded_knows_its_reference_and_forgets_it_when_it_is_stored(reference):
    flow = flowhold.load("etl")
    assert flow._source == reference
    again = register(flow, storage=Bytes(), force=True)
    assert flowhold.load(again)._source == again


def test_an_unchanged_flow_stays_unchanged_when_it_was_loaded_and_registered_again(reference):
    assert register(flowhold.load("etl"), storage=Bytes()).version == 1


def test_an_observer_hears_of_each_load_and_its_error_stops_nothing(reference, caplog):
    heard = []

    class Observer:
        @flowhold.hookimpl
        def flowhold_loaded(self, reference, flow):
            heard.append((reference.version, flow.name))
            raise RuntimeError("observer broke")

    observer = Observer()
    plugins.register(observer, name="observer")
    try:
        assert flowhold.load("etl").run().result == "ran"
    finally:
        plugins.unregister(observer)
    assert heard == [(1, "etl")]
    assert "observer broke" in caplog.text


def test_a_flow_that_takes_no_attributes_loads(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Frozen:
        name: str = "frozen"

        def run(self, parameters=None, executor=None):
            return "frozen ran"

    assert flowhold.load(register(Frozen())).run() == "frozen ran"


def test_threads_load_stored_flows_at_once(tmp_path):
    script = tmp_path / "etl.py"
    script.write_text(
        "import flowhold, helper_xyz, time\ntime.sleep(0.02)\n"
        "@flowhold.flow\ndef etl():\n    import late_xyz\n    return helper_xyz.N, late_xyz.N"
    )
    references = []
    for number in range(3):
        for name in ("helper_xyz", "late_xyz"):
            (tmp_path / f"{name}.py").write_text(f"N = {number}")
        options = {"stored_as_script": True, "local_script_path": str(script), "include": ["*.py"]}
        flow = flowhold.load(script)
        references.append(register(flow, storage=Local(tmp_path / "flows", **options)))
    start = threading.Barrier(9)

    def load(number):
        start.wait()
        return flowhold.load(references[number % 3]).run().result

    with ThreadPoolExecutor(9) as pool:
        results = list(pool.map(load, range(9)))
    assert results == [(number % 3, number % 3) for number in range(9)]
    assert not {"helper_xyz", "late_xyz"} & sys.modules.keys()


def test_a_script_in_place_can_be_registered_and_keeps_its_storage(tmp_path):
    script = tmp_path / "etl.py"
    script.write_text(
        "import flowhold\nfrom flowhold.storage import Local\n"
        "@flowhold.flow(storage=Local(labels=['gpu'], add_default_labels=False))\n"
        "def etl(): return 'ran'"
    )
    reference = register(flowhold.load(script))
    assert reference.labels == ["gpu"]
    script.unlink()
    assert flowhold.load("etl").run().result == "ran"


def test_the_cache_cannot_vouch_for_a_file_that_was_changed_in_it(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "helper.py").write_text("ANSWER = 42\n")
    (project / "etl.py").write_text(
        "import flowhold\n@flowhold.flow\ndef etl():\n    import helper\n    return helper.ANSWER\n"
    )
    options = {"stored_as_script": True, "local_script_path": str(project / "etl.py")}
    storage = Local(**options, include=["helper.py"])
    reference = flowhold.register(flowhold.load(str(project / "etl.py")), storage=storage)
    code = "import flowhold; print(flowhold.load('etl').run().result)"
    run = [sys.executable, "-c", code]
    assert subprocess.run(run, capture_output=True, text=True).stdout == "42\n"
    tree = settings.current().cache_dir / "trees" / reference.sha256
    helper = tree / "files" / "helper.py"
    helper.chmod(0o600)
    helper.write_text("ANSWER = 'changed'\n")
    manifest = dict(cache.manifest_of(tree / "files"))
    manifest["helper.py"] = hashlib.sha256(helper.read_bytes()).hexdigest()
    (tree / "manifest").write_bytes(Manifest.of(manifest).data)
    outcome = flowhold.load("etl").run()
    assert outcome.state == "failed"
    assert isinstance(outcome.error, IntegrityError)
