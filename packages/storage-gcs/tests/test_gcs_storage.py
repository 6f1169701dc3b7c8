"""Flows, results and catalogs in a bucket, with the credentials that are meant."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import flowhold
from flowhold.errors import ConfigurationError, SecretNotFoundError
from flowhold.storage import Storage
from flowhold_storage_gcs import GCS, GCSResult, GCSStore

SCRIPT = """
from flowhold import flow

@flow
def etl(x: int = 1):
    return x + 41
"""


@flowhold.flow
def etl():
    return 42


def authorizations(front):
    return {request.headers["Authorization"] for request in front.requests} - {None}


def test_arguments_have_the_order_that_prefect_gave_them():
    storage = GCS("b", "flows/{slug}", "p", True, "etl.py")
    assert (storage.bucket, storage.key, storage.project) == ("b", "flows/{slug}", "p")
    assert (storage.stored_as_script, storage.local_script_path) == (True, "etl.py")


def test_every_option_survives_serialization_but_the_path_of_the_script():
    storage = GCS(
        "b",
        "k",
        "p",
        True,
        "etl.py",
        client_options={"api_endpoint": "http://127.0.0.1:1"},
        timeout=5,
        retries=1,
        secrets=["GCP_CREDENTIALS"],
        labels=["cloud"],
        overwrite=True,
    )
    document = json.loads(json.dumps(storage.serialize()))
    again = Storage.deserialize(document)
    assert isinstance(again, GCS)
    assert again.serialize() == document
    assert (again.client_options, again.timeout) == ({"api_endpoint": "http://127.0.0.1:1"}, 5)
    assert again.local_script_path is None


def test_it_is_shown_by_its_bucket_and_key():
    assert repr(GCS("b", "k", "p")) == "<Storage: GCS bucket='b' key='k'>"


def test_a_flow_round_trips_with_one_request_each_way_and_then_none(bucket, front):
    storage = GCS(bucket)
    storage.add_flow(etl)
    storage.build()
    again = Storage.deserialize(storage.serialize())
    assert [request.method for request in front.requests] == ["POST"]
    assert again.get_flow("etl").run().result == 42
    assert [request.method for request in front.requests] == ["POST", "GET"]
    assert again.get_flow("etl").run().result == 42
    assert front.count() == 2


def test_requests_with_a_catalog_are_few_and_known(bucket, front, monkeypatch):
    def sent():
        methods = [request.method for request in front.requests]
        front.clear()
        return methods

    monkeypatch.setenv("FLOWHOLD_CATALOG", f"gs://{bucket}/catalog")
    etl.register(storage=GCS(bucket))
    assert sent() == ["GET", "POST", "POST"]
    assert etl.register(storage=GCS(bucket)).version == 1
    assert sent() == ["GET"]
    flowhold.load("etl")
    assert sent() == ["GET", "GET", "GET"]
    flowhold.load("etl")
    assert sent() == ["GET", "GET"]


def test_many_flows_are_stored_with_one_request_each(bucket, front):
    storage = GCS(bucket)
    for number in range(40):
        storage.add_flow(flowhold.flow(lambda: 1, name=f"flow {number}"))
    storage.build()
    assert [request.method for request in front.requests] == ["POST"] * 40
    for name in storage.flows:
        assert storage.get_flow(name).name == name


def test_the_secret_comes_before_the_default_credentials(
    bucket, front, account, tmp_path, monkeypatch
):
    monkeypatch.setenv("FLOWHOLD_SECRET_GCP_CREDENTIALS", account("by-secret"))
    key = tmp_path / "key.json"
    key.write_text(account("by-default"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    options = {"client_options": {"api_endpoint": front.url}}
    [*GCS(bucket, **options).store.list()]
    assert authorizations(front) == {"Bearer by-default"}
    front.clear()
    storage = GCS(bucket, secrets=["GCP_CREDENTIALS"], **options)
    [*storage.store.list()]
    assert authorizations(front) == {"Bearer by-secret"}
    assert storage.store.client.project == "project-of-by-secret"
    named = GCS(bucket, project="named", secrets=["GCP_CREDENTIALS"], **options)
    assert named.store.client.project == "named"


def test_an_emulator_needs_no_credentials_and_none_are_looked_for(bucket, front, monkeypatch):
    def default(*args, **kwargs):
        raise AssertionError("looked for")

    monkeypatch.setattr("google.auth.default", default)
    [*GCSStore(bucket).list()]
    assert authorizations(front) == set()


def test_a_secret_that_nobody_knows_is_told(bucket):
    with pytest.raises(SecretNotFoundError, match="GCP_CREDENTIALS"):
        [*GCS(bucket, secrets=["GCP_CREDENTIALS"]).store.list()]


@pytest.mark.parametrize("make", [GCS, GCSStore])
def test_credentials_in_client_options_are_refused(make):
    with pytest.raises(ConfigurationError, match="api_key holds credentials") as caught:
        make("b", client_options={"api_key": "SHHH"})
    assert "SHHH" not in f"{caught.value!r}{caught.value.hint}"


def test_nothing_secret_is_written_down_or_shown(bucket, front, account, monkeypatch, caplog):
    caplog.set_level(0)
    key = account("somebody")
    secrets = [json.loads(key)["private_key"].splitlines()[1], "Bearer somebody"]
    monkeypatch.setenv("FLOWHOLD_SECRET_GCP_CREDENTIALS", key)
    storage = GCS(bucket, secrets=["GCP_CREDENTIALS"])
    storage.add_flow(etl)
    storage.build()
    result = storage.result.write(1, flow="f", task="t", run_id="r")
    assert authorizations(front) == {"Bearer somebody"}
    seen = [
        repr((storage, storage.store, result)).encode(),
        json.dumps([storage.serialize(), result.serialize()]).encode(),
        *(pickle.dumps(thing) for thing in (storage, storage.store, result)),
        *(storage.store.get(info.key) for info in storage.store.list()),
        caplog.text.encode(),
    ]
    for text in seen:
        assert not any(secret.encode() in text for secret in secrets)


def test_a_result_round_trips_and_comes_from_the_storage_by_default(bucket):
    result = GCS(bucket, timeout=7).result
    assert isinstance(result, GCSResult)
    written = result.write({"a": 1}, flow="f", task="t", run_id="r")
    assert written.store.timeout == 7
    assert [info.key for info in GCSStore(bucket).list()] == ["results/f/t/r"]
    again = flowhold.Result.deserialize(json.loads(json.dumps(written.serialize())))
    assert again.read().value == {"a": 1}
    assert pickle.loads(pickle.dumps(written)).read().value == {"a": 1}


def test_a_result_is_made_with_the_bucket_alone_and_not_without(bucket):
    assert GCSResult(bucket).write(1, flow="f", task="t", run_id="r").read().value == 1
    assert GCSResult(bucket, prefix="a", serializer="json").url == f"gs://{bucket}/a"
    with pytest.raises(ConfigurationError, match="needs a bucket"):
        GCSResult()


def test_the_command_registers_lists_and_runs_in_processes_of_their_own(bucket, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CATALOG", f"gs://{bucket}/catalog")
    Path("etl.py").write_text(SCRIPT)

    def command(*arguments):
        call = [sys.executable, "-m", "flowhold", *arguments, "--json"]
        done = subprocess.run(call, capture_output=True, text=True, env=os.environ)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return json.loads(done.stdout)

    options = ["--storage", "gcs", "-o", f"bucket={bucket}", "-o", "key=flows/{slug}.py"]
    (registered,) = command("register", "etl.py", "--script", *options)
    assert registered["location"] == "flows/etl.py"
    assert [row["storage"] for row in command("list")] == ["gcs"]
    for name in ("DATA", "CACHE"):
        monkeypatch.setenv(f"FLOWHOLD_{name}_DIR", str(Path.cwd() / name))
    Path("etl.py").unlink()
    assert command("run", "etl", "-p", "x=2")["result"] == 43


def test_importing_the_storage_does_not_import_the_sdk():
    code = """
import sys
from flowhold_storage_gcs import GCS, GCSResult, GCSStore
GCS("b").store, GCSResult("b").store
print([name for name in sys.modules if name.partition(".")[0] in ("google", "requests")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
