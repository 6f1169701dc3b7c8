"""``if_absent``: an object is created, and never replaced; of several writers one wins."""

from __future__ import annotations

from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from flowhold import Capability, ObjectStore
from flowhold.errors import ObjectExistsError
from flowhold.testing.powers import needs
from flowhold.testing.stores.suite import StoreSuite, content, keys, pieces, same

__all__ = ["ConditionalTests"]

CREATE = Capability.CONDITIONAL_CREATE
WRITERS = 8


class ConditionalTests(StoreSuite):
    """Conditional create."""

    def test_if_absent_creates_what_is_not_there(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        with needs(powers, CREATE):
            info = store.put("object", b"first", if_absent=True)
            assert (info.key, info.size) == ("object", 5)
            same(store.get("object"), b"first", "an object that was created")

    def test_if_absent_refuses_what_is_there_and_leaves_it(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("object", b"first")
        before = store.head("object")
        with needs(powers, CREATE), pytest.raises(ObjectExistsError):
            store.put("object", b"other", if_absent=True)
        same(store.get("object"), b"first", "the object after a refused create")
        assert store.head("object") == before, "a refused create has touched the object"

    def test_if_absent_refuses_twice(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        with needs(powers, CREATE):
            store.put("object", b"first", if_absent=True)
            for _ in range(2):
                with pytest.raises(ObjectExistsError):
                    store.put("object", b"other", if_absent=True)
            same(store.get("object"), b"first", "the object after two refused creates")

    def test_if_absent_refuses_the_same_bytes_too(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("object", b"first")
        with needs(powers, CREATE), pytest.raises(ObjectExistsError):
            store.put("object", b"first", if_absent=True)

    def test_an_empty_object_is_there_too(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("object", b"")
        with needs(powers, CREATE), pytest.raises(ObjectExistsError):
            store.put("object", b"other", if_absent=True)
        same(store.get("object"), b"", "the empty object after a refused create")

    def test_a_refused_create_leaves_nothing_behind(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("folder/object", b"first")
        with needs(powers, CREATE, Capability.LIST):
            with pytest.raises(ObjectExistsError):
                store.put("folder/object", pieces(content(3 << 20), 1 << 20), if_absent=True)
            assert keys(store) == ["folder/object"], "a refused create left something behind"

    def test_a_refusal_names_the_key(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("folder/object", b"first")
        with needs(powers, CREATE):
            with pytest.raises(FileExistsError) as caught:
                store.put("folder/object", b"other", if_absent=True)
            assert "folder/object" in f"{caught.value} {getattr(caught.value, 'location', '')}"

    @pytest.mark.parametrize("size", [0, (9 << 20) + 1])
    def test_an_object_of_any_size_is_created_once(
        self, store: ObjectStore, powers: Container[Capability], size: int
    ) -> None:
        with needs(powers, CREATE):
            store.put("object", pieces(content(size), 1 << 20), if_absent=True)
            same(store.get("object"), content(size), f"a created object of {size:,} bytes")
            with pytest.raises(ObjectExistsError):
                store.put("object", content(size, 1), if_absent=True)
            same(store.get("object"), content(size), "the object after a refused create")

    def test_what_was_deleted_can_be_created_again(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        with needs(powers, CREATE, Capability.DELETE):
            store.put("object", b"first", if_absent=True)
            store.delete("object")
            store.put("object", b"second", if_absent=True)
            same(store.get("object"), b"second", "what was created after a delete")

    def test_a_create_of_another_key_is_not_hindered(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("folder/object", b"1")
        with needs(powers, CREATE):
            for key in ("folder/objec", "folder/object2", "folder2/object", "Folder/object"):
                store.put(key, key.encode(), if_absent=True)
                same(store.get(key), key.encode(), f"the object {key}")

    def test_of_several_writers_exactly_one_wins(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        for attempt in range(3):
            barrier = Barrier(WRITERS)

            def write(number: int, key: str = f"race/{attempt}", start: Barrier = barrier) -> bool:
                start.wait(timeout=60)
                try:
                    store.put(key, content(20_000, number), if_absent=True)
                except ObjectExistsError:
                    return False
                return True

            with needs(powers, CREATE):
                with ThreadPoolExecutor(WRITERS) as threads:
                    won = [*threads.map(write, range(WRITERS))]
                assert won.count(True) == 1, f"{won.count(True)} of {WRITERS} writers won"
                winner = content(20_000, won.index(True))
                same(store.get(f"race/{attempt}"), winner, "the object is not the winner's")
