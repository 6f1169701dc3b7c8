"""AzureStore against a server: the conformance kit, large blobs, conditions, names and order."""

from __future__ import annotations

import base64
import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from flowhold.errors import (
    ConfigurationError,
    IntegrityError,
    ObjectExistsError,
    StorageError,
)
from flowhold.store import open_store
from flowhold.testing import ObjectStoreTests, RefusedAccessTests, replaces
from flowhold.testing.faults import Corrupt, LoseAnswer, Status
from flowhold.testing.stores.naming import DISTINCT, HELD
from flowhold_storage_azure import AzureStore

MIB = 1 << 20
REFUSED = ("backslash", "trailing dot", "dots")
REASON = (
    "Azure takes a backslash for a slash and drops a dot at the end of a name; both are refused"
)


@pytest.fixture
def store(azure_server, azure_container):
    return AzureStore(azure_container, connection_string=azure_server.connection_string)


@pytest.fixture
def through(azure_server, azure_container, proxy, no_backoff):
    """Return a function that gives a store behind the proxy."""

    def through(prefix="", **options):
        string = azure_server.connection_string_by(proxy.url)
        return AzureStore(azure_container, prefix, connection_string=string, **options)

    return through


@pytest.mark.sampled(5)
class TestConformance(ObjectStoreTests, RefusedAccessTests):
    @pytest.fixture
    def secret_values(self, azure_server):
        return [azure_server.key]

    @pytest.fixture
    def catalog_url(self, azure_server, azure_container, monkeypatch):
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
        return f"az://{azure_container}"

    @pytest.fixture
    def denied(self, azure_server, azure_container):
        key = base64.b64encode(b"another key").decode()
        string = azure_server.connection_string.replace(azure_server.key, key)
        return AzureStore(azure_container, connection_string=string)

    @replaces(reason=REASON)
    @pytest.mark.parametrize("kind", [kind for kind in HELD if kind not in REFUSED])
    def test_every_store_holds_keys_with(self, store, powers, kind):
        super().test_every_store_holds_keys_with(store, powers, HELD[kind])

    @replaces(reason=REASON)
    @pytest.mark.parametrize("several", DISTINCT.values(), ids=DISTINCT)
    def test_keys_stay_apart_that_differ_in(self, store, powers, several):
        held = [key for key in several if not key.endswith(".")]
        super().test_keys_stay_apart_that_differ_in(store, powers, held)

    @replaces(reason=REASON)
    def test_a_backslash_is_no_slash(self, store):
        with pytest.raises(ConfigurationError, match="takes a backslash for a slash"):
            store.put("a\\b", b"x")
        assert list(store.list()) == []

    @pytest.mark.parametrize("key", ["a\\b", "a.", "a./b"])
    def test_what_azure_would_take_for_another_key_is_refused(self, store, key):
        for call in (store.get, store.head, store.delete, lambda key: store.put(key, b"x")):
            with pytest.raises(ConfigurationError, match="cannot be the name of a blob"):
                call(key)
        assert list(store.list()) == []


class TestLarge:
    """Blobs that take several requests, which here are small ones."""

    SMALL = {"max_single_put_size": 1000, "max_block_size": 300, "max_single_get_size": 1000}  # noqa: RUF012
    OPTIONS = {"client_options": {**SMALL, "max_chunk_get_size": 400}}  # noqa: RUF012
    DATA = bytes(range(256)) * 8

    def test_one_request_writes_what_fits_into_it_and_more_go_in_blocks(self, through, proxy, raw):
        store = through(**self.OPTIONS)
        for size, requests in {0: 1, 1: 1, 1000: 1, 1001: 5, 2048: 8}.items():
            proxy.clear()
            store.put("object", self.DATA[:size])
            assert proxy.count("PUT") == proxy.count() == requests
            assert raw.download_blob("object").readall() == self.DATA[:size]

    def test_one_request_reads_what_fits_into_it_and_more_comes_in_ranges(self, through, proxy):
        store = through(**self.OPTIONS)
        for size, requests in {0: 2, 1: 1, 1000: 1, 1001: 2, 2048: 4}.items():
            store.put("object", self.DATA[:size])
            proxy.clear()
            assert store.get("object") == self.DATA[:size]
            assert proxy.count() == requests

    def test_a_large_blob_has_a_checksum_of_all_of_it(self, through, raw):
        through(**self.OPTIONS).put("object", self.DATA)
        found = raw.get_blob_client("object").get_blob_properties()
        assert bytes(found.content_settings.content_md5) == hashlib.md5(self.DATA).digest()

    def test_damage_on_the_way_is_found_in_any_part_of_a_large_blob(self, through, proxy):
        store = through(**self.OPTIONS)
        store.put("object", self.DATA)
        for number in range(4):
            proxy.clear()
            passed = iter(range(number))
            proxy.fail(Corrupt(7), when=lambda _, passed=passed: next(passed, None) is None)
            with pytest.raises(IntegrityError, match="arrived damaged"):
                store.get("object")
            assert not proxy.pending

    @pytest.mark.parametrize("size", [500, 2000])
    def test_damage_on_the_way_there_is_refused_by_the_server(self, through, proxy, size):
        proxy.fail(Corrupt(7, request=True))
        with pytest.raises(IntegrityError, match="arrived damaged"):
            through(**self.OPTIONS).put("object", self.DATA[:size])
        assert not proxy.pending
        assert not list(through().list())

    def test_a_large_blob_is_created_once(self, through):
        store = through(**self.OPTIONS)
        store.put("object", self.DATA, if_absent=True)
        with pytest.raises(ObjectExistsError):
            store.put("object", self.DATA[::-1], if_absent=True)
        assert store.get("object") == self.DATA

    def test_a_large_blob_whose_last_answer_was_lost_is_no_conflict(self, through, proxy):
        store = through(**self.OPTIONS)
        proxy.fail(LoseAnswer(), when=lambda request: "comp=blocklist" in request.target)
        store.put("object", self.DATA, if_absent=True)
        assert not proxy.pending
        assert store.get("object") == self.DATA

    def test_blocks_that_another_writer_made_the_server_drop_are_sent_again(self, through, proxy):
        store = through(**self.OPTIONS)

        def meanwhile(request):
            if "comp=blocklist" in request.target and not others:
                others.append(request)
                through("").put("object", b"another's")

        others = []
        proxy.intercept = meanwhile
        store.put("object", self.DATA)
        assert store.get("object") == self.DATA
        others.clear()
        with pytest.raises(ObjectExistsError):
            store.put("object", self.DATA, if_absent=True)

    def test_of_many_writers_at_once_each_writes_all_or_nothing(self, through):
        store = through(**self.OPTIONS, retries=20)
        written = [bytes([number]) * 1500 for number in range(6)]
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(lambda data: store.put("object", data), written))
        assert store.get("object") in written

    def test_of_many_creators_of_a_large_blob_one_wins(self, through):
        store = through(**self.OPTIONS)

        def create(number):
            try:
                store.put("object", bytes([number]) * 1500, if_absent=True)
            except ObjectExistsError:
                return None
            return number

        with ThreadPoolExecutor(6) as threads:
            winners = [number for number in threads.map(create, range(6)) if number is not None]
        assert [bytes([number]) * 1500 for number in winners] == [store.get("object")]

    def test_a_large_blob_that_is_replaced_while_it_is_read_is_an_error(self, through):
        store = through(**self.OPTIONS)
        store.put("object", self.DATA)
        with store.open("object") as stream:
            stream.read(500)
            store.put("object", self.DATA[::-1])
            with pytest.raises(StorageError, match="replaced while it was read"):
                stream.read()

    def test_a_download_that_never_comes_is_given_up(self, through, proxy):
        store = through(**self.OPTIONS, retries=1)
        store.put("object", self.DATA)
        proxy.clear()
        proxy.fail(
            Status(503), 100, when=lambda request: "0-999" not in request.headers["x-ms-range"]
        )
        with pytest.raises(StorageError):
            store.get("object")
        assert proxy.count() == 1 + 2


def test_requests_go_by_a_proxy_as_soon_as_one_is_named(through, goes_by_proxies):
    assert goes_by_proxies(through(retries=0))


def test_a_listing_comes_in_pages(through, proxy, monkeypatch):
    store = through("folder")
    keys = [f"{number:02}" for number in range(10)]
    for key in keys:
        store.put(key, b"x")
    through("folder-beside").put("00", b"x")
    monkeypatch.setattr("flowhold_storage_azure.store._PAGE", 3)
    proxy.clear()
    assert [info.key for info in store.list()] == keys
    assert proxy.count() == 4
    proxy.clear()
    assert next(iter(store.list())).key == "00"
    assert proxy.count() == 1


def test_a_listing_is_in_byte_order_though_azure_sorts_utf_16(store):
    keys = [
        "a",
        "a\ud7ff",
        "a\ue000/b",
        "a\ue000\uff5e",
        "a\ue000\U0001f680",
        "a\uff5e",
        "a\U0001f680",
    ]
    for key in [*keys, "b\U0001f680", "b\uff5e", "é"]:
        store.put(key, b"x")
    found = [info.key for info in store.list()]
    assert found == sorted(found, key=str.encode)
    assert found[:7] == keys
    assert [info.key for info in store.list("a", "a\ue000/b")] == keys[3:]


def test_an_object_of_a_store_with_a_prefix_is_a_blob_below_it(store, azure_container, raw):
    inner = AzureStore(azure_container, "/team/flows/", connection_string=store._connection_string)
    assert inner.put("etl/1", b"x").key == "etl/1"
    assert [blob.name for blob in raw.list_blobs()] == ["team/flows/etl/1"]
    assert [info.key for info in inner.list("etl")] == ["etl/1"]
    assert repr(inner) == f"AzureStore('az://{azure_container}/team/flows/')"


def test_a_url_opens_the_store(azure_server, azure_container, store):
    store.put("a b/c", b"x")
    options = {"connection_string": azure_server.connection_string}
    assert open_store(f"az://{azure_container}/a%20b", options).get("c") == b"x"
    for url in ("az://", f"az://{azure_container}?sv=1&sig=abc"):
        with pytest.raises(ConfigurationError, match="does not name a bucket"):
            open_store(url, options)


def test_a_pickled_store_has_neither_client_nor_credentials(azure_server, store, monkeypatch):
    store.put("object", b"x")
    data = pickle.dumps(store)
    assert azure_server.key.encode() not in data
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
    assert pickle.loads(data).get("object") == b"x"
