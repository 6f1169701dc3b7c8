"""Scripts at a revision: what is pinned stays, what floats follows."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

import pytest

import flowhold
from flowhold import Capability, FlowholdError, Storage
from flowhold.errors import StorageError
from flowhold.testing.powers import needs
from flowhold.testing.storages.suite import Keep, StorageSuite, claimed, make_flow, round_trip
from flowhold.testing.storages.suite import script as text_of

__all__ = ["PinningTests"]

# An argument that a class does not have is refused by Python.
REFUSED = (FlowholdError, TypeError)


class PinningTests(StorageSuite):
    """Revisions, for storages that declare REVISIONS."""

    @pytest.fixture
    def pinned(self) -> Mapping[str, Any]:
        """Return the options with which a storage records the revision of what it finds."""
        return {"pin": True}

    @pytest.fixture
    def keep_pinned(self, keep: Keep, pinned: Mapping[str, Any]) -> Callable[[Any], Storage]:
        """Return what stores a pinned flow with a value."""
        return lambda value: keep("etl", value=value, **pinned)

    def test_a_pinned_flow_says_which_revision_it_is(
        self, keep_pinned: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.REVISIONS, refusals=REFUSED):
            (reference,) = keep_pinned("first").references()
            assert reference.pinned
            assert reference.revision
            assert flowhold.Reference.from_json(reference.to_json()) == reference

    def test_a_pinned_flow_stays_as_it_was(
        self, keep_pinned: Callable[..., Storage], keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.REVISIONS, refusals=REFUSED):
            storage = keep_pinned("first")
            (reference,) = storage.references()
            keep.place(text_of("etl", value="second"))
            for loaded in (flowhold.load(reference), round_trip(storage).get_flow("etl")):
                assert loaded.run().result == ["etl", "first", 1]

    def test_a_floating_flow_follows_the_script(
        self, keep_pinned: Any, keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.REVISIONS, refusals=REFUSED):
            keep_pinned("another")
            storage = keep("etl", value="first")
            (reference,) = storage.references()
            assert not reference.pinned
            assert reference.revision is None
            keep.place(text_of("etl", value="second"))
            assert flowhold.load(reference).run().result == ["etl", "second", 1]

    def test_another_revision_is_another_reference(
        self, keep_pinned: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.REVISIONS, refusals=REFUSED):
            first, second = keep_pinned("first").references(), keep_pinned("second").references()
            assert first[0].revision != second[0].revision
            assert flowhold.load(first[0]).run().result == ["etl", "first", 1]
            assert flowhold.load(second[0]).run().result == ["etl", "second", 1]

    def test_a_pinned_flow_is_registered_anew_when_the_script_changed(
        self,
        keep_pinned: Callable[..., Storage],
        keep: Keep,
        pinned: Mapping[str, Any],
        powers: Container[Capability],
    ) -> None:
        with needs(powers, Capability.REVISIONS, refusals=REFUSED):
            keep_pinned("first")

            def register() -> Any:
                return flowhold.register(make_flow("etl"), storage=keep.make_storage(**pinned))

            assert (register().version, register().version) == (1, 1)
            keep.place(text_of("etl", value="second"))
            assert register().version == 2
            assert flowhold.load("etl@1").run().result == ["etl", "first", 1]
            assert flowhold.load("etl").run().result == ["etl", "second", 1]

    @pytest.mark.parametrize("revision", ["f" * 40, "0" * 40])
    def test_a_revision_that_is_not_there_is_refused(
        self, keep_pinned: Callable[..., Storage], revision: str, powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.REVISIONS, refusals=REFUSED):
            storage = claimed(keep_pinned("first"), "etl", revision=revision)
            with pytest.raises(StorageError):
                storage.get_flow("etl")

    @pytest.mark.parametrize("revision", ["", "trunk", "-x", "../..", "a\nb"])
    def test_what_is_no_revision_is_refused(
        self, keep_pinned: Callable[..., Storage], revision: str, powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.REVISIONS, refusals=REFUSED):
            storage = claimed(keep_pinned("first"), "etl", revision=revision)
            with pytest.raises(FlowholdError):
                storage.get_flow("etl")

    def test_verify_tells_pinned_from_floating(
        self, keep_pinned: Callable[..., Storage], keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.REVISIONS, refusals=REFUSED):
            storage = keep_pinned("first")
            keep.place(text_of("etl", value="second"))
            (check,) = storage.verify()
            assert check["ok"]
            assert str(storage.references()[0].revision) in check["detail"]
            assert "floating" not in check["detail"]
            (check,) = keep("etl").verify()
            assert check["ok"]
            assert "floating" in check["detail"]
