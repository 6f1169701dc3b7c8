"""A bad network between S3Store or S3 and a server, and what each operation costs."""

from __future__ import annotations

import pytest

from flowhold.testing import Network, NetworkTests
from flowhold_storage_s3 import S3, S3Store


@pytest.mark.sampled(9)
@pytest.mark.promise("network, s3: each operation meets each trouble, and ends")
class TestNetwork(NetworkTests):
    @pytest.fixture
    def network(self, s3_server, s3_bucket, no_backoff):
        def store(url, **options):
            return S3Store(s3_bucket, client_options={"endpoint_url": url}, **options)

        def storage(url, **options):
            return S3(s3_bucket, client_options={"endpoint_url": url}, **options)

        return Network(s3_server.url, store, storage)
