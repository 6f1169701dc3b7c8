"""A bad network between GCSStore or GCS and a server, and what each operation costs."""

from __future__ import annotations

import pytest

from flowhold.testing import Network, NetworkTests
from flowhold_storage_gcs import GCS, GCSStore


@pytest.mark.sampled(9)
@pytest.mark.promise("network, gcs: each operation meets each trouble, and ends")
class TestNetwork(NetworkTests):
    @pytest.fixture
    def network(self, front, bucket, no_backoff):
        def store(url, **options):
            return GCSStore(bucket, client_options={"api_endpoint": url}, **options)

        def storage(url, **options):
            return GCS(bucket, client_options={"api_endpoint": url}, **options)

        return Network(front.url, store, storage)
