"""Every test runs as a user of its own: empty folders, no settings, a fresh working directory."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest


@pytest.fixture(autouse=True)
def _isolated(as_new_user):
    pass


@pytest.fixture
def no_backoff(monkeypatch):
    """Let requests, and downloads that broke off, be tried again soon."""
    from flowhold_storage_azure.retry import Retry

    monkeypatch.setattr(Retry, "get_backoff_time", lambda *_: 0.05)
    # Before it goes on with a download the SDK waits for a fixed second.
    patient = SimpleNamespace(sleep=lambda _: None, time=time.time)
    monkeypatch.setattr("azure.storage.blob._download.time", patient)


@pytest.fixture
def proxy(azure_server):
    """A proxy in front of the server, without faults."""
    from flowhold.testing.faults import FaultProxy

    with FaultProxy(azure_server.url) as proxy:
        yield proxy


@pytest.fixture
def raw(azure_server, azure_container):
    """The container as the SDK alone sees it."""
    from azure.storage.blob import ContainerClient

    with ContainerClient.from_connection_string(
        azure_server.connection_string, azure_container
    ) as client:
        yield client


@pytest.fixture
def backdoor(raw):
    """What reads, writes and removes blobs past Flowhold."""
    return SimpleNamespace(
        read=lambda key: raw.download_blob(key).readall(),
        write=lambda key, data: raw.upload_blob(key, data, overwrite=True),
        remove=raw.delete_blob,
    )
