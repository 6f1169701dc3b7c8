"""Every test runs as a user of its own: empty folders, no settings, a fresh working directory."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _isolated(tmp_path, monkeypatch):
    # By environment variables, so that subprocesses inherit them.
    for name in os.environ:
        if name.startswith(("FLOWHOLD_", "XDG_")):
            monkeypatch.delenv(name)
    for name in ("config", "data", "cache"):
        folder = tmp_path / "flowhold" / name
        folder.mkdir(parents=True)
        monkeypatch.setenv(f"FLOWHOLD_{name.upper()}_DIR", str(folder))
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
