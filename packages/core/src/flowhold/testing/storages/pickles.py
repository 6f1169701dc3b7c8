"""Pickled flows: what no other process could import comes back whole."""

from __future__ import annotations

from collections.abc import Container
from threading import Lock
from typing import Any

import pytest

import flowhold
from flowhold import Capability, FlowholdError
from flowhold.errors import SerializationError, StorageError
from flowhold.testing.powers import needs
from flowhold.testing.storages.suite import Keep, StorageSuite, make_flow, round_trip

__all__ = ["PicklesTests"]

PICKLE = Capability.PICKLE


def stored(keep: Keep, flow: Any) -> Any:
    """Return a flow after it was stored and loaded by another storage object."""
    storage = keep.make_storage()
    storage.add_flow(flow)
    storage.build()
    references = storage.references()
    if not references or references[0].kind not in ("pickle", "image"):
        raise StorageError("this storage keeps no pickles")
    return round_trip(storage).get_flow(flow.name)


class PicklesTests(StorageSuite):
    """Pickled flows."""

    def test_a_flow_with_tasks_and_parameters_comes_back(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        factor = 3

        @flowhold.task
        def extract(count: int) -> list[int]:
            return [*range(count)]

        @flowhold.task
        def total(rows: list[int]) -> int:
            return sum(rows) * factor

        with flowhold.Flow("etl") as flow:
            total(extract(flowhold.Parameter("count", 4)))
        with needs(powers, PICKLE):
            loaded = stored(keep, flow)
            assert [*loaded.tasks] == ["extract", "total"]
            assert loaded.run().result == 18
            assert loaded.run({"count": 5}).result == 30

    def test_classes_and_functions_of_the_flow_come_along(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        class Row:
            def __init__(self, number: int) -> None:
                self.number = number

        def double(row: Row) -> Row:
            return Row(row.number * 2)

        @flowhold.flow
        def etl() -> int:
            return double(Row(21)).number

        with needs(powers, PICKLE):
            assert stored(keep, etl).run().result == 42

    def test_further_attributes_of_a_flow_come_along(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        flow = make_flow("etl")
        flow.owner = {"team": "größe"}  # type: ignore[attr-defined]
        with needs(powers, PICKLE):
            assert stored(keep, flow).owner == {"team": "größe"}

    def test_a_large_flow_comes_back(self, keep: Keep, powers: Container[Capability]) -> None:
        value = bytes(range(256)) * 4096 * 6
        with needs(powers, PICKLE):
            assert stored(keep, make_flow("etl", value)).run().result[1] == value

    def test_each_load_is_a_flow_of_its_own(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, PICKLE):
            assert stored(keep, make_flow("etl")).run().state == "success"
            storage = round_trip(keep("etl"))
            first, second = storage.get_flow("etl"), storage.get_flow("etl")
            first.marked = True
            assert not hasattr(second, "marked"), "two loads share one object"

    def test_what_cannot_be_pickled_is_refused_and_not_added(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        storage = keep.make_storage()
        with needs(powers, PICKLE):
            if PICKLE not in powers:
                raise StorageError("this storage keeps no pickles")
            with pytest.raises(SerializationError):
                storage.add_flow(make_flow("etl", Lock()))
            assert "etl" not in storage, "a flow that was refused is there"
            storage.add_flow(make_flow("etl"))
            assert storage.build().get_flow("etl").run().state == "success"

    def test_a_bare_location_of_a_pickle_is_not_run_unless_allowed(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        storage = keep("etl")
        location = storage.flows["etl"]
        stranger = keep.make_storage()
        if Capability.STORE not in powers:
            # What is found in place is floating, and says so.
            assert all(not each.pinned or each.revision for each in storage.references())
            return
        with pytest.raises(FlowholdError):
            stranger.get_flow(location)
