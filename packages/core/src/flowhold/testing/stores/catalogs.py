"""A catalog over the store: consecutive versions, none lost, and its pages."""

from __future__ import annotations

from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from flowhold import Capability, Catalog, ObjectStore, Reference
from flowhold.errors import FlowNotFoundError, SerializationError
from flowhold.store import open_store
from flowhold.testing.powers import needs
from flowhold.testing.stores.suite import StoreSuite, same

__all__ = ["CatalogTests"]

POWERS = (Capability.CONDITIONAL_CREATE, Capability.LIST)


def reference(flow: str = "etl", location: str = "kit.flows") -> Reference:
    """Return a reference that is not pinned, so that pruning it touches no storage."""
    return Reference(flow, {"type": "module", "options": {"module": location}}, location, "module")


class CatalogTests(StoreSuite):
    """A catalog over the store."""

    @pytest.fixture
    def catalog(self, store: ObjectStore) -> Catalog:
        """Return a catalog whose entries are in the store."""
        catalog = Catalog("catalog")
        catalog.store = store
        return catalog

    def test_versions_are_consecutive(
        self, catalog: Catalog, powers: Container[Capability]
    ) -> None:
        with needs(powers, *POWERS):
            added = [catalog.add(reference(location=f"v{number}")).version for number in (1, 2, 3)]
            assert added == [1, 2, 3]
            assert catalog.versions("etl") == [1, 2, 3]

    def test_each_version_gives_back_its_reference(
        self, catalog: Catalog, powers: Container[Capability]
    ) -> None:
        with needs(powers, *POWERS):
            for number in (1, 2):
                catalog.add(reference(location=f"v{number}"))
            assert catalog.get("etl", 1).location == "v1"
            assert catalog.get("etl").location == "v2"
            newest = catalog.newest("etl")
            assert newest is not None
            assert (newest.version, newest.location) == (2, "v2")

    def test_versions_are_in_order_past_nine(
        self, catalog: Catalog, powers: Container[Capability]
    ) -> None:
        with needs(powers, *POWERS):
            for _ in range(11):
                catalog.add(reference())
            assert catalog.versions("etl") == [*range(1, 12)]
            assert catalog.get("etl").version == 11

    def test_flows_with_hard_names_are_kept_apart(
        self, catalog: Catalog, powers: Container[Capability]
    ) -> None:
        names = ["A B", "a-b", "a/b", "a", "..", "流れ", "100%", "é", "a+b", "a%2Fb", "A b"]
        with needs(powers, *POWERS):
            for name in names:
                catalog.add(reference(name, f"at {name}"))
            assert sorted(catalog.names()) == sorted(names)
            assert dict(catalog.entries()) == dict.fromkeys(names, 1)
            for name in names:
                assert catalog.get(name).location == f"at {name}"

    def test_of_registrations_at_once_none_is_lost(
        self, catalog: Catalog, powers: Container[Capability]
    ) -> None:
        with needs(powers, *POWERS):
            with ThreadPoolExecutor(6) as threads:
                added = [
                    *threads.map(lambda n: catalog.add(reference(location=f"at {n}")), range(12))
                ]
            assert sorted(each.version or 0 for each in added) == [*range(1, 13)]
            for each in added:
                found = catalog.get("etl", each.version)
                assert found.location == each.location, "a version is not the one that was added"

    def test_rolling_back_adds_the_old_version_as_the_newest(
        self, catalog: Catalog, powers: Container[Capability]
    ) -> None:
        with needs(powers, *POWERS):
            for number in (1, 2):
                catalog.add(reference(location=f"v{number}"))
            assert catalog.rollback("etl", 1).version == 3
            assert [catalog.get("etl", n).location for n in (1, 2, 3)] == ["v1", "v2", "v1"]

    def test_pruning_keeps_the_newest_and_numbers_are_never_used_again(
        self, catalog: Catalog, powers: Container[Capability]
    ) -> None:
        with needs(powers, *POWERS, Capability.DELETE):
            for _ in range(4):
                catalog.add(reference())
            assert [each.version for each in catalog.prune("etl", 2, dry_run=True)] == [1, 2]
            assert catalog.versions("etl") == [1, 2, 3, 4]
            assert [each.version for each in catalog.prune("etl", 1)] == [1, 2, 3]
            assert catalog.versions("etl") == [4]
            assert catalog.add(reference()).version == 5

    def test_a_flow_or_version_that_is_not_there_is_flow_not_found(
        self, catalog: Catalog, powers: Container[Capability]
    ) -> None:
        with needs(powers, *POWERS):
            assert catalog.newest("etl") is None
            with pytest.raises(FlowNotFoundError):
                catalog.get("etl")
            catalog.add(reference())
            with pytest.raises(FlowNotFoundError, match="versions: 1"):
                catalog.get("etl", 7)

    def test_a_damaged_entry_is_told_and_not_read(
        self, catalog: Catalog, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        with needs(powers, *POWERS, Capability.OVERWRITE):
            catalog.add(reference())
            (info,) = store.list("etl/")
            store.put(info.key, store.get(info.key)[:-20])
            with pytest.raises(SerializationError, match="etl/"):
                catalog.get("etl")

    def test_a_reference_keeps_all_its_fields(
        self, catalog: Catalog, powers: Container[Capability]
    ) -> None:
        full = replace(
            reference(),
            sha256="0" * 64,
            size=1 << 40,
            environment={"python": "3.11.7", "packages": {"größe": "1.0"}},
            extra={"later": [1, {"x": None}]},
        )
        with needs(powers, *POWERS):
            assert catalog.add(full) == catalog.get("etl") == replace(full, version=1)

    def test_a_url_opens_the_place_of_the_store(
        self, store: ObjectStore, powers: Container[Capability], catalog_url: str | None
    ) -> None:
        store.put("etl/0000000001.json", replace(reference(), version=1).to_json().encode())
        if catalog_url is not None:
            opened = open_store(catalog_url)
            assert isinstance(opened, type(store)), f"{catalog_url} opens a {type(opened)}"
            same(opened.get("etl/0000000001.json"), store.get("etl/0000000001.json"), catalog_url)
            assert Catalog(catalog_url).get("etl", 1).flow == "etl"
        else:
            # Without a URL to try, one that cannot be of this store must be refused.
            with pytest.raises((ValueError, OSError)):
                type(store).from_url("bad\0url://").put("x", b"")
