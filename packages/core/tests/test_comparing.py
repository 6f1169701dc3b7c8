"""What is told of the difference between two versions; nothing of them is run."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowhold
from flowhold.comparing import compare
from flowhold.errors import IntegrityError
from flowhold.opcodes import names_in
from flowhold.storage import Bytes, Local

NOTHING = {"options": {}, "environment": {}, "files": [], "pickle": None}


@flowhold.flow
def etl():
    return 1


def script(text, /, **options):
    """Register a script with that text."""
    Path("etl.py").write_text(text)
    storage = Local(local_script_path="etl.py", stored_as_script=True, **options)
    return flowhold.register(etl, storage=storage, force=True)


def test_a_version_does_not_differ_from_itself():
    reference = script("a = 1\n")
    assert compare(reference, reference) == NOTHING
    assert compare(reference, script("a = 1\n")) == NOTHING


def test_scripts_are_compared_line_by_line():
    (change,) = compare(script("a = 1\nb = 2\n"), script("a = 1\nb = 3"))["files"]
    assert (change["path"], change["change"]) == ("etl.py", "changed")
    assert change["diff"] == (
        "--- a/etl.py\n+++ b/etl.py\n@@ -1,2 +1,2 @@\n a = 1\n-b = 2\n+b = 3\n"
        "\\ No newline at end of file\n"
    )


def test_a_script_under_another_key_is_the_same_script():
    one, other = script("a = 1\n", key="one.py"), script("a = 2\n", key="two.py")
    assert [change["path"] for change in compare(one, other)["files"]] == ["two.py"]


def test_files_of_bundles_are_added_removed_and_changed():
    Path("old.csv").write_text("x\n")
    Path("map.png").write_bytes(b"\0\x01")
    one = script("a = 1\n", include=["*.csv", "*.png"])
    Path("old.csv").unlink()
    Path("new.csv").write_text("y\n")
    Path("map.png").write_bytes(b"\0\x02\x03")
    changes = compare(one, script("a = 1\n", include=["*.csv", "*.png"]))["files"]
    assert [(each["change"], each["path"]) for each in changes] == [
        ("changed", "map.png"),
        ("added", "new.csv"),
        ("removed", "old.csv"),
    ]
    assert changes[0]["diff"].startswith("- binary or large: 2 bytes, sha256 ")
    assert changes[1]["diff"] == "--- /dev/null\n+++ b/new.csv\n@@ -0,0 +1 @@\n+y\n"
    assert changes[2]["diff"].startswith("--- a/old.csv\n+++ /dev/null\n")


def test_options_labels_and_secrets_are_compared_by_name():
    one = script("a = 1\n", labels=["gpu"])
    other = script("a = 1\n", secrets=["KEY"], key="{slug}.py", add_default_labels=False)
    assert compare(one, other)["options"] == {
        "labels": {"before": ["gpu"], "after": []},
        "default_labels": {"before": one.storage["default_labels"], "after": []},
        "add_default_labels": {"before": True, "after": False},
        "secrets": {"before": [], "after": ["KEY"]},
        "key": {"before": None, "after": "{slug}.py"},
    }


def test_environments_are_compared():
    one = script("a = 1\n")
    other = replace(one, environment={"python": "3.8.0", "packages": {"pandas": "2.0"}})
    found = compare(one, other)["environment"]
    assert found["python"]["after"] == "3.8.0"
    assert found["pandas"] == {"before": None, "after": "2.0"}
    assert found["flowhold"]["after"] is None


def made(number, word):
    import json

    def work(reader=json.loads if number else json.dumps):
        return [word, number + 0.5]

    return flowhold.Flow("made"), flowhold.flow(work, name="made")


def test_of_pickles_it_tells_what_they_mention():
    one, other = (
        flowhold.register(made(number, word)[1], storage=storage, force=True)
        for number, word, storage in ((0, "alpha", Local()), (1, "omega", Bytes()))
    )
    found = compare(one, other)["pickle"]
    assert found["same"] is False
    assert found["complete"] is True
    assert found["size"] == {"before": one.size, "after": other.size}
    assert found["globals"] == {"added": ["json.loads"], "removed": ["json.dumps"]}
    assert "omega" in found["constants"]["added"]
    assert "alpha" in found["constants"]["removed"]


def test_pickles_of_one_content_are_the_same_though_their_bytes_differ():
    class Word:
        pass

    value = Word()
    flow = flowhold.flow(lambda: value, name="made")
    one = flowhold.register(flow, storage=Local(), force=True)
    other = flowhold.register(flow, storage=Bytes(), force=True)
    found = compare(one, other)["pickle"]
    assert found is None or found["same"] is True


def test_a_pickle_is_compared_with_a_script():
    Path("etl.py").write_text("a = 1\n")
    found = compare(flowhold.register(etl, storage=Local()), script("a = 1\n"))
    assert found["options"]["kind"] == {"before": "pickle", "after": "script"}
    assert [each["change"] for each in found["files"]] == ["added"]
    assert found["pickle"]["constants"]["added"] == []


def test_nothing_is_compared_with_bytes_that_are_not_those_recorded():
    one, other = script("a = 1\n"), script("a = 2\n")
    Path(other.location).write_text("a = 3\n")
    with pytest.raises(IntegrityError):
        compare(one, other)


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize("protocol", range(6))
def test_what_a_pickle_imports_is_told_for_every_protocol(protocol):
    names = names_in(pickle.dumps([Trap(), "word", 2.5, Trap()], protocol))
    assert names.complete
    assert any(name.endswith((".touch", ".getattr")) for name in names.globals)
    assert {"word", "2.5"} <= names.constants
    assert not Path("ran").exists()


@given(st.binary(max_size=200))
def test_damaged_pickles_are_read_as_far_as_they_go(data):
    names_in(b"\x80\x05" + data)


def test_of_a_pickle_without_end_only_a_bounded_part_is_read(monkeypatch):
    monkeypatch.setattr("flowhold.opcodes._MAX_OPCODES", 10)
    names = names_in(pickle.dumps(list("abcdefghijklmnopqrstuvwxyz")))
    assert not names.complete
    assert "z" not in names.constants
