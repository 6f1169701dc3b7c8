from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from unittest import mock

import pytest

import flowhold
from flowhold.errors import (
    ConfigurationError,
    FlowNotFoundError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnverifiedError,
)
from flowhold.storage import Local, LocalStorage, Storage
from flowhold.storage.keys import make_key, slug

SCRIPT = "import flowhold\n@flowhold.flow\ndef etl(): return 'ran', __file__"


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "etl.py"
    path.write_text(SCRIPT)
    return path


def marked(name, mark=None):
    flow = flowhold.Flow(name)
    flow.mark = mark or name
    return flow


def test_flows_go_to_the_users_data_directory_under_slug_and_time():
    storage = Local()
    location = storage.add_flow(flowhold.Flow("My Flow"))
    assert storage.directory == os.path.join(os.environ["FLOWHOLD_DATA_DIR"], "flows")
    key = Path(location).relative_to(storage.directory).as_posix()
    assert re.fullmatch(r"my-flow/\d{4}-\d\d-\d\dt\d\d-\d\d-\d\d-\d{6}-00-00", key)
    assert not os.path.exists(location)
    storage.build()
    assert os.path.isfile(location)
    assert LocalStorage is Local


def test_names_with_one_slug_or_none_do_not_collide(tmp_path):
    storage = Local(tmp_path)
    names = ["A B", "a-b", "!!!", "???", "数据", "x" * 400, "../up"]
    for name in names:
        storage.add_flow(marked(name))
    storage.build()
    assert len(set(storage.flows.values())) == len(names)
    assert all(Path(location).is_relative_to(tmp_path) for location in storage.flows.values())
    assert [storage.get_flow(name).mark for name in names] == names
    assert slug("!!!") != slug("???")


def test_two_flows_on_one_key_or_path_are_refused(tmp_path):
    for storage in (Local(tmp_path, key="{slug}"), Local(path=tmp_path / "file")):
        storage.add_flow(flowhold.Flow("A B"))
        with pytest.raises(ConfigurationError, match="two flows of this Local storage"):
            storage.add_flow(flowhold.Flow("a-b"))
        assert list(storage.flows) == ["A B"]


def test_a_key_template_is_filled_in_literally():
    key = make_key("{slug}/{name}/{sha256}/{other}", "A {slug}", "0" * 64)
    assert key == f"a-slug/A {{slug}}/{'0' * 64}/{{other}}"
    for template, name in [("{name}", "../x"), ("/{slug}", "x"), ("", "x"), ("a//b", "x")]:
        with pytest.raises(ConfigurationError, match="cannot be a key"):
            make_key(template, name, "")


def test_a_taken_key_of_the_users_own_is_an_error_unless_bytes_or_consent_say_otherwise(
    tmp_path, script
):
    def store(flow, **options):
        storage = Local(tmp_path / "flows", key="etl", **options)
        storage.add_flow(flow)
        return storage.build()

    one = store(marked("etl", 1))
    with pytest.raises(ObjectExistsError, match="another object is at") as caught:
        store(marked("etl", 2))
    assert "overwrite=True" in caught.value.hint
    assert one.get_flow().mark == 1
    assert store(marked("etl", 2), overwrite=True).get_flow().mark == 2
    flow = flowhold.load(script)
    for _ in range(2):
        store(flow, overwrite=True, stored_as_script=True, local_script_path=str(script))
    assert store(flow, stored_as_script=True, local_script_path=str(script)).get_flow().run()


@pytest.mark.parametrize("key", [None, "{slug}/{timestamp}"])
def test_a_taken_generated_key_takes_a_new_time(tmp_path, key):
    storage = Local(tmp_path, key=key)
    first = storage.add_flow(marked("etl"))
    Path(first).parent.mkdir(parents=True)
    Path(first).write_text("another process was here")
    storage.build()
    assert storage.flows["etl"] != first
    assert storage.get_flow("etl").mark == "etl"
    assert Path(first).read_text() == "another process was here"


def test_a_missing_file_says_which_on_which_host_and_stored_by_which(tmp_path):
    storage = Local(tmp_path)
    location = storage.add_flow(flowhold.Flow("etl"))
    document = storage.build().serialize()
    os.unlink(location)
    elsewhere = mock.patch("socket.gethostname", return_value="worker-7")
    with elsewhere, pytest.raises(ObjectNotFoundError) as caught:
        Storage.deserialize(document).get_flow("etl")
    assert location in str(caught.value)
    assert "on host worker-7" in str(caught.value)
    assert f"stored by host {socket.gethostname()}" in caught.value.hint
    assert isinstance(caught.value, FileNotFoundError)


def test_a_directory_is_made_absolute_unless_it_is_not_to_be_checked(tmp_path):
    assert Local("flows").directory == os.path.abspath("flows")
    assert Local("~/flows").directory == os.path.join(os.environ["HOME"], "flows")
    assert Local("~/flows", validate=False).directory == "~/flows"
    restored = Storage.deserialize(Local("C:\\flows", validate=False).serialize())
    assert restored.directory == "C:\\flows"
    checked = {"type": "local", "options": {"directory": "D:\\flows", "validate": True}}
    restored = Storage.deserialize(checked)
    assert (restored.directory, restored.validate) == ("D:\\flows", True)


def test_an_explicit_path_holds_the_flow_and_excludes_a_key(tmp_path):
    storage = Local(path=tmp_path / "my flow.bin")
    assert storage.add_flow(marked("etl")) == str(tmp_path / "my flow.bin")
    assert Storage.deserialize(storage.build().serialize()).get_flow().mark == "etl"
    with pytest.raises(ConfigurationError, match="exclude each other"):
        Local(path="x", key="y")


def test_a_bare_pickle_location_loads_only_when_trusted(tmp_path):
    location = Local(tmp_path).add_flow(marked("etl"))
    storage = Local(tmp_path)
    location = storage.add_flow(marked("etl"))
    storage.build()
    for where in (location, os.path.relpath(location, tmp_path)):
        with pytest.raises((UnverifiedError, FlowNotFoundError)) as caught:
            Local(tmp_path).get_flow(where)
        assert "allow_unverified=True" in caught.value.hint
    assert Local(tmp_path).get_flow(location, allow_unverified=True).mark == "etl"


def test_a_script_in_place_floats_and_edits_take_effect(tmp_path, script):
    storage = Local(path=script, stored_as_script=True)
    location = storage.add_flow(flowhold.load(script))
    (reference,) = storage.build().references()
    assert (location, reference.kind, reference.pinned) == (str(script), "script", False)
    assert flowhold.load(reference).run().result == ("ran", str(script))
    script.write_text(SCRIPT.replace("ran", "ran anew"))
    assert flowhold.load(reference).run().result == ("ran anew", str(script))
    assert "floating" in storage.verify()[0]["detail"]
    script.unlink()
    with pytest.raises(FlowNotFoundError, match="does not exist"):
        flowhold.load(reference)
    assert storage.verify()[0]["ok"] is False


def test_a_script_in_place_can_name_its_factory_or_a_module(tmp_path, script, monkeypatch):
    with script.open("a") as file:
        file.write("\ndef make(): return flowhold.Flow('made')")
    (tmp_path / "etl_local_xyz.py").write_text(script.read_text())
    monkeypatch.syspath_prepend(str(tmp_path))
    for path in (f"{script}:make", "etl_local_xyz:make"):
        storage = Local(path=path, stored_as_script=True)
        storage.add_flow(flowhold.load(f"{script}:make"))
        assert flowhold.load(storage.build().references()[0]).name == "made"
        assert storage.verify()[0]["ok"] is True


def test_a_copied_script_is_pinned_and_outlives_the_original(tmp_path, script):
    flow = flowhold.load(script)
    storage = Local(tmp_path / "flows", stored_as_script=True, local_script_path=str(script))
    storage.add_flow(flow)
    (reference,) = storage.build().references()
    script.unlink()
    assert reference.pinned
    assert str(script) not in reference.to_json()
    result, file = flowhold.load(reference).run().result
    assert (result, Path(file).name) == ("ran", "etl.py")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "needs to know the script"),
        ({"local_script_path": "nowhere.py"}, "nowhere.py does not exist"),
        ({"include": ["*.py"]}, "there is no script to store"),
        ({"path": "nowhere.py"}, "does not exist"),
    ],
)
def test_a_script_storage_without_its_script_says_so_when_a_flow_is_added(options, problem):
    storage = Local(stored_as_script=True, **options)
    with pytest.raises(ValueError, match=problem):
        storage.add_flow(flowhold.Flow("etl"))
    assert storage.flows == {}


def test_deleting_a_flow_removes_its_object_but_no_script_of_the_user(tmp_path, script):
    storage = Local(tmp_path / "flows")
    location = storage.add_flow(marked("etl"))
    storage.build().delete("etl")
    assert not os.path.exists(location)
    assert "etl" not in storage
    in_place = Local(path=script, stored_as_script=True)
    in_place.add_flow(flowhold.load(script))
    in_place.delete("etl")
    assert script.exists()


def test_results_go_beside_the_flows_unless_said_otherwise(tmp_path):
    assert Local(tmp_path).result == flowhold.LocalResult(dir=str(tmp_path / "results"))
    other = flowhold.LocalResult(dir=str(tmp_path / "other"))
    assert Local(tmp_path, result=other).result == other
    assert Local(tmp_path, result=False).result is None


def test_many_flows_are_stored_at_once(tmp_path):
    storage = Local(tmp_path)
    for number in range(60):
        storage.add_flow(marked(f"f{number}"))
    storage.build()
    assert [storage.get_flow(f"f{n}").mark for n in range(60)] == [f"f{n}" for n in range(60)]
    assert all(check["ok"] for check in storage.verify())
