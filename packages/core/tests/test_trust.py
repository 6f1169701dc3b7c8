from __future__ import annotations

import dataclasses

import pytest

import flowhold
from flowhold.errors import SignatureError, UnverifiedError
from flowhold.registering import register
from flowhold.storage import Bytes, Module

SETTINGS = [("FLOWHOLD_TRUSTED_KEYS", "abc"), ("FLOWHOLD_REQUIRE_SIGNATURE", "true")]


@pytest.fixture
def pinned():
    return register(flowhold.Flow("etl"), storage=Bytes())


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_unsigned_reference_is_refused_before_its_storage_is_made(pinned, monkeypatch, setting):
    monkeypatch.setenv(*setting)
    bad = dataclasses.replace(pinned, storage={"type": "no-such-storage"})
    for reference in (pinned, bad):
        with pytest.raises(SignatureError, match="'etl' is not signed") as caught:
            flowhold.load(reference)
        assert caught.value.hint
    with pytest.raises(SignatureError):
        flowhold.load("etl", allow_unverified=True)


@pytest.mark.parametrize("setting", SETTINGS)
def test_floating_references_and_scripts_never_satisfy_the_setting(tmp_path, monkeypatch, setting):
    (tmp_path / "etl.py").write_text("raise SystemExit('ran')")
    floating = register(flowhold.Flow("etl"), storage=Module("json"))
    monkeypatch.setenv(*setting)
    for source in (floating, "etl", str(tmp_path / "etl.py")):
        with pytest.raises(UnverifiedError, match="is floating"):
            flowhold.load(source, allow_unverified=True)


def test_without_the_setting_everything_pinned_loads(pinned):
    assert flowhold.load(pinned).name == "etl"
