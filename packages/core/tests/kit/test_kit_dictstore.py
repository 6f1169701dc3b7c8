import pytest

from flowhold.storage.inline import DictStore
from flowhold.testing import ObjectStoreTests, replaces


class TestDictStore(ObjectStoreTests):
    @pytest.fixture
    def store(self):
        return DictStore({})

    @replaces(reason="its keys are the names of flows in Bytes storage, which may be any text")
    def test_what_cannot_be_a_key_is_refused(self, store):
        store.put("../any text\n", b"x")
        assert store.get("../any text\n") == b"x"
