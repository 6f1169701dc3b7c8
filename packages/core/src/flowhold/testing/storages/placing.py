"""Keys of stored flows: generated, from a template, taken, or not possible."""

from __future__ import annotations

from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flowhold import Capability, FlowholdError, Storage
from flowhold.errors import ConfigurationError, IntegrityError, ObjectExistsError
from flowhold.testing.storages.suite import Keep, StorageSuite, make_flow, script, takes

__all__ = ["PlacingTests"]


class PlacingTests(StorageSuite):
    """Keys of stored flows. Storages without the argument ``key`` must refuse it."""

    @pytest.fixture
    def keyed(
        self, make_storage: Callable[..., Storage], powers: Container[Capability]
    ) -> Callable[..., Storage]:
        """Return what stores a flow at a key."""

        def keyed(key: str, name: str = "etl", value: Any = "ran", **options: Any) -> Storage:
            storage = make_storage(key=key, **options)
            storage.add_flow(make_flow(name, value))
            return storage.build()

        return keyed

    def test_an_explicit_key_is_used(
        self, keyed: Callable[..., Storage], make_storage: Callable[..., Storage]
    ) -> None:
        if _refuses_keys(make_storage):
            return
        storage = keyed("folder/my.flow")
        where = storage.flows["etl"]
        assert where.replace("\\", "/").endswith(("folder/my.flow", "etl"))
        assert storage.get_flow(where).run().result == ["etl", "ran", 1]

    @pytest.mark.parametrize(
        "template", ["{slug}", "f/{slug}.flow", "{sha256}", "{slug}/{timestamp}", "all/{name}"]
    )
    def test_flows_of_a_template_get_places_of_their_own(
        self, make_storage: Callable[..., Storage], template: str
    ) -> None:
        if _refuses_keys(make_storage):
            return
        storage = make_storage(key=template)
        for name in ("one", "two"):
            storage.add_flow(make_flow(name))
        storage.build()
        assert len(set(storage.flows.values())) == 2
        for name in ("one", "two"):
            assert storage.get_flow(name).run().result[0] == name
        assert not any("{" in location for location in storage.flows.values())

    def test_two_flows_at_one_key_are_refused_or_kept_apart(
        self, make_storage: Callable[..., Storage]
    ) -> None:
        if _refuses_keys(make_storage):
            return
        storage = make_storage(key="folder/fixed")
        storage.add_flow(make_flow("one"))
        try:
            storage.add_flow(make_flow("two"))
        except ConfigurationError:
            assert "two" not in storage
        storage.build()
        for name in storage.flows:
            assert storage.get_flow(name).run().result[0] == name

    @pytest.mark.parametrize("key", ["../up", "/absolute", "a//b", "a\nb", "x" * 300, ""])
    def test_what_cannot_be_a_key_is_refused(
        self, make_storage: Callable[..., Storage], key: str
    ) -> None:
        if _refuses_keys(make_storage):
            return
        try:
            storage = make_storage(key=key)
            storage.add_flow(make_flow("etl"))
        except ConfigurationError:
            return
        # It has no effect where locations are not keys, or is as good as none.
        assert key not in storage.flows["etl"] or not key
        assert storage.build().get_flow("etl").name == "etl"

    def test_the_same_bytes_at_a_taken_key_are_fine(
        self, make_storage: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        if _refuses_keys(make_storage) or Capability.SCRIPT not in powers:
            return
        Path("etl.py").write_text(script("etl"), encoding="utf-8")
        locations = []
        for _ in range(2):
            storage = make_storage(
                key="folder/etl.py", stored_as_script=True, local_script_path="etl.py"
            )
            storage.add_flow(make_flow("etl"))
            locations.append(storage.build().flows["etl"])
            assert storage.get_flow("etl").run().result == ["etl", "ran", 1]
        assert locations[0] == locations[1]

    def test_another_flow_at_a_taken_key_never_replaces_it_unseen(
        self,
        keyed: Callable[..., Storage],
        make_storage: Callable[..., Storage],
        powers: Container[Capability],
    ) -> None:
        if _refuses_keys(make_storage):
            return
        first = keyed("folder/fixed", value="first")
        with suppress(ObjectExistsError):
            keyed("folder/fixed", value="second")
        if Capability.CONDITIONAL_CREATE in powers:
            assert first.get_flow("etl").run().result == ["etl", "first", 1]
        else:
            _loads_or_is_refused(first, "first")

    def test_overwrite_replaces_what_is_at_the_key(
        self,
        keyed: Callable[..., Storage],
        make_storage: Callable[..., Storage],
        powers: Container[Capability],
    ) -> None:
        if _refuses_keys(make_storage):
            return
        first = keyed("folder/fixed", value="first")
        if not takes(make_storage, "overwrite"):
            assert Capability.OVERWRITE not in powers
            return
        second = keyed("folder/fixed", value="second", overwrite=True)
        assert second.get_flow("etl").run().result == ["etl", "second", 1]
        _loads_or_is_refused(first, "first")

    def test_storing_a_flow_again_leaves_the_earlier_one(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        first, second = keep("etl", value="first"), keep("etl", value="second")
        assert second.get_flow("etl").run().result == ["etl", "second", 1]
        if Capability.STORE in powers:
            assert first.get_flow("etl").run().result == ["etl", "first", 1]

    def test_storages_of_one_place_do_not_disturb_each_other(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        if Capability.STORE in powers:
            storages = [keep(name) for name in ("A B", "a-b", "a b")]
            for storage, name in zip(storages, ("A B", "a-b", "a b"), strict=True):
                assert storage.get_flow(name).run().result[0] == name
                assert all(check["ok"] for check in storage.verify())
        else:
            one, two = keep("etl"), keep.make_storage()
            assert "etl" in one
            assert "etl" not in two, "flows are of the storage to which they were added"


def _refuses_keys(make_storage: Callable[..., Storage]) -> bool:
    """Whether there is no argument ``key``; then it must be refused."""
    if takes(make_storage, "key"):
        return False
    with pytest.raises((TypeError, FlowholdError)):
        make_storage(key="folder/fixed")
    return True


def _loads_or_is_refused(storage: Storage, value: str) -> None:
    try:
        flow = storage.get_flow("etl")
    except IntegrityError:
        return
    assert flow.run().result == ["etl", value, 1], "another flow was run than the one recorded"
