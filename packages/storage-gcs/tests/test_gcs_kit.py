"""GCS and GCSStore pass the conformance kit, on a server that holds to preconditions."""

from __future__ import annotations

import pytest

from flowhold.testing import ObjectStoreTests, RefusedAccessTests, StorageTests
from flowhold_storage_gcs import GCS, GCSStore


@pytest.mark.sampled(5)
class TestGCSStore(ObjectStoreTests):
    @pytest.fixture
    def store(self, bucket):
        return GCSStore(bucket)

    @pytest.fixture
    def catalog_url(self, bucket):
        return f"gs://{bucket}"


class TestRefused(RefusedAccessTests):
    @pytest.fixture
    def store(self, bucket):
        return GCSStore(bucket)

    @pytest.fixture(params=["stranger", "guest", "nobody"])
    def denied(self, bucket, account, monkeypatch, request):
        monkeypatch.setenv("FLOWHOLD_SECRET_REFUSED", account(request.param))
        return GCSStore(bucket, credentials_secret="REFUSED")


@pytest.mark.sampled(5)
class TestGCS(StorageTests):
    @pytest.fixture
    def make_storage(self, bucket):
        return lambda **options: GCS(bucket, **options)
