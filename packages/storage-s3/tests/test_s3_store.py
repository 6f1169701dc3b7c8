"""S3Store: uploads in parts, conflicts, listings and large objects."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.config import Config

from flowhold.catalog import Catalog
from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    ObjectExistsError,
    StorageUnavailableError,
)
from flowhold.reference import Reference
from flowhold.testing.faults import LoseAnswer, Reset, Status
from flowhold_storage_s3 import S3Store
from flowhold_storage_s3 import store as module

MIB = 1 << 20
CONFLICT = Status(409, b"<Error><Code>ConditionalRequestConflict</Code></Error>")


@pytest.fixture
def store(s3_bucket, via, monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    return S3Store(s3_bucket, client_options=via, retries=2)


@pytest.mark.parametrize(("size", "asks"), [(0, False), (MIB, False), (MIB + 1, True)])
def test_a_server_is_asked_whether_it_wants_a_body_only_where_that_is_large(
    store, proxy, size, asks
):
    store.put("key", io.BytesIO(bytes(size)))
    [request] = proxy.requests
    assert ("Expect" in request.headers) == asks
    assert store.head("key").size == size


class TestInParts:
    """What is above 5 GiB, or what takes its place here."""

    DATA = os.urandom(12 * MIB)

    @pytest.fixture(autouse=True)
    def _less(self, monkeypatch):
        monkeypatch.setattr(module, "_MOST_IN_ONE", 6 * MIB)
        monkeypatch.setattr(module, "_PART", 5 * MIB)

    @staticmethod
    def finishing(request):
        return request.method == "POST" and "uploadId=" in request.target

    def left_over(self, store):
        return store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", [])

    @pytest.mark.parametrize("if_absent", [False, True])
    def test_the_last_request_has_the_condition(self, store, proxy, if_absent):
        info = store.put("key", io.BytesIO(self.DATA), if_absent=if_absent)
        assert [request.method for request in proxy.requests] == ["POST", *["PUT"] * 3, "POST"]
        assert proxy.requests[-1].headers["If-None-Match"] == ("*" if if_absent else None)
        assert store.get("key") == self.DATA
        assert (info.size, info.etag) == (len(self.DATA), store.head("key").etag)
        assert self.left_over(store) == []

    def test_each_part_has_a_checksum(self, store, proxy):
        store.put("key", self.DATA)
        for request in proxy.requests[1:4]:
            assert request.headers["x-amz-checksum-crc32"]

    def test_options_of_uploads_are_sent_where_they_belong(self, s3_bucket, via, proxy):
        options = {"StorageClass": "STANDARD_IA", "ExpectedBucketOwner": "123456789012"}
        store = S3Store(s3_bucket, client_options=via, upload_options=options)
        store.put("key", self.DATA)
        classes = [request.headers["x-amz-storage-class"] for request in proxy.requests]
        assert classes == ["STANDARD_IA", *[None] * 4]
        for request in proxy.requests:
            assert request.headers["x-amz-expected-bucket-owner"] == "123456789012"

    def test_a_conflict_stays_one_and_leaves_no_parts(self, store):
        store.put("key", b"other")
        with pytest.raises(ObjectExistsError):
            store.put("key", self.DATA, if_absent=True)
        assert store.get("key") == b"other"
        assert self.left_over(store) == []

    def test_a_failure_leaves_no_parts(self, store, proxy):
        proxy.fail(Status(403), when=lambda request: "partNumber=2" in request.target)
        with pytest.raises(AccessDeniedError):
            store.put("key", self.DATA)
        assert self.left_over(store) == []
        assert [*store.list()] == []

    def test_a_failure_stays_the_error_where_the_parts_cannot_be_removed_either(self, store, proxy):
        proxy.fail(Status(403), when=lambda request: "partNumber=2" in request.target)
        proxy.fail(Reset(), 100, "DELETE")
        with pytest.raises(AccessDeniedError):
            store.put("key", self.DATA)

    def test_a_part_is_sent_again(self, store, proxy):
        proxy.fail(Reset(), when=lambda request: "partNumber=2" in request.target)
        store.put("key", self.DATA)
        assert store.get("key") == self.DATA

    @pytest.mark.parametrize("if_absent", [False, True])
    def test_a_lost_last_answer_is_a_success(self, store, proxy, if_absent):
        proxy.fail(LoseAnswer(), when=self.finishing)
        info = store.put("key", self.DATA, if_absent=if_absent)
        assert info.size == len(self.DATA)
        assert store.get("key") == self.DATA

    def test_a_concurrent_write_begins_it_again(self, store, proxy):
        proxy.fail(CONFLICT, when=self.finishing)
        store.put("key", self.DATA, if_absent=True)
        assert store.get("key") == self.DATA
        assert self.left_over(store) == []


def test_a_concurrent_write_is_waited_for(store, proxy):
    proxy.fail(CONFLICT, 2)
    store.put("key", b"bytes", if_absent=True)
    assert store.get("key") == b"bytes"
    assert proxy.count("PUT") == 3


def test_a_concurrent_write_that_does_not_end(store, proxy):
    proxy.fail(CONFLICT, 100)
    with pytest.raises(StorageUnavailableError, match="somebody else"):
        store.put("key", b"bytes", if_absent=True)
    assert proxy.count("PUT") == 3


def test_the_winner_of_a_concurrent_write_stays(store, proxy):
    store.put("key", b"other")
    proxy.fail(CONFLICT)
    with pytest.raises(ObjectExistsError):
        store.put("key", b"bytes", if_absent=True)
    assert store.get("key") == b"other"


@pytest.mark.long
def test_a_catalog_of_more_than_a_page_is_complete(s3_bucket, at, proxy, via):
    store = S3Store(s3_bucket, "catalog", client_options=at)
    document = Reference("etl", {"type": "S3"}, "key", "pickle", version=1).to_json().encode()
    keys = [f"etl/{version:010}.json" for version in range(1, 2102)]
    with ThreadPoolExecutor(16) as executor:
        for _ in executor.map(lambda key: store.put(key, document), keys):
            pass
    catalog = Catalog(f"s3://{s3_bucket}/catalog")
    catalog.store = S3Store(s3_bucket, "catalog", client_options=via)
    assert catalog.versions("etl") == list(range(1, 2102))
    assert proxy.count() == 3


@pytest.mark.parametrize("url", ["s3://", "s3:///prefix", "s3://bucket?x=1", "s3://bucket/a//b"])
def test_urls_that_name_no_place(url):
    with pytest.raises(ConfigurationError):
        S3Store.from_url(url)


def test_a_url_names_bucket_and_folder():
    store = S3Store.from_url("s3://bucket/a/b%20c/", {"timeout": 3})
    assert (store.bucket, store.prefix, store.timeout) == ("bucket", "a/b c/", 3)
    assert repr(store) == "S3Store('s3://bucket/a/b c/')"


MEMORY = """
import json, re, sys
from pathlib import Path
from flowhold_storage_s3 import S3Store
side, url, bucket, size = sys.argv[1:]
store = S3Store(bucket, client_options={"endpoint_url": url})
store.put("warm", b"x" * 100_000)
store.get("warm")
data = bytes(int(size)) if side == "store" else b""
peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
before = peak()
if side == "store":
    store.put("large", [data])
else:
    assert len(store.get("large")) == int(size)
print(json.dumps(peak() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to know its memory")
@pytest.mark.parametrize("size", [64 * MIB, pytest.param(512 * MIB, marks=pytest.mark.long)])
def test_a_large_object_is_copied_once_at_most(s3_server, s3_bucket, size):
    for side, held in (("store", 0), ("load", size)):
        arguments = [side, s3_server.url, s3_bucket, str(size)]
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, *arguments], capture_output=True, text=True, check=True
        )
        grown = json.loads(done.stdout)
        print(f"{side}: {grown / MIB:.0f} MiB for {size / MIB:.0f}")
        assert grown <= held + 96 * MIB


def test_importing_the_plugin_imports_no_sdk():
    code = "import sys, flowhold_storage_s3.plugin; print([m for m in sys.modules if 'boto' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert Path(module.__file__).name == "store.py"


@pytest.mark.long
def test_each_configuration_has_a_client_of_its_own(s3_bucket, at):
    def store(seconds):
        options = {**at, "config": Config(read_timeout=seconds)}
        return S3Store(s3_bucket, client_options=options).client.meta.config.read_timeout

    assert [store(seconds) for seconds in range(1, 40)] == [*range(1, 40)]


@pytest.mark.parametrize("options", [{"config": 5}, {"config": {"s3": "path"}}, "abc"])
def test_options_that_boto3_does_not_take_are_a_wrong_option(s3_bucket, options):
    with pytest.raises(ConfigurationError):
        S3Store(s3_bucket, client_options=options).get("key")


@pytest.mark.parametrize("call", ["put", "list"])
def test_a_page_of_some_other_server_is_no_success(store, proxy, call):
    proxy.fail(Status(200, b"<html>Welcome to the console</html>"), 100)
    with pytest.raises(StorageUnavailableError, match=r"no server of S3|did not answer|reached"):
        store.put("key", b"bytes") if call == "put" else list(store.list())
