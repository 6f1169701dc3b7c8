"""Every test runs as a user of its own, beside a server of S3 with an empty bucket."""

from __future__ import annotations

import json

import pytest

from flowhold.testing.faults import FaultProxy


@pytest.fixture(autouse=True)
def _isolated(as_new_user):
    pass


@pytest.fixture
def no_backoff(monkeypatch):
    """Let botocore wait as briefly as it can before it tries again."""
    from botocore.retries import standard

    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda *_: 0.01)


@pytest.fixture
def at(s3_server):
    """The ``client_options`` of the server."""
    return {"endpoint_url": s3_server.url}


@pytest.fixture
def proxy(s3_server, s3_bucket, no_backoff):
    """Stand in front of the server."""
    with FaultProxy(s3_server.url) as proxy:
        yield proxy


@pytest.fixture
def via(proxy):
    """The ``client_options`` of the proxy."""
    return {"endpoint_url": proxy.url}


@pytest.fixture
def command(capfd):
    """Return a function that runs the command here and returns the document that it prints."""
    from flowhold.cli.app import run

    def command(*arguments):
        code = run([*map(str, arguments), "--json"])
        out, err = capfd.readouterr()
        assert (code, err) == (0, ""), out + err
        return json.loads(out)

    return command
