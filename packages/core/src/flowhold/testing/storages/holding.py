"""Adding, building and getting flows: what was added is what comes back, by name and location."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import pytest

import flowhold
from flowhold import Capability, FlowholdError, Storage, plugins
from flowhold.errors import ConfigurationError, DuplicateFlowError, FlowNotFoundError
from flowhold.testing.powers import needs
from flowhold.testing.storages.suite import Keep, StorageSuite, make_flow

__all__ = ["HoldingTests"]

MANY = Capability.MANY_FLOWS
HARD = ["A B", "a-b", "!!!", "a/b", "../up", "流れ", "100%", "é", ".", 'it\'s "x"', "x" * 200]


class HoldingTests(StorageSuite):
    """Adding, building and getting flows."""

    def test_a_new_storage_holds_nothing(self, make_storage: Callable[..., Storage]) -> None:
        storage = make_storage()
        assert storage.flows == {}
        assert "etl" not in storage
        assert storage.references() == []
        assert storage.verify() == []
        with pytest.raises(FlowNotFoundError):
            storage.get_flow()

    def test_it_is_called_by_its_class_name(self, make_storage: Callable[..., Storage]) -> None:
        storage = make_storage()
        assert storage.name == type(storage).__name__
        assert repr(storage).startswith(f"<Storage: {storage.name}")
        assert repr(storage).endswith(">")

    def test_a_flow_that_was_stored_runs_as_it_did(self, keep: Keep) -> None:
        run = keep("etl").get_flow("etl").run({"x": 2})
        assert (run.state, run.result) == ("success", ["etl", "ran", 2])

    def test_adding_a_flow_returns_its_location(self, keep: Keep) -> None:
        keep("etl")
        storage = keep.make_storage()
        location = storage.add_flow(make_flow("etl"))
        assert isinstance(location, str)
        assert location, "a location must say something"
        assert storage.flows == {"etl": location}

    def test_a_flow_is_contained_by_its_name_only(self, keep: Keep) -> None:
        storage = keep("etl")
        assert "etl" in storage
        for other in ("et", "etl2", "ETL", "", None, 5):
            assert other not in storage

    def test_a_flow_is_found_by_its_location(self, keep: Keep) -> None:
        storage = keep("etl")
        assert storage.get_flow(storage.flows["etl"]).name == "etl"

    def test_the_only_flow_needs_no_name(self, keep: Keep) -> None:
        assert keep("etl").get_flow().name == "etl"

    def test_an_unknown_name_is_flow_not_found_and_says_what_there_is(self, keep: Keep) -> None:
        storage = keep("etl")
        for wrong in ("other", "ETL", "etl2"):
            with pytest.raises(FlowNotFoundError) as caught:
                storage.get_flow(wrong)
            assert isinstance(caught.value, (ValueError, LookupError))
            assert "etl" in str(caught.value), "the error must list what the storage holds"

    def test_several_flows_each_come_back_as_themselves(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, MANY):
            storage = keep("one", "two", "three")
            assert [*storage.flows] == ["one", "two", "three"]
            for name in ("two", "three", "one"):
                assert storage.get_flow(name).run().result[0] == name

    def test_of_several_flows_one_has_to_be_named(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, MANY):
            storage = keep("one", "two")
            with pytest.raises(FlowNotFoundError) as caught:
                storage.get_flow()
            assert "one" in str(caught.value)
            assert "two" in str(caught.value)

    def test_a_second_flow_of_a_name_is_refused_and_the_first_stays(self, keep: Keep) -> None:
        storage = keep("etl", value="first")
        with pytest.raises(DuplicateFlowError) as caught:
            storage.add_flow(make_flow("etl", "second"))
        assert str(caught.value) == (
            'Name conflict: Flow with the name "etl" is already present in this storage.'
        )
        assert storage.get_flow("etl").run().result == ["etl", "first", 1]

    @pytest.mark.parametrize("name", HARD)
    def test_a_flow_may_be_called(self, keep: Keep, name: str) -> None:
        storage = keep(name)
        assert name in storage
        assert storage.get_flow(name).run().result[0] == name

    def test_names_that_look_alike_are_kept_apart(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        names = ["A B", "a-b", "a b", "A-B", "!!!", "???", "é", "e"]
        with needs(powers, MANY):
            storage = keep(*names)
            for name in names:
                assert storage.get_flow(name).run().result[0] == name
            if Capability.STORE in powers:
                assert len(set(storage.flows.values())) == len(names), "two share a location"

    def test_what_is_no_flow_is_refused(self, make_storage: Callable[..., Storage]) -> None:
        storage = make_storage()
        wrong: Any
        for wrong in (None, 5, "etl", {}):
            with pytest.raises(ConfigurationError):
                storage.add_flow(wrong)
        assert storage.flows == {}

    def test_a_plain_function_is_stored_as_a_flow(self, keep: Keep) -> None:
        def etl(x: int = 1) -> list[object]:
            return ["etl", "ran", x]

        keep("etl")
        storage = keep.make_storage()
        storage.add_flow(etl)
        assert storage.build().get_flow("etl").run({"x": 3}).result == ["etl", "ran", 3]

    def test_build_returns_the_storage_and_may_be_repeated(self, keep: Keep) -> None:
        storage = keep("etl")
        locations = storage.flows
        assert storage.build() is storage
        assert storage.build().flows == locations, "a second build() moved a flow"
        assert storage.get_flow("etl").run().result == ["etl", "ran", 1]

    def test_a_flow_can_be_added_after_a_build(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, MANY):
            storage = keep("one", "two")
            storage.discard("two")
            storage.add_flow(make_flow("two"))
            storage.build()
            assert [storage.get_flow(name).name for name in ("one", "two")] == ["one", "two"]

    def test_many_flows_are_built_at_once(self, keep: Keep, powers: Container[Capability]) -> None:
        names = [f"flow {number}" for number in range(20)]
        with needs(powers, MANY):
            storage = keep(*names)
            assert [*storage.flows] == names
            for name in names:
                assert storage.get_flow(name).run().result[0] == name

    def test_a_discarded_flow_is_forgotten(self, keep: Keep) -> None:
        storage = keep("etl")
        storage.discard("etl")
        assert storage.flows == {}
        assert "etl" not in storage
        with pytest.raises(FlowholdError):
            storage.get_flow("etl")
        storage.discard("etl")  # once more does nothing

    def test_building_is_told_to_plugins(self, keep: Keep) -> None:
        told: list[tuple[Storage, int]] = []

        class Plugin:
            @flowhold.hookimpl
            def flowhold_built(self, storage: Storage, references: list[object]) -> None:
                told.append((storage, len(references)))

        plugin = Plugin()
        plugins.register(plugin)
        try:
            storage = keep("etl")
        finally:
            plugins.unregister(plugin)
        assert told == [(storage, len(storage.references()))], "build() must call flowhold_built"
