"""A pickled storage keeps its options and flows, and takes no clients or credentials along."""

from __future__ import annotations

import copy
import io
import pickle
import sys
from collections.abc import Callable, Container, Sequence
from typing import Any

import cloudpickle
import pytest

import flowhold
from flowhold import Capability, Storage
from flowhold.testing.storages.suite import Keep, StorageSuite

__all__ = ["PicklingTests"]

COPIES: dict[str, Callable[[Storage], Any]] = {
    "pickle": lambda storage: pickle.loads(pickle.dumps(storage)),
    "cloudpickle": lambda storage: pickle.loads(cloudpickle.dumps(storage)),
    "the oldest pickle with state": lambda storage: pickle.loads(pickle.dumps(storage, 2)),
    "copy": copy.copy,
}


class _Noting(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.modules: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.modules.add(module)
        return super().find_class(module, name)


def modules_in(data: bytes) -> set[str]:
    """Return the names of the modules whose classes and functions a pickle needs."""
    unpickler = _Noting(data)
    unpickler.load()
    return unpickler.modules


class PicklingTests(StorageSuite):
    """Pickles of storages."""

    @pytest.fixture
    def used(self, keep: Keep) -> Storage:
        """Return a storage that has stored and loaded, with a flow that any pickle can hold."""
        keep("etl")
        storage = keep.make_storage(labels=["x"])
        storage.add_flow(flowhold.Flow("etl"))
        storage.build().get_flow("etl")
        return storage

    @pytest.mark.parametrize("way", COPIES)
    def test_options_and_flows_survive(self, used: Storage, way: str) -> None:
        restored = COPIES[way](used)
        assert type(restored) is type(used)
        assert restored.serialize() == used.serialize()
        assert restored.flows == used.flows
        assert restored.get_flow("etl").name == "etl"

    def test_a_pickled_storage_stores_further_flows(self, used: Storage) -> None:
        restored = pickle.loads(pickle.dumps(used))
        restored.discard("etl")
        restored.add_flow(flowhold.Flow("etl"))
        assert restored.build().get_flow("etl").name == "etl"

    def test_no_client_is_pickled(self, used: Storage) -> None:
        modules = modules_in(pickle.dumps(used))
        own = {"flowhold", type(used).__module__.partition(".")[0], *sys.stdlib_module_names}
        foreign = {name for name in modules if name.partition(".")[0] not in own}
        assert foreign == set(), "clients and their like must stay out: define __getstate__"

    def test_a_store_that_is_open_is_not_pickled(self, used: Storage) -> None:
        opened = getattr(used, "store", None)
        if opened is not None:
            kinds = f"{type(opened).__module__}.{type(opened).__qualname__}"
            assert type(opened).__qualname__.encode() not in pickle.dumps(used), kinds
        assert len(pickle.dumps(used)) < 100_000, "the pickle of a storage is a small description"

    def test_a_flow_is_pickled_without_its_storage(
        self, used: Storage, powers: Container[Capability]
    ) -> None:
        flow = flowhold.Flow("etl", storage=used)
        data = cloudpickle.dumps(flow)
        assert type(used).__module__ not in modules_in(data)
        assert pickle.loads(data).storage is None
        if Capability.PICKLE in powers:
            used.discard("etl")
            used.add_flow(flow)
            assert used.build().get_flow("etl").storage is None

    def test_a_pickle_holds_no_credentials(
        self, used: Storage, secret_values: Sequence[str]
    ) -> None:
        for data in (pickle.dumps(used), cloudpickle.dumps(used), pickle.dumps(copy.copy(used))):
            for secret in secret_values:
                assert secret.encode() not in data, f"the pickle holds {secret!r}"
        for name in used.not_serialized:
            assert getattr(pickle.loads(pickle.dumps(used)), name) is None, f"{name} is pickled"
