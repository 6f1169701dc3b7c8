from functools import partial

import pytest

from flowhold.storage import Local
from flowhold.testing import StorageTests


class TestLocal(StorageTests):
    @pytest.fixture
    def make_storage(self, tmp_path):
        return partial(Local, tmp_path / "flows")
