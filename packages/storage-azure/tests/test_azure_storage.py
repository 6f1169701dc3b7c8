"""Azure storage: the conformance kit, its arguments, and what is written down of it."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys

import pytest

import flowhold
from flowhold import Flow, Storage
from flowhold.errors import ConfigurationError, ObjectExistsError
from flowhold.testing import StorageTests
from flowhold_storage_azure import Azure, AzureResult


@pytest.fixture
def make_storage(azure_server, azure_container):
    def make_storage(**options):
        options.setdefault("connection_string", azure_server.connection_string)
        return Azure(azure_container, **options)

    return make_storage


@pytest.mark.sampled(4)
class TestConformance(StorageTests):
    @pytest.fixture
    def make_storage(self, azure_server, azure_container, monkeypatch):
        # What is made from a document or in another process finds its credentials there.
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
        return lambda **options: Azure(azure_container, **options)

    @pytest.fixture
    def secret_values(self, azure_server):
        return [azure_server.key]


def test_arguments_are_in_the_order_that_prefect_had():
    names = list(inspect.signature(Azure).parameters)
    assert names[:6] == [
        "container",
        "connection_string_secret",
        "blob_name",
        "overwrite",
        "stored_as_script",
        "local_script_path",
    ]
    assert list(inspect.signature(AzureResult).parameters)[:3] == [
        "container",
        "connection_string",
        "connection_string_secret",
    ]


def test_the_storage_is_found_by_its_name():
    from flowhold.storage import Azure as by_name

    assert by_name is Azure


@pytest.mark.parametrize(
    "statement", ["import flowhold_storage_azure.plugin", "from flowhold.storage import Azure",
                  "from flowhold.storage import Azure; Azure('flows').store, Azure('flows').result"]
)  # fmt: skip
def test_the_sdk_is_not_imported_before_it_is_needed(statement):
    program = f"{statement}\nimport sys\nassert not {{'azure', 'requests'}} & {{*sys.modules}}"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_flow_is_stored_loaded_and_run(make_storage):
    storage = make_storage()
    location = storage.add_flow(flowhold.flow(lambda: 42, name="My Flow"))
    assert location.startswith("my-flow/20")
    assert storage.build().get_flow("My Flow").run().result == 42


@pytest.mark.parametrize("name", ["blob_name", "key"])
def test_the_blob_has_the_name_that_is_given(make_storage, raw, name):
    storage = make_storage(**{name: "flows/{slug}.flow"})
    storage.add_flow(Flow("An ETL"))
    storage.build()
    assert [blob.name for blob in raw.list_blobs()] == ["flows/an-etl.flow"]
    assert storage.blob_name == storage.key == "flows/{slug}.flow"


def test_a_name_is_serialized_once(make_storage):
    document = make_storage(key="flows/{slug}").serialize()
    assert document["options"]["blob_name"] == "flows/{slug}"
    assert "key" not in document["options"]
    assert Storage.deserialize(document).blob_name == "flows/{slug}"


def test_two_names_are_refused():
    with pytest.raises(ConfigurationError, match="blob_name= and key= are the same"):
        Azure("flows", blob_name="a", key="b")


def test_a_blob_that_is_there_stays_unless_it_may_be_overwritten(make_storage):
    make_storage(blob_name="flow").add_flow(Flow("one"))
    for name in ("one", "two"):
        storage = make_storage(blob_name="flow", overwrite=name == "one")
        storage.add_flow(Flow(name))
        if name == "one":
            storage.build()
            continue
        with pytest.raises(ObjectExistsError, match="another object is at flow already") as caught:
            storage.build()
        assert "overwrite=True" in caught.value.hint
    storage = make_storage(blob_name="flow", overwrite=True)
    storage.add_flow(Flow("two"))
    assert storage.build().get_flow("two").name == "two"


def test_every_option_survives_a_round_trip(azure_container):
    options = {
        "connection_string_secret": "AZURE",
        "blob_name": "x/{slug}",
        "overwrite": True,
        "account_url": "https://account.blob.core.windows.net",
        "client_options": {"connection_verify": "ca.pem"},
        "timeout": 5,
        "retries": 1,
        "labels": ["a"],
        "add_default_labels": False,
        "secrets": ["OTHER"],
        "pickle_modules": ["json"],
    }
    document = json.loads(json.dumps(Azure(azure_container, **options).serialize()))
    again = Storage.deserialize(document)
    assert again.serialize() == document
    options["secrets"] = ["OTHER", "AZURE"]
    assert {name: getattr(again, name) for name in options} == options


CANARY = "Q0FOQVJZ"
SECRETIVE = f"AccountName=account;AccountKey={CANARY}"


@pytest.fixture(params=["connection_string", "credential"])
def secretive(request):
    return Azure(
        "flows",
        account_url="https://account.blob.core.windows.net",
        **{request.param: SECRETIVE},
    )


def test_credentials_are_neither_serialized_nor_shown_nor_pickled(secretive):
    assert CANARY not in json.dumps(secretive.serialize())
    assert CANARY not in repr(secretive)
    assert CANARY.encode() not in pickle.dumps(secretive)
    assert CANARY not in repr(secretive.result)
    assert CANARY not in json.dumps(secretive.result.serialize())
    assert CANARY.encode() not in pickle.dumps(secretive.result)
    assert CANARY not in repr(secretive.store)
    assert CANARY.encode() not in pickle.dumps(secretive.store)


def test_a_pickled_storage_keeps_the_name_of_the_blob():
    again = pickle.loads(pickle.dumps(Azure("flows", blob_name="x", connection_string=SECRETIVE)))
    assert (again.blob_name, again.connection_string) == ("x", None)


def test_a_stored_flow_holds_no_credentials(make_storage, azure_server, raw, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
    storage = make_storage(connection_string_secret="AZURE")
    flow = Flow("etl", storage=storage, result=storage.result)
    storage.add_flow(flow)
    loaded = storage.build().get_flow("etl")
    storage.add_flow(Flow("again", result=loaded.result))
    storage.build()
    for blob in raw.list_blobs():
        assert azure_server.key.encode() not in raw.download_blob(blob.name).readall()


def test_the_environment_is_not_looked_at_when_a_storage_is_made(monkeypatch, azure_server):
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
    storage = Azure("flows")
    assert azure_server.key not in repr(vars(storage))
    assert azure_server.key not in repr(vars(storage.store))
    assert azure_server.key not in repr(vars(storage.result))


@pytest.mark.parametrize("kind", [Azure, AzureResult])
def test_an_account_url_with_a_signature_is_refused(kind):
    url = f"https://account.blob.core.windows.net/?sv=2024&sig={CANARY}"
    with pytest.raises(ConfigurationError) as caught:
        kind("flows", account_url=url)
    assert CANARY not in str(caught.value)
    assert "credential=" in caught.value.hint


def test_results_go_into_the_container_and_come_back(make_storage, azure_server, raw, monkeypatch):
    written = make_storage().result.write({"a": 1}, flow="etl", task="load", run_id="7")
    assert [blob.name for blob in raw.list_blobs()] == ["results/etl/load/7"]
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
    again = flowhold.Result.deserialize(json.loads(json.dumps(written.serialize())))
    assert again.read().value == {"a": 1}
    assert pickle.loads(pickle.dumps(written)).read().value == {"a": 1}


def test_a_result_takes_a_connection_string_at_the_place_that_prefect_had(
    azure_server, azure_container
):
    result = AzureResult(azure_container, azure_server.connection_string, prefix="p")
    assert result.write(1, flow="f", task="t", run_id="r").read().value == 1
    assert repr(result) == f"<AzureResult: {result.location} in az://{azure_container}/p>"
