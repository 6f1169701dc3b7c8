"""Whether a flow could be loaded here: what each check finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import flowhold
from flowhold.checking import check_reference
from flowhold.errors import IntegrityError
from flowhold.fetching import fetch
from flowhold.storage import Local, Module

NAMES = ["signature", "storage", "credentials", "existence", "digest", "imports", "flow"]
NAMES += ["environment"]


@pytest.fixture
def reference():
    return flowhold.register(flowhold.flow(lambda: 1, name="etl"), storage=Local(secrets=["KEY"]))


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_KEY", "hidden-value")


def states(reference, **options):
    checks = check_reference(reference, **options)
    assert [check.name for check in checks] == NAMES
    assert "hidden-value" not in repr(checks)
    return {check.name: check.status for check in checks}


def in_place(text):
    Path("etl.py").write_text(text)
    flow = flowhold.flow(lambda: 1, name="etl")
    return flowhold.register(flow, storage=Local(path="etl.py", stored_as_script=True))


def test_a_sound_flow_passes_every_check(reference):
    assert set(states(reference).values()) == {"ok"}
    details = {check.name: check.detail for check in check_reference(reference)}
    assert details["credentials"] == "KEY: variable FLOWHOLD_SECRET_KEY"
    assert reference.sha256 in details["digest"]


def test_without_loading_no_code_is_run_and_nothing_is_claimed_of_it():
    reference = in_place("raise SystemExit('run')\n")
    found = states(reference, load=False)
    assert (found["imports"], found["flow"]) == ("skip", "skip")
    assert "fail" not in found.values()
    checks = {check.name: check.to_dict() for check in check_reference(reference, load=False)}
    assert checks["flow"]["ok"] is None
    assert checks["existence"]["ok"] is True


def after(failed):
    """What the checks behind a failed one of bytes say."""
    place = NAMES.index(failed)
    passed = dict.fromkeys(NAMES[:place], "ok")
    return passed | {failed: "fail"} | dict.fromkeys(NAMES[place + 1 : -1], "skip")


def no_signature(reference, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_REQUIRE_SIGNATURE", "1")
    return reference


def no_plugin(reference, monkeypatch):
    return replace(reference, storage={**reference.storage, "type": "nowhere"})


def no_secret(reference, monkeypatch):
    monkeypatch.delenv("FLOWHOLD_SECRET_KEY")
    return reference


def no_object(reference, monkeypatch):
    Path(reference.location).unlink()
    return reference


def other_object(reference, monkeypatch):
    Path(reference.location).write_bytes(b"x" * reference.size)
    return reference


@pytest.mark.parametrize(
    ("break_it", "failed"),
    [
        (no_signature, "signature"),
        (no_plugin, "storage"),
        (no_secret, "credentials"),
        (no_object, "existence"),
        (other_object, "digest"),
    ],
)
def test_what_is_wrong_fails_and_what_needs_it_is_skipped(reference, monkeypatch, break_it, failed):
    assert states(break_it(reference, monkeypatch)) == {**after(failed), "environment": "ok"}


def test_a_floating_flow_is_a_warning():
    found = states(in_place("from flowhold import flow\n@flow\ndef etl(): pass\n"))
    assert found.pop("digest") == "warn"
    assert set(found.values()) == {"ok"}


def test_code_that_fails_and_a_flow_that_is_not_in_it_are_told_apart():
    found = states(in_place("1 / 0\n"))
    assert (found["imports"], found["flow"]) == ("fail", "skip")
    found = states(in_place("from flowhold import flow\n@flow\ndef other(): pass\n"))
    assert (found["imports"], found["flow"]) == ("ok", "fail")


def test_a_module_that_is_not_installed_does_not_exist():
    storage = Module("json")
    reference = flowhold.register(flowhold.flow(lambda: 1, name="etl"), storage=storage)
    described = {**reference.storage, "options": {"module": "no_such_module"}}
    found = states(replace(reference, storage=described, location="no_such_module"))
    assert found["existence"] == "fail"


def test_another_environment_is_a_warning_and_only_there(reference):
    environment = {"python": "3.8.1", "packages": {"pandas": "2.0"}}
    checks = check_reference(replace(reference, environment=environment))
    by_name = {check.name: check for check in checks}
    assert by_name["environment"].status == "warn"
    assert by_name["environment"].to_dict()["ok"] is True
    assert "stored with 3.8.1" in by_name["environment"].detail
    assert "pandas: stored with 2.0, here not installed" in by_name["environment"].detail


def test_a_revision_that_the_storage_cannot_check_is_not_taken_for_recorded(tmp_path):
    reference = replace(in_place("import flowhold\n"), revision="f" * 40)
    assert states(reference, load=False)["digest"] == "fail"
    with pytest.raises(IntegrityError):
        fetch(reference, tmp_path / "fetched")
