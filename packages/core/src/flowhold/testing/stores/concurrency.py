"""Many threads at one store: nothing is lost, mixed or raised raw."""

from __future__ import annotations

from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from flowhold import Capability, FlowholdError, ObjectStore
from flowhold.errors import ObjectNotFoundError
from flowhold.testing.powers import needs
from flowhold.testing.stores.suite import StoreSuite, content, keys, same

__all__ = ["ConcurrencyTests"]

THREADS = 8


class ConcurrencyTests(StoreSuite):
    """Many threads at one store."""

    def test_objects_written_at_once_are_all_there(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        wanted = {f"folder/{number:02}": content(3_000, number) for number in range(40)}
        with ThreadPoolExecutor(THREADS) as threads:
            infos = [*threads.map(lambda item: store.put(*item), wanted.items())]
        assert [info.key for info in infos] == [*wanted], "put() returned another thread's key"
        if Capability.LIST in powers:
            assert keys(store) == [*wanted], "objects are missing"
        with ThreadPoolExecutor(THREADS) as threads:
            for key, got in zip(wanted, threads.map(store.get, wanted), strict=True):
                same(got, wanted[key], f"{key}, written by one of {THREADS} threads")

    def test_one_object_is_read_by_many_at_once(self, store: ObjectStore) -> None:
        data = content(1 << 20)
        store.put("object", data)
        with ThreadPoolExecutor(THREADS) as threads:
            for got in threads.map(lambda _: store.get("object"), range(2 * THREADS)):
                same(got, data, f"one of {2 * THREADS} reads at once")

    def test_of_writers_at_once_one_remains_whole(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        states = [content(100_000 + number, number) for number in range(THREADS)]
        store.put("object", b"")
        with needs(powers, Capability.OVERWRITE):
            with ThreadPoolExecutor(THREADS) as threads:
                for _ in threads.map(lambda data: store.put("object", data), states):
                    pass
            assert store.get("object") in states, "the object is a mixture of what was written"
            assert store.head("object").size == len(store.get("object"))

    def test_deletes_at_once_all_succeed(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("folder/object", b"x")
        with needs(powers, Capability.DELETE):
            with ThreadPoolExecutor(THREADS) as threads:
                for _ in threads.map(lambda _: store.delete("folder/object"), range(THREADS)):
                    pass
            if Capability.LIST in powers:
                assert keys(store) == []

    def test_puts_and_deletes_at_once_end_in_a_clear_state(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        def work(number: int) -> None:
            for _ in range(3):
                store.put(f"folder/{number % 2}/object", b"x")
                store.delete(f"folder/{number % 2}/object")
                with suppress(ObjectNotFoundError):
                    store.head(f"folder/{(number + 1) % 2}/object")

        store.put("folder/0/object", b"x")
        with needs(powers, Capability.DELETE, Capability.OVERWRITE):
            with ThreadPoolExecutor(4) as threads:
                for _ in threads.map(work, range(4)):
                    pass
            store.put("folder/0/object", b"end")
            same(store.get("folder/0/object"), b"end", "an object after puts and deletes at once")

    def test_listings_while_others_write_and_delete_keep_what_stays(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        stays = [f"folder/{number}/stays" for number in range(4)]
        for key in stays:
            store.put(key, b"x")

        def churn(number: int) -> None:
            for _ in range(4):
                store.put(f"folder/{number}/comes", b"x")
                store.delete(f"folder/{number}/comes")

        with needs(powers, Capability.LIST, Capability.DELETE):
            keys(store)
            with ThreadPoolExecutor(4) as threads:
                churning = [threads.submit(churn, number) for number in range(3)]
                try:
                    listings = [keys(store, "folder/") for _ in range(6)]
                except FlowholdError as error:
                    raise AssertionError(f"a listing failed as objects changed: {error}") from error
                for each in churning:
                    each.result()
            for listing in listings:
                assert listing == sorted(set(listing)), "a listing is out of order or has doubles"
                assert set(stays) <= set(listing), "a listing left out an object that stayed"
