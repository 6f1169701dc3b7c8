"""Secrets are given to a container when it runs, and are found nowhere else."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import tarfile
import tempfile
import traceback
from pathlib import Path

import pytest

import flowhold
from flowhold import Flow, task
from flowhold.errors import FlowholdError, StorageError

CANARY = "canary-4f1d-of-the-host"

pytestmark = [
    pytest.mark.usefixtures("unmasked"),
    pytest.mark.promise("secrets canary, docker: in no image, log, error, reference or file"),
]


@task
def know(name):
    value = flowhold.secret(name)
    return [len(value), value.startswith("canary")]


@task
def end():
    import os

    os._exit(9)


def texts_of(archive):
    """Yield names and bytes of all files of an image, those in its layers too."""
    with tarfile.open(fileobj=archive) as tar:
        for member in tar:
            if member.isfile():
                data = tar.extractfile(member).read()
                yield member.name, data
                if member.name.endswith("layer.tar"):
                    yield from texts_of(io.BytesIO(data))


def test_a_secret_is_in_nothing_that_stays(make, engine, tmp_path, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", CANARY)
    monkeypatch.setenv("FLOWHOLD_SECRET_OTHER", CANARY)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with Flow("knowing") as first:
        know("TOKEN")
    with Flow("ending") as second:
        end()
    storage = make(secrets=["TOKEN"])
    for flow in (first, second):
        storage.add_flow(flow)
    storage.build()
    references = storage.references()
    runner = storage.get_env_runner("knowing")
    given = runner.run()
    assert given.result == [len(CANARY), True]
    with pytest.raises(StorageError) as caught:
        storage.get_env_runner("ending").run()

    with engine.client() as client:
        assert client.api.containers(all=True) == []
        about = [client.api.inspect_image(storage.image), client.api.history(storage.image)]
        kept = client.api.get_image(storage.image)
        found = {
            name for name, data in texts_of(io.BytesIO(b"".join(kept))) if CANARY.encode() in data
        }
    assert found == set()
    error = caught.value
    seen = [about, repr(storage), storage.serialize(), [it.to_json() for it in references]]
    seen += [repr(runner), vars(runner), repr(given), vars(error), caplog.text, capfd.readouterr()]
    seen += ["".join(traceback.format_exception(error))]
    assert CANARY not in str(seen)
    seen = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in seen if CANARY.encode() in path.read_bytes()] == []
    assert list(folder.iterdir()) == []


def test_a_secret_is_in_no_catalog_and_no_cache(make, tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", CANARY)
    with Flow("registered") as flow:
        know("TOKEN")
    flowhold.register(flow, storage=make(secrets=["TOKEN"]))
    assert flowhold.load("registered").run().result == [len(CANARY), True]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []


def test_a_secret_of_a_scope_reaches_the_container(make):
    with Flow("scoped") as flow:
        know("TOKEN")
    storage = make(secrets=["TOKEN"])
    storage.add_flow(flow)
    storage.build()
    with flowhold.secrets({"TOKEN": CANARY}):
        assert storage.get_env_runner().run().result == [len(CANARY), True]


def test_a_container_that_cannot_be_started_tells_no_secret(make, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", CANARY)
    with Flow("refused") as flow:
        know("TOKEN")
    storage = make(secrets=["TOKEN"], run_kwargs={"user": "nobody-knows"})
    storage.add_flow(flow)
    storage.build()
    with pytest.raises(ValueError, match="unable to find user") as caught:
        storage.get_env_runner().run({"COLOUR": f"{CANARY} by env"})
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("options", "parameters"),
    [({"working_dir": "relative"}, {}), ({"no_such": 1}, {}), ({}, {"x": object()})],
)
def test_no_frame_of_an_error_holds_a_secret(make, monkeypatch, options, parameters):
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", CANARY)
    storage = make(secrets=["TOKEN"], run_kwargs=options)
    storage.add_flow(Flow("etl"))
    with pytest.raises(FlowholdError) as caught:
        storage.build().get_env_runner().run(parameters=parameters)
    error = caught.value
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_globals.get("__name__") != __name__:
                held = [*frame.f_locals.values()]
                held += [each for it in held if isinstance(it, dict) for each in it.values()]
                assert CANARY not in repr(held)
        error = error.__cause__ or error.__context__


def test_a_login_of_docker_is_in_nothing_that_stays(make, tmp_path):
    config = {
        "auths": {"127.0.0.1:1": {"auth": base64.b64encode(f"user:{CANARY}".encode()).decode()}}
    }
    Path(os.environ["DOCKER_CONFIG"], "config.json").write_text(json.dumps(config))
    with Flow("logged-in") as flow:
        know("TOKEN")
    storage = make("127.0.0.1:1")
    storage.add_flow(flow)
    with pytest.raises(InterruptedError) as caught:
        storage.build()
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert CANARY not in str(storage.serialize())
    kept = b"".join(storage.engine.client.get_image(storage.image))
    assert CANARY.encode() not in kept
