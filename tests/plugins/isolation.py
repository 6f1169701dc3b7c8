"""A fixture that makes a test run as a user of its own: empty folders, no settings, no clouds."""

from __future__ import annotations

import os
import sys

import pytest

FOREIGN = ("FLOWHOLD_", "XDG_", "AWS_", "AZURE_", "GOOGLE_", "GCE_", "CLOUDSDK_")


@pytest.fixture
def as_new_user(tmp_path, monkeypatch):
    """Give the test empty folders and a fresh working directory, and take away all settings."""
    # By environment variables, so that subprocesses inherit them.
    for name in os.environ:
        if name.startswith(FOREIGN) and name != "FLOWHOLD_TEST_SEED":
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
    # What runs the tests need not be an installed program, and is no script of flows.
    monkeypatch.delattr("__main__.__file__", raising=False)
    yield
    _close_clients()
    if "flowhold.redaction" in sys.modules:
        # Values of one test can be words in the errors that another looks at.
        sys.modules["flowhold.redaction"].forget()


@pytest.fixture
def without_proxies(monkeypatch):
    """Take away what says by which proxies, or authorities for hosts, requests go."""
    for name in os.environ:
        if name.lower().endswith(("_proxy", "_ca_bundle")):
            monkeypatch.delenv(name)


@pytest.fixture
def goes_by_proxies(without_proxies, monkeypatch):
    """Return a function that tells whether a store takes a proxy as soon as one is named."""

    def goes_by_proxies(store):
        from flowhold.errors import StorageUnavailableError

        store.put("k", b"v")
        with monkeypatch.context() as named:
            named.setenv("HTTP_PROXY", "http://127.0.0.1:9")
            with pytest.raises(StorageUnavailableError):
                store.get("k")
        return store.get("k") == b"v"

    return goes_by_proxies


@pytest.fixture
def unmasked(monkeypatch):
    """Have the core mask nothing, so that a storage shows whether it is discreet by itself."""
    from flowhold import redaction

    monkeypatch.setattr(redaction._memory, "add", lambda _value: None)


def _close_clients():
    """Close shared clients before they are so many that old ones are dropped with their sockets."""
    shared = getattr(sys.modules.get("flowhold.clients"), "_clients", {})
    if len(shared) > 16:
        for client, _ in shared.values():
            getattr(client, "close", lambda: None)()
        shared.clear()
