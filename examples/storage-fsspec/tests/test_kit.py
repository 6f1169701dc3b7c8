"""The storage and the object store pass Flowhold's conformance kit.

For a server of your own set KIT_URL to an empty folder of it, and KIT_OPTIONS to a JSON object.
"""

from __future__ import annotations

import json
import os
import uuid
from functools import partial

import pytest

from flowhold.testing import ObjectStoreTests, StorageTests
from flowhold_storage_fsspec import Fsspec, FsspecStore

OWN = os.environ.get("KIT_URL")
OPTIONS = json.loads(os.environ.get("KIT_OPTIONS", "{}"))


@pytest.fixture(params=[OWN] if OWN else ["memory://", "file://"])
def url(request, tmp_path):
    return f"{request.param}{tmp_path}" if not OWN else f"{OWN}/{uuid.uuid4()}"


class TestFsspecStore(ObjectStoreTests):
    @pytest.fixture
    def store(self, url):
        return FsspecStore(url, storage_options=OPTIONS)

    @pytest.fixture
    def catalog_url(self, url):
        return None if OPTIONS else f"fsspec://{url}"


class TestFsspec(StorageTests):
    @pytest.fixture
    def make_storage(self, url):
        return partial(Fsspec, url, storage_options=OPTIONS)
