"""What the tests of LFS have in common."""

from __future__ import annotations

import pytest

from flowhold import cache

SCRIPT = """
from pathlib import Path
from flowhold import Flow, task

@task
def read():
    return len(Path(__file__).with_name("model.bin").read_bytes())

with Flow("etl") as flow:
    read()
"""
CONTENT = bytes(range(256)) * 8_000
TOKEN = "canary-token-4711"


def load(storage):
    return storage.get_flow("flow.py")


def checked_out():
    (entry,) = (entry for entry in cache.entries() if entry.kind == "tree")
    return entry.path / "files"


def sent(server, path="/contents/"):
    """Return the headers of the requests for contents."""
    return [request.headers for request in server.requests if path in request.path]


def refused(storage, kind, match="."):
    """Load what cannot be loaded, and return the error."""
    with pytest.raises(kind, match=match) as caught:
        load(storage)
    assert TOKEN not in repr(caught.value)
    assert cache.entries() == []
    return caught.value
