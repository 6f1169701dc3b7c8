import pytest

from flowhold.storage import Bytes
from flowhold.testing import StorageTests


class TestBytes(StorageTests):
    @pytest.fixture
    def make_storage(self):
        return Bytes
