"""References and registration: what loads a flow from nothing but a small document."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import pytest

import flowhold
from flowhold import Capability, Catalog, Reference
from flowhold.errors import StorageError
from flowhold.testing.powers import needs
from flowhold.testing.storages.suite import Keep, StorageSuite, keeps_bytes, make_flow

__all__ = ["ReferringTests"]

SERIALIZES = Capability.SERIALIZES_FLOWS
MANY = Capability.MANY_FLOWS


class ReferringTests(StorageSuite):
    """References and registration."""

    @pytest.fixture
    def refer(self, keep: Keep) -> Callable[..., Reference]:
        """Return what stores a flow and returns its reference as it was written down."""

        def refer(name: str = "etl", **options: Any) -> Reference:
            references = _some(keep(name, **options).references())
            return Reference.from_json(references[0].to_json())

        return refer

    def test_there_is_a_reference_for_each_flow(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        names = ["one", "two"] if MANY in powers else ["one"]
        storage = keep(*names)
        found = [(each.flow, each.location) for each in storage.references()]
        assert found == ([*storage.flows.items()] if SERIALIZES in powers else [])

    def test_a_reference_alone_loads_the_flow(
        self, refer: Callable[..., Reference], powers: Container[Capability]
    ) -> None:
        with needs(powers, SERIALIZES):
            flow = flowhold.load(refer("etl"))
            assert (flow.name, flow.run().result) == ("etl", ["etl", "ran", 1])

    def test_a_reference_is_of_its_flow_only(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        if SERIALIZES not in powers or MANY not in powers:
            assert len(keep("one").references()) <= 1
            return
        one, two = keep("one", "two").references()
        for reference, other in ((one, "two"), (two, "one")):
            assert [*reference.open_storage().flows] == [reference.flow]
            assert f'"{other}"' not in reference.to_json(), "a reference tells of another flow"

    def test_a_reference_says_of_what_kind_it_is(
        self, refer: Callable[..., Reference], powers: Container[Capability]
    ) -> None:
        with needs(powers, SERIALIZES):
            reference = refer("etl")
            kinds = {
                "pickle": Capability.PICKLE,
                "bundle": Capability.BUNDLE,
                "image": Capability.IMAGE,
            }
            assert kinds.get(reference.kind, Capability.SCRIPT) in powers
            assert reference.kind in ("pickle", "script", "bundle", "image", "module")

    def test_a_stored_flow_is_pinned_by_digest_and_size(
        self, refer: Callable[..., Reference], powers: Container[Capability]
    ) -> None:
        with needs(powers, SERIALIZES):
            reference = refer("etl")
            if keeps_bytes(powers):
                assert reference.pinned
                assert len(reference.sha256 or reference.revision or "") >= 40
            else:
                assert reference.pinned == (reference.revision is not None)

    def test_a_reference_opens_a_storage_with_the_same_options(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        storage = keep("etl", labels=["x"], secrets=[], result=False)
        for reference in storage.references():
            opened = reference.open_storage()
            assert type(opened) is type(storage)
            assert opened.serialize()["options"] == storage.serialize()["options"]
            assert (opened.labels, opened.result) == (storage.labels, None)

    def test_a_reference_stays_valid_after_further_flows_are_stored(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        first = keep("etl", value="first").references()
        second = keep("etl", value="second").references()
        with needs(powers, SERIALIZES):
            loaded = [flowhold.load(found).run().result[1] for found in _some(first + second)]
            # What is found in place floats: the newest is what loads.
            stays = Capability.STORE in powers or first[0].pinned
            assert loaded == ["first" if stays else "second", "second"]

    def test_a_registered_flow_loads_by_its_name(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        keep("etl")
        storage = keep.make_storage()
        with needs(powers, SERIALIZES):
            reference = flowhold.register(make_flow("etl"), storage=storage)
            assert reference is not None
            assert reference.version == 1
            assert flowhold.load("etl").run().result == ["etl", "ran", 1]
            assert flowhold.load("etl@1").name == "etl"

    def test_an_unchanged_flow_is_not_stored_again(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        keep("etl")
        with needs(powers, SERIALIZES):
            versions = []
            for _ in range(2):
                found = flowhold.register(make_flow("etl"), storage=keep.make_storage())
                versions.append(None if found is None else found.version)
            assert versions == [1, 1], "an unchanged flow got a second version"

    def test_a_changed_label_adds_a_version(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        keep("etl")
        with needs(powers, SERIALIZES):
            flowhold.register(make_flow("etl"), storage=keep.make_storage())
            changed = flowhold.register(make_flow("etl"), storage=keep.make_storage(labels=["x"]))
            assert changed is not None
            assert (changed.version, changed.labels) == (2, keep.make_storage(labels=["x"]).labels)

    def test_every_version_of_a_changed_flow_loads_as_it_was(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, SERIALIZES, Capability.PICKLE):
            for number in (1, 2, 3):
                flow = make_flow("etl", number)
                found = flowhold.register(flow, storage=keep.make_storage())
                assert found is not None
                assert found.version == number
                if Capability.PICKLE not in powers:
                    raise StorageError("this storage keeps no pickles")
            for number in (1, 2, 3):
                assert flowhold.load(f"etl@{number}").run().result == ["etl", number, 1]

    def test_pruning_a_catalog_leaves_the_flows_that_are_still_used(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, SERIALIZES, Capability.PICKLE):
            for number in (1, 2):
                flowhold.register(make_flow("etl", number), storage=keep.make_storage())
                if Capability.PICKLE not in powers:
                    raise StorageError("this storage keeps no pickles")
            catalog = Catalog()
            catalog.rollback("etl", 1)
            catalog.prune("etl", 1)
            assert catalog.versions("etl") == [3]
            assert flowhold.load("etl").run().result == ["etl", 1, 1], "its object was removed"


def _some(references: list[Reference]) -> list[Reference]:
    if not references:
        raise StorageError("this storage gives no reference")
    return references
