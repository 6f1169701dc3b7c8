"""The user's own modules are found again whenever modules come and go."""

from __future__ import annotations

import importlib
import sys

import pytest

from flowhold.project import own_modules


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return what imports modules of a folder, and what names those that count as loaded."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("one", "two", "three"):
        (tmp_path / f"own_{name}.py").write_text("")

    def load(*names):
        for name in names:
            importlib.import_module(f"own_{name}")
        return [name.removeprefix("own_") for name in own_modules(tmp_path)]

    yield load
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


def test_what_is_imported_later_is_found(own):
    assert own() == []
    assert own("one") == ["one"]
    assert own("two", "three") == ["one", "three", "two"]


def test_what_is_no_longer_loaded_is_not_found(own):
    own("one", "two")
    del sys.modules["own_one"]
    assert own() == ["two"]


def test_as_many_modules_can_be_other_ones(own):
    own("one", "two")
    del sys.modules["own_two"]
    assert own("three") == ["one", "three"]
    del sys.modules["own_one"], sys.modules["own_three"]
    assert own("two", "three") == ["three", "two"]


def test_whoever_gets_them_cannot_change_them(own, tmp_path):
    own("one")
    with pytest.raises(TypeError):
        own_modules(tmp_path)["two"] = tmp_path
