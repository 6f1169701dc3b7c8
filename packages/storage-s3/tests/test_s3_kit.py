"""S3Store and S3 hold what every store and storage has to."""

from __future__ import annotations

import logging
from functools import partial

import pytest

from flowhold.testing import ObjectStoreTests, StorageTests, replaces
from flowhold.testing.stores.catalogs import CatalogTests
from flowhold.testing.stores.deleting import DeletingTests
from flowhold.testing.stores.listing import ListingTests
from flowhold.testing.stores.reading import ReadingTests
from flowhold_storage_s3 import S3, S3Store

SECRETS = ("canary-key-id", "canary-secret-key", "canary-token")


@pytest.fixture
def at_with_keys(at):
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    return {**at, **dict(zip(names, SECRETS, strict=True))}


@pytest.mark.sampled(6)
class TestStore(ObjectStoreTests):
    @pytest.fixture
    def store(self, s3_bucket, at_with_keys):
        return S3Store(s3_bucket, client_options=at_with_keys)

    @pytest.fixture
    def secret_values(self):
        return SECRETS

    @replaces(
        reason="botocore logs what it signs at DEBUG: key id and token, but not the secret key"
    )
    def test_logs_show_no_secret(self, store, caplog):
        caplog.set_level(logging.INFO)
        store.put("object", b"bytes")
        assert caplog.text == ""
        caplog.set_level(logging.DEBUG)
        store.get("object")
        assert "canary-key-id" in caplog.text
        assert "canary-secret-key" not in caplog.text


@pytest.mark.sampled(6)
class TestStoreInFolder(ReadingTests, ListingTests, DeletingTests, CatalogTests):
    @pytest.fixture
    def store(self, s3_bucket, at):
        beside = S3Store(s3_bucket, client_options=at)
        for key in ("a folder", "a folder/of", "a folder/of it.txt", "b"):
            beside.put(f"{key}/beside", b"of others")
        return S3Store(s3_bucket, "a folder/of it", client_options=at)

    @pytest.fixture
    def catalog_url(self, s3_bucket, s3_server, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
        return f"s3://{s3_bucket}/a%20folder/of%20it"


@pytest.mark.sampled(6)
class TestStorage(StorageTests):
    @pytest.fixture
    def make_storage(self, s3_bucket, at_with_keys):
        return partial(S3, s3_bucket, client_options=at_with_keys)

    @pytest.fixture
    def secret_values(self):
        return SECRETS

    @replaces(
        reason="botocore logs what it signs at DEBUG: key id and token, but not the secret key"
    )
    def test_logs_show_no_secret(self, keep, caplog):
        caplog.set_level(logging.INFO)
        keep("etl").get_flow("etl")
        assert caplog.text == ""
        caplog.set_level(logging.DEBUG)
        keep("etl").get_flow("etl")
        assert "canary-secret-key" not in caplog.text
