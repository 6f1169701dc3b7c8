"""Listing: complete, in byte order, by any prefix, from behind any key, page by page."""

from __future__ import annotations

import random
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor

import pytest

from flowhold import Capability, ObjectInfo, ObjectStore
from flowhold.testing.powers import needs
from flowhold.testing.stores.suite import StoreSuite, keys

__all__ = ["ListingTests"]

LIST = Capability.LIST
MANY = 1_005
# In the order of their bytes; other orders are those of folders, UTF-16, cases and languages.
ORDERED = ["B/x", "a!b", "a-b", "a.b/c", "a/b", "a/b-c", "a/b.c", "a/b0", "a0", "aB", "ab", "b",
           "z", "~", "é", "ﬀ", "𐍈"]  # fmt: skip


class ListingTests(StoreSuite):
    """Listing."""

    @pytest.fixture
    def filled(self, store: ObjectStore) -> ObjectStore:
        """Return the store with objects whose keys tell orders apart."""
        for key in random.Random(4).sample(ORDERED, len(ORDERED)):  # noqa: S311
            store.put(key, key.encode())
        return store

    def test_an_empty_store_lists_nothing(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        with needs(powers, LIST):
            assert keys(store) == [], "the fixture `store` must give an empty store"
            assert keys(store, "any/prefix") == []

    def test_everything_is_listed_in_the_order_of_its_bytes(
        self, filled: ObjectStore, powers: Container[Capability]
    ) -> None:
        with needs(powers, LIST):
            assert sorted(keys(filled)) == sorted(ORDERED), "the listing is not complete"
            assert keys(filled) == ORDERED, "keys must come in the order of their UTF-8 bytes"

    def test_an_entry_says_what_head_says(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        for key, data in {"a": b"1", "b/c": b"", "b/d": b"x" * 5_000}.items():
            store.put(key, data)
        with needs(powers, LIST):
            for entry in store.list():
                head = store.head(entry.key)
                assert isinstance(entry, ObjectInfo), "list() must yield ObjectInfo"
                assert entry.size == head.size, f"list() has another size of {entry.key}"
                if None not in (entry.etag, head.etag):
                    assert entry.etag == head.etag, f"list() has another etag of {entry.key}"

    @pytest.mark.parametrize(
        "prefix", ["a", "a/", "a/b", "a/b-", "a.", "ab", "é", "A", "a/b-c", "a/b-cd", "none/", "/"]
    )
    def test_a_prefix_is_a_beginning_of_keys_of_any_length(
        self, filled: ObjectStore, powers: Container[Capability], prefix: str
    ) -> None:
        with needs(powers, LIST):
            wanted = [key for key in ORDERED if key.startswith(prefix)]
            assert keys(filled, prefix) == wanted

    def test_a_prefix_is_taken_literally(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        for key in ("a.c", "abc", "a%2Fc", "a*c", "a[b]c", "a_c", "A.c"):
            store.put(key, b"x")
        with needs(powers, LIST):
            for prefix in ("a.", "a%", "a*", "a[b]", "a_", "a?"):
                wanted = [key for key in ("a.c", "a%2Fc", "a*c", "a[b]c", "a_c")
                          if key.startswith(prefix)]  # fmt: skip
                assert keys(store, prefix) == wanted, f"{prefix!r} is no pattern"

    @pytest.mark.parametrize(
        "after", ["", "a/b", "a/", "a", "a/b-", "A", "é", "𐍈", "\U0010ffff", "B/x", "aZ"]
    )
    def test_a_listing_starts_behind_any_key(
        self, filled: ObjectStore, powers: Container[Capability], after: str
    ) -> None:
        with needs(powers, LIST):
            wanted = [key for key in ORDERED if key.encode() > after.encode()]
            assert keys(filled, "", after) == wanted, "only keys that sort behind it are listed"

    @pytest.mark.parametrize("after", ["A", "a/", "a/b", "a/b-c", "a/b0", "a/c", "z"])
    def test_a_listing_of_a_prefix_starts_behind_any_key(
        self, filled: ObjectStore, powers: Container[Capability], after: str
    ) -> None:
        with needs(powers, LIST):
            wanted = [key for key in ORDERED if key.startswith("a/") and key > after]
            assert keys(filled, "a/", after) == wanted

    def test_a_listing_shows_what_was_just_written_and_deleted(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        with needs(powers, LIST, Capability.DELETE):
            for number in range(4):
                store.put(f"folder/{number}", b"x")
                assert keys(store, "folder/") == [f"folder/{n}" for n in range(number + 1)]
            for number in range(4):
                store.delete(f"folder/{number}")
                assert keys(store, "folder/") == [f"folder/{n}" for n in range(number + 1, 4)]

    def test_a_folder_is_no_object(self, store: ObjectStore, powers: Container[Capability]) -> None:
        store.put("a/b/c", b"x")
        for key in ("a", "a/b"):
            with pytest.raises(FileNotFoundError):
                store.head(key)
            with pytest.raises(FileNotFoundError):
                store.get(key)
        with needs(powers, LIST):
            assert keys(store) == ["a/b/c"], "only objects are listed, no folders"
            assert keys(store, "a/b") == ["a/b/c"]

    def test_a_replaced_object_is_listed_once(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("object", b"1")
        with needs(powers, LIST, Capability.OVERWRITE):
            store.put("object", b"22")
            assert [(info.key, info.size) for info in store.list()] == [("object", 2)]

    def test_a_listing_goes_on_when_objects_vanish_meanwhile(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        for number in range(4):
            store.put(f"folder/{number}", b"x")
        with needs(powers, LIST, Capability.DELETE):
            listing = iter(store.list("folder/"))
            assert next(listing).key == "folder/0"
            store.delete("folder/2")
            rest = [info.key for info in listing]
            assert rest in (
                ["folder/1", "folder/2", "folder/3"],
                ["folder/1", "folder/3"],
            ), "objects that stay must be listed, those that vanish may be"

    def test_a_long_listing_is_complete_and_in_order(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        wanted = [f"many/{number:010}" for number in range(MANY)]
        with ThreadPoolExecutor(16) as threads:
            for _ in threads.map(lambda key: store.put(key, b""), wanted):
                pass
        with needs(powers, LIST):
            found = keys(store, "many/")
            assert len(found) == MANY, f"{len(found):,} of {MANY:,}: are all pages read?"
            assert found == wanted
            assert keys(store, "many/", wanted[998]) == wanted[999:]
            assert next(iter(store.list("many/"))).key == wanted[0]
