"""Deleting: what is deleted is gone, and nothing else; deleting nothing is fine."""

from __future__ import annotations

from collections.abc import Container

import pytest

from flowhold import Capability, ObjectStore
from flowhold.errors import ObjectNotFoundError
from flowhold.testing.powers import needs
from flowhold.testing.stores.suite import StoreSuite, keys, same

__all__ = ["DeletingTests"]

DELETE = Capability.DELETE


class DeletingTests(StoreSuite):
    """Deleting."""

    def test_what_was_deleted_is_gone(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("folder/object", b"x")
        with needs(powers, DELETE):
            store.delete("folder/object")
            for read in (store.get, store.open, store.head):
                with pytest.raises(ObjectNotFoundError):
                    read("folder/object")

    def test_what_was_deleted_is_not_listed(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("folder/object", b"x")
        with needs(powers, DELETE, Capability.LIST):
            store.delete("folder/object")
            assert keys(store) == []

    def test_deleting_what_is_not_there_does_nothing(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        with needs(powers, DELETE):
            store.delete("never/was")

    def test_deleting_twice_does_nothing_more(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("folder/object", b"x")
        with needs(powers, DELETE):
            store.delete("folder/object")
            store.delete("folder/object")
            with pytest.raises(ObjectNotFoundError):
                store.head("folder/object")

    def test_deleting_leaves_objects_of_similar_keys(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        near = ["a/bc", "a/bcde", "a/bcd.x", "a/b2/c", "A/bcd", "ab", "b/a/bcd"]
        for key in [*near, "a/bcd"]:
            store.put(key, key.encode())
        with needs(powers, DELETE):
            store.delete("a/bcd")
            for key in near:
                same(store.get(key), key.encode(), f"{key} after the delete of a/bcd")

    def test_deleting_a_folder_deletes_nothing(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("folder/sub/object", b"x")
        with needs(powers, DELETE):
            store.delete("folder/sub")
            store.delete("folder")
        same(store.get("folder/sub/object"), b"x", "an object below what was deleted")

    def test_a_key_can_be_used_again_after_a_delete(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("folder/object", b"first")
        with needs(powers, DELETE):
            store.delete("folder/object")
            store.put("folder/object", b"second")
            same(store.get("folder/object"), b"second", "what was put after a delete")

    def test_a_deleted_object_can_become_a_folder(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("name", b"object")
        with needs(powers, DELETE):
            store.delete("name")
            store.put("name/below", b"x")
            store.delete("name/below")
            store.put("name", b"object again")
            same(store.get("name"), b"object again", "a key that was a folder meanwhile")
