import pytest

from flowhold.storage import Memory
from flowhold.testing import StorageTests


class TestMemory(StorageTests):
    @pytest.fixture
    def make_storage(self):
        return Memory
