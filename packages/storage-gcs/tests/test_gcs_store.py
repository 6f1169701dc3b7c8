"""What GCSStore sends to the service, and what it makes of the answers."""

from __future__ import annotations

import pickle
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from flowhold.errors import (
    ConfigurationError,
    IntegrityError,
    ObjectExistsError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.store import open_store
from flowhold.testing.faults import Corrupt, FaultProxy, LoseAnswer, Reset, Status, Truncate
from flowhold_storage_gcs import GCSStore

MIB = 1 << 20


@pytest.fixture
def proxy(front, bucket, monkeypatch, no_backoff):
    with FaultProxy(front.url) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        yield proxy


@pytest.fixture
def store(bucket, proxy):
    return GCSStore(bucket)


def sent(proxy):
    return [request.method for request in proxy.requests]


def test_requests_go_by_a_proxy_as_soon_as_one_is_named(store, goes_by_proxies):
    assert goes_by_proxies(store)


def test_only_a_create_is_sent_on_condition_that_nothing_is_there(store, proxy):
    store.put("a", b"1", if_absent=True)
    store.put("a", b"2")
    create, put = proxy.requests
    assert "ifGenerationMatch=0" in create.target
    assert "ifGenerationMatch" not in put.target


def test_a_large_create_is_on_condition_too_and_costs_a_request_for_each_16_mib(store, proxy):
    data = bytes(range(256)) * (20 * 4096)
    store.put("a", data, if_absent=True)
    assert sent(proxy) == ["POST", "PUT", "PUT"]
    assert all("ifGenerationMatch=0" in request.target for request in proxy.requests)
    proxy.clear()
    with pytest.raises(ObjectExistsError):
        store.put("a", data, if_absent=True)
    assert sent(proxy) == ["POST"]


def test_one_of_several_large_creates_at_once_wins(store):
    barrier = threading.Barrier(3)

    def create(number):
        barrier.wait()
        try:
            store.put("a", bytes([number]) * 9 * MIB, if_absent=True)
        except ObjectExistsError:
            return None
        return number

    with ThreadPoolExecutor(3) as executor:
        (winner,) = {*executor.map(create, range(3))} - {None}
    assert store.get("a") == bytes([winner]) * 9 * MIB


def test_nothing_is_asked_about_the_bucket(store, proxy, bucket):
    store.put("a", b"")
    store.get("a")
    store.head("a")
    [*store.list()]
    store.delete("a")
    assert sent(proxy) == ["POST", "GET", "GET", "GET", "DELETE"]
    asked = [request.target.partition("?")[0] for request in proxy.requests]
    assert not any(path.endswith(f"/b/{bucket}") for path in asked)
    assert [thread for thread in threading.enumerate() if "fetch" in thread.name] == []


def test_bytes_that_change_on_the_way_up_are_never_stored(store, proxy):
    for size, method in ((9 * MIB, "PUT"), (4096, "POST")):
        proxy.fail(Corrupt(size // 2, request=True), 1, method)
        with pytest.raises(IntegrityError, match="did not arrive as it was sent"):
            store.put("a", b"x" * size)
        with pytest.raises(FileNotFoundError):
            store.get("a")


def test_bytes_that_change_on_the_way_down_are_an_integrity_error(store, proxy):
    store.put("a", b"x" * 4096)
    proxy.fail(Corrupt(100))
    with pytest.raises(IntegrityError):
        store.get("a")


def test_a_download_goes_on_with_the_same_generation_only(store, proxy):
    etag = store.put("a", b"x" * (3 * MIB)).etag
    proxy.clear()
    proxy.fail(Truncate(2 * MIB))
    assert store.get("a") == b"x" * (3 * MIB)
    again = proxy.requests[1]
    assert again.headers["Range"] == f"bytes={2 * MIB}-"
    assert f"ifGenerationMatch={etag}" in again.target


def test_an_object_of_no_bytes_and_one_of_compressed_bytes_come_as_they_are_stored(store, bucket):
    import gzip

    store.put("empty", b"")
    blob = store.client.bucket(bucket).blob("compressed")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(b"x" * 1000, mtime=0))
    assert store.get("empty") == b""
    assert gzip.decompress(store.get("compressed")) == b"x" * 1000


def test_etag_is_the_generation_wherever_it_is_asked_for(store):
    put = store.put("a", b"1")
    assert store.head("a").etag == put.etag
    assert [info.etag for info in store.list()] == [put.etag]
    assert store.put("a", b"2").etag != put.etag


def test_lists_ask_for_nothing_but_what_is_used(store, proxy):
    store.put("a/b", b"1")
    proxy.clear()
    assert [info.key for info in store.list("a/", "a/a")] == ["a/b"]
    (request,) = proxy.requests
    for part in ("maxResults=1000", "prefix=a%2F", "startOffset=a%2Fa", "fields=items"):
        assert part in request.target


def test_a_list_goes_on_to_the_next_page(store, proxy, monkeypatch):
    monkeypatch.setattr("flowhold_storage_gcs.store._PAGE", 2)
    keys = [f"n/{number}" for number in range(5)]
    for key in keys:
        store.put(key, b"")
    proxy.clear()
    assert [info.key for info in store.list("n/")] == keys
    assert sent(proxy) == ["GET"] * 3


@pytest.mark.parametrize("lost", [410, 404])
def test_a_large_upload_whose_session_is_lost_begins_anew(store, proxy, lost):
    data = bytes(range(256)) * (17 * 4096)
    proxy.fail(Status(lost), 1, "PUT")
    store.put("a", data, if_absent=True)
    assert store.get("a") == data
    assert sent(proxy)[:5] == ["POST", "PUT", "POST", "PUT", "PUT"]


def test_a_large_upload_of_which_less_was_taken_than_sent_begins_anew(store, proxy):
    data = bytes(range(256)) * (17 * 4096)
    proxy.fail(Status(308, headers={"Range": f"bytes=0-{MIB - 1}"}), 1, "PUT")
    store.put("a", data)
    assert store.get("a") == data


def test_a_large_upload_that_is_lost_every_time_is_given_up(store, proxy):
    proxy.fail(Status(410), 100, "PUT")
    with pytest.raises(StorageUnavailableError, match=r"upload of gs://.*/a was lost"):
        store.put("a", b"x" * 9 * MIB)
    assert sent(proxy) == ["POST", "PUT"] * 4


@pytest.mark.parametrize("fault", [Reset(), Status(503), LoseAnswer()], ids=repr)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_large_create_survives_a_fault_of_any_request(store, proxy, fault, method):
    data = bytes(range(256)) * (9 * 4096)
    proxy.fail(fault, 1, method)
    store.put("a", data, if_absent=True)
    assert store.get("a") == data


def test_the_id_of_an_upload_is_not_shown(store, proxy):
    with socket.create_server(("127.0.0.1", 0)) as free:
        session = f"http://127.0.0.1:{free.getsockname()[1]}/upload?upload_id=SHHH&b=c"
    proxy.fail(Status(200, headers={"Location": session}))
    with pytest.raises(StorageUnavailableError, match="upload_id=…&b=c"):
        store.put("a", b"x" * 9 * MIB)


def test_a_missing_bucket_is_not_a_missing_object(proxy):
    store = GCSStore("no-such-bucket")
    for call in (
        lambda: store.put("a", b"", if_absent=True),
        lambda: store.put("a", b"x" * 9 * MIB),
        lambda: store.get("a"),
        lambda: store.head("a"),
        lambda: [*store.list()],
        lambda: store.delete("a"),
    ):
        with pytest.raises(StorageError, match=r"the bucket of .* does not exist") as caught:
            call()
        assert not isinstance(caught.value, FileNotFoundError)


def test_a_name_that_no_bucket_can_have_is_told(proxy):
    with pytest.raises(ConfigurationError, match="'-b' cannot be a bucket"):
        GCSStore("-b").head("a")
    assert proxy.count() == 0


def test_a_prefix_is_a_store_of_its_own(bucket, store):
    inner = open_store(f"gs://{bucket}/some%20folder/")
    inner.put("a", b"1")
    store.put("some folder.txt", b"2")
    assert [info.key for info in inner.list()] == ["a"]
    assert store.get("some folder/a") == b"1"
    assert repr(inner) == f"GCSStore('gs://{bucket}/some folder/')"


def test_a_client_is_made_once_for_a_configuration(bucket, proxy):
    client = GCSStore(bucket).client
    assert GCSStore("other", "prefix", timeout=1, retries=0).client is client
    assert GCSStore(bucket, project="p").client is not client
    assert GCSStore(bucket, client_options={"api_endpoint": proxy.url}).client is not client


def test_a_store_that_was_used_can_be_pickled(store):
    store.put("a", b"1")
    again = pickle.loads(pickle.dumps(store))
    assert again.get("a") == b"1"
    assert again.client is store.client


def test_retries_can_be_switched_off(bucket, proxy):
    proxy.fail(Status(503), 100)
    with pytest.raises(StorageUnavailableError):
        GCSStore(bucket, retries=0).get("a")
    assert proxy.count() == 1


def test_project_and_endpoint_are_those_of_the_client(bucket, front, proxy):
    options = {"api_endpoint": front.url}
    client = GCSStore(bucket, project="mine", client_options=options).client
    assert (client.project, client.api_endpoint) == ("mine", front.url)
    client = GCSStore(bucket).client
    assert (client.project, client.api_endpoint) == (None, proxy.url)
