import pytest

from flowhold.filestore import FileStore
from flowhold.testing import ObjectStoreTests


class TestFileStore(ObjectStoreTests):
    @pytest.fixture
    def store(self, tmp_path):
        return FileStore(tmp_path)
