"""A bad network between AzureStore or Azure and a server, and what each operation costs."""

from __future__ import annotations

import pytest

from flowhold.testing import Network, NetworkTests
from flowhold_storage_azure import Azure, AzureStore


@pytest.mark.sampled(9)
@pytest.mark.promise("network, azure: each operation meets each trouble, and ends")
class TestNetwork(NetworkTests):
    @pytest.fixture
    def network(self, azure_server, azure_container, no_backoff):
        def options(url, **given):
            return {"connection_string": azure_server.connection_string_by(url), **given}

        def store(url, **given):
            return AzureStore(azure_container, **options(url, **given))

        def storage(url, **given):
            return Azure(azure_container, **options(url, **given))

        return Network(azure_server.url, store, storage)
