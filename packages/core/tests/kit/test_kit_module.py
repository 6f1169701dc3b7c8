import importlib
import sys
from functools import partial

import pytest

from flowhold.storage import Module
from flowhold.testing import StorageTests


class TestModule(StorageTests):
    @pytest.fixture
    def make_storage(self):
        yield partial(Module, "kit_flows")
        sys.modules.pop("kit_flows", None)

    @pytest.fixture
    def place_script(self, tmp_path, monkeypatch):
        def place_script(text):
            (tmp_path / "kit_flows.py").write_text(text, encoding="utf-8")
            sys.modules.pop("kit_flows", None)
            importlib.invalidate_caches()

        monkeypatch.syspath_prepend(tmp_path)
        return place_script
