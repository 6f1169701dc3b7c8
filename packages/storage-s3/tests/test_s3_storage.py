"""S3: its arguments, which credentials it uses, and what of them is written down."""

from __future__ import annotations

import inspect
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import flowhold
from flowhold.errors import (
    ConfigurationError,
    ObjectNotFoundError,
    SecretNotFoundError,
    UnverifiedError,
)
from flowhold.storage import Storage
from flowhold_storage_s3 import S3, S3Result, S3Store

KEYS = {"aws_access_key_id": "explicit-id", "aws_secret_access_key": "explicit-secret"}
SCRIPT = "import flowhold\n\n@flowhold.flow\ndef etl():\n    return {}\n"


@flowhold.flow
def etl():
    return 42


def signer(request):
    """Return the key id that a request was signed with."""
    return request.headers["Authorization"].partition("Credential=")[2].partition("/")[0]


def again(storage):
    return Storage.deserialize(json.loads(json.dumps(storage.serialize())))


def test_arguments_come_in_the_order_that_prefect_1_had():
    parameters = inspect.signature(S3).parameters.values()
    assert [item.name for item in parameters if item.kind is item.POSITIONAL_OR_KEYWORD] == [
        "bucket",
        "key",
        "stored_as_script",
        "local_script_path",
        "client_options",
        "upload_options",
    ]


def test_it_is_what_flowhold_storage_has():
    from flowhold.storage import S3 as found

    assert found is S3


def test_a_flow_comes_back_from_another_storage_of_its_description(s3_bucket, at):
    storage = S3(s3_bucket, client_options=at)
    location = storage.add_flow(etl)
    assert location.startswith("etl/")
    storage.build()
    assert again(storage).get_flow("etl").run().result == 42
    assert repr(storage) == f"<Storage: S3 bucket={s3_bucket!r}>"


class TestCredentials:
    @pytest.fixture
    def used(self, s3_bucket, via, proxy, monkeypatch):
        """Return a function that tells by which key a storage of some options signs."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "chain-id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "chain-secret")

        def used(client_options=(), **options):
            storage = S3(s3_bucket, client_options={**via, **dict(client_options)}, **options)
            storage.add_flow(etl)
            proxy.clear()
            storage.build()
            return signer(proxy.requests[0])

        return used

    def test_the_secret_comes_first(self, used):
        secret = {"ACCESS_KEY": "secret-id", "SECRET_ACCESS_KEY": "x", "SESSION_TOKEN": "t"}
        with flowhold.secrets({"AWS_CREDENTIALS": json.dumps(secret)}):
            assert used(secrets=["AWS_CREDENTIALS"], **KEYS) == "secret-id"

    def test_the_secret_is_not_looked_at_where_it_is_not_listed(self, used):
        with flowhold.secrets({"AWS_CREDENTIALS": "{}"}):
            assert used() == "chain-id"

    def test_arguments_come_before_what_boto3_finds(self, used):
        assert used(**KEYS) == "explicit-id"

    def test_so_do_those_among_client_options(self, used):
        assert used(client_options=KEYS) == "explicit-id"

    def test_what_boto3_finds_comes_last(self, used):
        assert used() == "chain-id"

    def test_another_environment_is_another_client(self, used, monkeypatch):
        assert used() == "chain-id"
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "changed-id")
        assert used() == "changed-id"

    def test_the_token_is_sent(self, s3_bucket, via, proxy):
        S3Store(s3_bucket, client_options={**via, **KEYS, "aws_session_token": "tok"}).put("k", b"")
        assert proxy.requests[0].headers["X-Amz-Security-Token"] == "tok"

    def test_a_secret_that_nobody_knows(self, used):
        with pytest.raises(SecretNotFoundError, match="AWS_CREDENTIALS"):
            used(secrets=["AWS_CREDENTIALS"])

    @pytest.mark.parametrize("text", ["not json", "[]", '{"ACCESS_KEY": "canary"}', '"canary"'])
    def test_a_secret_that_is_something_else_is_not_shown(self, used, text):
        with flowhold.secrets({"AWS_CREDENTIALS": text}), pytest.raises(ConfigurationError) as got:
            used(secrets=["AWS_CREDENTIALS"])
        assert "AWS_CREDENTIALS" in str(got.value)
        assert "canary" not in f"{got.value} {got.value.hint} {got.value.__context__!r}"


@pytest.mark.parametrize("among_client_options", [False, True])
def test_credentials_are_used_but_never_written_down(s3_bucket, at, among_client_options):
    keys = {**KEYS, "aws_session_token": "explicit-token"}
    storage = (
        S3(s3_bucket, client_options={**at, **keys})
        if among_client_options
        else S3(s3_bucket, client_options=at, **keys)
    )
    storage.add_flow(etl)
    storage.build()
    etl.storage = storage
    try:
        written = [
            json.dumps(storage.serialize()),
            storage.references()[0].to_json(),
            repr(pickle.dumps(storage)),
            repr(pickle.dumps(storage.store)),
            repr(pickle.dumps(storage.result)),
            json.dumps(storage.result.serialize()),
            repr(storage.store.get(storage.flows["etl"])),
            f"{storage!r} {storage.store!r} {storage.result!r}",
        ]
    finally:
        etl.storage = None
    for text in written:
        assert "explicit" not in text
    pickled = pickle.loads(pickle.dumps(storage))
    assert pickled.aws_secret_access_key is None
    assert pickled.get_flow("etl").run().result == 42


def test_a_pickled_store_has_no_client(s3_bucket, at):
    store = S3Store(s3_bucket, client_options=at)
    store.put("key", b"bytes")
    assert vars(store)["_made"]
    assert not vars(pickle.loads(pickle.dumps(store)))["_made"]
    assert pickle.loads(pickle.dumps(store)).get("key") == b"bytes"


def test_options_survive_the_round_trip_and_are_sent(s3_bucket, via, proxy):
    uploads = {"StorageClass": "STANDARD_IA", "Metadata": {"team": "data"}}
    first = S3(s3_bucket, client_options=via, upload_options=uploads, timeout=7, retries=1)
    storage = again(first)
    assert (storage.upload_options, storage.client_options) == (uploads, via)
    assert (storage.timeout, storage.retries) == (7, 1)
    storage.add_flow(etl)
    storage.build()
    assert proxy.requests[0].headers["x-amz-storage-class"] == "STANDARD_IA"
    assert proxy.requests[0].headers["x-amz-meta-team"] == "data"
    assert proxy.requests[0].headers["If-None-Match"] == "*"


def test_a_key_of_the_customers_own_is_refused(s3_bucket):
    with pytest.raises(ConfigurationError, match="SSECustomerKey") as caught:
        S3(s3_bucket, upload_options={"SSECustomerKey": "canary"})
    assert "canary" not in str(caught.value)
    assert "aws:kms" in caught.value.hint


def test_config_is_a_mapping_and_goes_before_ours(s3_bucket, at):
    config = {"s3": {"addressing_style": "path"}, "read_timeout": 5}
    storage = again(S3(s3_bucket, client_options={**at, "config": config}, timeout=9))
    made = storage.store.client.meta.config
    assert (made.read_timeout, made.connect_timeout) == (5, 9)
    assert made.s3["addressing_style"] == "path"
    assert made.retries["total_max_attempts"] == 4


def test_config_can_be_an_object_of_botocore_where_nothing_is_serialized(s3_bucket, at):
    from botocore.config import Config

    storage = S3(s3_bucket, client_options={**at, "config": Config(read_timeout=5)})
    storage.store.put("key", b"")
    assert storage.store.client.meta.config.read_timeout == 5
    with pytest.raises(ConfigurationError, match="client_options"):
        storage.serialize()


def test_the_region_is_optional(s3_bucket, at, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    storage = S3(s3_bucket, client_options=at)
    storage.add_flow(etl)
    assert storage.build().get_flow("etl").run().result == 42


def test_the_bucket_is_in_the_path_where_the_endpoint_is_an_address(s3_bucket, via, proxy):
    S3Store(s3_bucket, client_options=via).put("key", b"")
    assert proxy.requests[0].target == f"/{s3_bucket}/key"


def test_clients_are_made_once_for_each_configuration(s3_bucket, at):
    first, other = S3(s3_bucket, client_options=at), S3("other", client_options=dict(at))
    with ThreadPoolExecutor(8) as executor:
        made = [*executor.map(lambda _: S3Store("a", client_options=at).client, range(16))]
    assert {id(first.store.client), id(other.store.client), *map(id, made)} == {id(made[0])}
    assert S3Store("a", client_options=at, timeout=5).client is not made[0]
    assert S3Store("a", client_options={**at, **KEYS}).client is not made[0]


def test_threads_share_a_storage(s3_bucket, at):
    storage = S3(s3_bucket, client_options=at)
    for number in range(20):
        storage.add_flow(flowhold.flow(lambda number=number: number, name=f"flow {number}"))
    storage.build()
    start, restored = threading.Barrier(8), again(storage)

    def load(worker):
        start.wait()
        return [restored.get_flow(f"flow {n}").run().result for n in range(20)]

    with ThreadPoolExecutor(8) as executor:
        assert [*executor.map(load, range(8))] == [[*range(20)]] * 8


class TestScripts:
    @pytest.fixture
    def script(self, tmp_path):
        path = tmp_path / "work" / "etl.py"
        path.write_text(SCRIPT.format(1))
        return path

    def test_a_script_is_uploaded_as_it_is(self, s3_bucket, at, script):
        storage = S3(s3_bucket, "etl.py", True, str(script), at)
        storage.add_flow(etl)
        storage.build()
        assert storage.store.get("etl.py") == script.read_bytes()
        assert again(storage).get_flow("etl").run().result == 1
        assert storage.references()[0].pinned
        assert "local_script_path" not in storage.serialize()

    def test_a_script_that_is_there_already_floats(self, s3_bucket, via, proxy, script):
        store = S3Store(s3_bucket, client_options=via)
        store.put("flows/etl.py", script.read_bytes())
        proxy.clear()
        storage = S3(s3_bucket, key="flows/etl.py", stored_as_script=True, client_options=via)
        storage.add_flow(etl)
        storage.build()
        assert proxy.count() == 0
        assert not storage.references()[0].pinned
        restored = again(storage)
        assert restored.get_flow("etl").run().result == 1
        store.put("flows/etl.py", SCRIPT.format(2).encode())
        assert restored.get_flow("etl").run().result == 2

    def test_it_has_to_be_there(self, s3_bucket, at):
        storage = S3(s3_bucket, key="none.py", stored_as_script=True, client_options=at)
        storage.add_flow(etl)
        with pytest.raises(ObjectNotFoundError, match=r"s3://.*/none\.py"):
            storage.build().get_flow("etl")

    def test_without_script_and_key_an_error_says_what_to_give(self, s3_bucket, at):
        storage = S3(s3_bucket, stored_as_script=True, client_options=at)
        with pytest.raises(ConfigurationError) as caught:
            storage.add_flow(etl)
        assert "local_script_path" in f"{caught.value} {caught.value.hint}"

    def test_a_bare_key_is_not_unpickled(self, s3_bucket, at):
        storage = S3(s3_bucket, client_options=at)
        location = storage.add_flow(etl)
        storage.build()
        bare = S3(s3_bucket, client_options=at)
        with pytest.raises((UnverifiedError, ValueError)):
            bare.get_flow(location)
        assert bare.get_flow(location, allow_unverified=True).run().result == 42


class TestResults:
    def test_the_default_result_reaches_the_same_server(self, s3_bucket, at):
        result = S3(s3_bucket, client_options=at).result
        assert isinstance(result, S3Result)
        written = result.write({"rows": 3}, flow="etl", task="t", run_id="1")
        restored = type(result).deserialize(json.loads(json.dumps(written.serialize())))
        assert restored.read().value == {"rows": 3}
        assert S3Store(s3_bucket, client_options=at).head("results/etl/t/1").size

    def test_on_another_machine_its_credentials_come_from_the_secret(
        self, s3_bucket, via, proxy, monkeypatch
    ):
        secret = {"ACCESS_KEY": "secret-id", "SECRET_ACCESS_KEY": "x"}
        storage = S3(s3_bucket, client_options=via, secrets=["AWS_CREDENTIALS"])
        document = json.dumps(storage.result.serialize())
        assert "secret-id" not in document
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("FLOWHOLD_SECRET_AWS_CREDENTIALS", json.dumps(secret))
        restored = S3Result.deserialize(json.loads(document))
        written = restored.write([1], flow="etl", task="t", run_id="1")
        assert written.read().value == [1]
        assert {signer(request) for request in proxy.requests} == {"secret-id"}

    def test_arguments_of_prefect_1_are_taken(self, s3_bucket, at):
        for result in (S3Result(s3_bucket, at), S3Result(s3_bucket, boto3_kwargs=at)):
            assert result.write(1, flow="f", task="t", run_id="r").read().value == 1

    def test_upload_options_are_sent(self, s3_bucket, via, proxy):
        result = S3Result(s3_bucket, via, {"StorageClass": "STANDARD_IA"})
        result.write(1, flow="f", task="t", run_id="r")
        assert proxy.requests[0].headers["x-amz-storage-class"] == "STANDARD_IA"

    @pytest.mark.parametrize("among_client_options", [False, True])
    def test_credentials_are_used_but_never_written_down(
        self, s3_bucket, via, proxy, among_client_options
    ):
        result = (
            S3Result(s3_bucket, {**via, **KEYS})
            if among_client_options
            else S3Result(s3_bucket, via, **KEYS)
        )
        written = result.write(1, flow="f", task="t", run_id="r")
        assert signer(proxy.requests[0]) == "explicit-id"
        for text in (repr(written), json.dumps(written.serialize()), repr(pickle.dumps(written))):
            assert "explicit" not in text
        assert pickle.loads(pickle.dumps(written)).read().value == 1


def test_build_stores_each_flow_by_one_request(s3_bucket, via, proxy):
    storage = S3(s3_bucket, client_options=via)
    for number in range(30):
        storage.add_flow(flowhold.flow(lambda: 1, name=f"flow {number}"))
    storage.build()
    assert [request.method for request in proxy.requests] == ["PUT"] * 30
    storage.build()
    assert proxy.count() == 30
