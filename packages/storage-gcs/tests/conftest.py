"""Every test runs as a user of its own; the emulator is made to do what the service does."""

from __future__ import annotations

import pytest
from gcs_service import Service, account_of, new_private_key

from flowhold.testing.faults import FaultProxy


@pytest.fixture(autouse=True)
def _isolated(as_new_user, monkeypatch):
    # google-auth asks Google about service accounts in the background: nothing leaves the machine.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="session")
def front(gcs_server):
    """A proxy that adds to the emulator what it lacks."""
    with FaultProxy(gcs_server.url, Service(gcs_server.url)) as front:
        yield front


@pytest.fixture
def bucket(gcs_bucket, front, monkeypatch):
    """An empty bucket behind the proxy, which the environment leads to."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", front.url)
    front.clear()
    return gcs_bucket


@pytest.fixture
def no_backoff(monkeypatch):
    """Wait as briefly as can be before a request is tried again."""
    monkeypatch.setattr("flowhold_storage_gcs.store._DELAY", (0.01, 0.02))


@pytest.fixture(scope="session")
def private_key():
    """A new key, as a service account's."""
    return new_private_key()


@pytest.fixture
def account(front, private_key):
    """Return a function that makes the JSON of a service account known to the proxy."""
    return lambda name, **changes: account_of(name, private_key, front.url, **changes)
