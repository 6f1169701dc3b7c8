"""A put is atomic: a reader sees the old bytes, the new bytes or nothing."""

from __future__ import annotations

from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from threading import Event

import pytest

from flowhold import Capability, FlowholdError, ObjectStore
from flowhold.errors import ObjectNotFoundError
from flowhold.testing.powers import needs
from flowhold.testing.stores.suite import StoreSuite, content, keys, pieces, same

__all__ = ["AtomicityTests"]

PART = 1 << 20


class SourceError(Exception):
    """What a source of bytes raises in these tests."""


def breaking(parts: int) -> Iterator[bytes]:
    """Yield a few parts, then raise."""
    yield from pieces(content(parts * PART), PART)
    raise SourceError("the source broke off")


class BreakingFile(BytesIO):
    """A seekable file whose reading fails behind its middle."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, or raise behind the middle."""
        if self.tell() >= len(self.getbuffer()) // 2:
            raise SourceError("the file broke off")
        return super().read(min(PART, len(self.getbuffer()) // 2))


class AtomicityTests(StoreSuite):
    """A put is all or nothing."""

    def test_a_source_that_breaks_off_leaves_nothing(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        for number, parts in enumerate((0, 1, 9)):
            with pytest.raises((SourceError, FlowholdError)):
                store.put(f"folder/{number}", breaking(parts))
            with pytest.raises(ObjectNotFoundError):
                store.get(f"folder/{number}")
        if Capability.LIST in powers:
            assert keys(store) == [], "a put that failed left something behind"

    def test_a_source_that_breaks_off_leaves_the_old_object(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("object", b"old")
        before = store.head("object")
        with pytest.raises((SourceError, FlowholdError)):
            store.put("object", breaking(2))
        same(store.get("object"), b"old", "the object after a put that failed")
        assert store.head("object") == before, "a put that failed has touched the object"

    def test_a_file_that_breaks_off_leaves_nothing(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        with pytest.raises((SourceError, FlowholdError)):
            store.put("object", BreakingFile(content(6 * PART)))
        with pytest.raises(ObjectNotFoundError):
            store.head("object")

    def test_a_create_that_breaks_off_can_be_made_again(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.CONDITIONAL_CREATE):
            with pytest.raises((SourceError, FlowholdError)) as caught:
                store.put("object", breaking(2), if_absent=True)
            if Capability.CONDITIONAL_CREATE not in powers:
                raise caught.value
            store.put("object", b"whole", if_absent=True)
            same(store.get("object"), b"whole", "what was created after a create that failed")

    def test_the_error_of_the_source_can_be_seen(self, store: ObjectStore) -> None:
        with pytest.raises((SourceError, FlowholdError)) as caught:
            store.put("object", breaking(1))
        error: BaseException | None = caught.value
        while error is not None and not isinstance(error, SourceError):
            error = error.__cause__ or error.__context__
        assert error is not None, "the error of the source must pass, or be the cause"

    def test_a_new_object_is_not_seen_before_it_is_whole(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        data, seen = content(9 * PART), []

        def parts() -> Iterator[bytes]:
            for piece in pieces(data, PART):
                yield piece
                with suppress(ObjectNotFoundError):
                    seen.append(len(store.get("object")))

        store.put("object", parts())
        assert set(seen) <= {len(data)}, f"a reader saw parts of an object: {seen} bytes"
        same(store.get("object"), data, "the object when it is whole")

    def test_the_old_object_is_seen_until_the_new_one_is_whole(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("object", b"old")
        seen: list[bytes] = []

        def parts() -> Iterator[bytes]:
            for piece in pieces(content(9 * PART), PART):
                yield piece
                seen.append(store.get("object"))

        with needs(powers, Capability.OVERWRITE):
            store.put("object", parts())
            assert set(seen) == {b"old"}, "a reader saw something else than the old object"
            same(store.get("object"), content(9 * PART), "the object when it is replaced")

    def test_what_is_being_written_is_not_listed(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("folder/old", b"x")
        seen: list[str] = []

        def parts() -> Iterator[bytes]:
            for piece in pieces(content(9 * PART), 3 * PART):
                yield piece
                seen.extend(keys(store))

        with needs(powers, Capability.LIST):
            keys(store)
            store.put("folder/new", parts())
            assert set(seen) == {"folder/old"}, "temporary or partial objects are listed"
            assert keys(store) == ["folder/new", "folder/old"]

    def test_a_stream_shows_one_object_while_it_is_replaced(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        old, new = content(2_000_000, 1), content(2_000_000, 2)
        store.put("object", old)
        with needs(powers, Capability.OVERWRITE):
            with store.open("object") as stream:
                got = stream.read(1_000)
                store.put("object", new)
                try:
                    got += stream.read()
                except (FlowholdError, OSError):
                    return  # refusing to go on is better than going on with other bytes
            assert got in (old, new), "a stream mixed the old object with the new one"

    def test_readers_see_whole_objects_while_writers_replace_them(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        states = [content(200_000 + number, number) for number in range(3)]
        store.put("object", states[0])
        done = Event()

        def read() -> int:
            while not done.is_set():
                assert store.get("object") in states, "a reader saw a mixture of objects"
            return 1

        with needs(powers, Capability.OVERWRITE), ThreadPoolExecutor(2) as threads:
            readers = [threads.submit(read) for _ in range(2)]
            try:
                for number in range(20):
                    store.put("object", states[number % 3])
            finally:
                done.set()
            assert [reader.result() for reader in readers] == [1, 1]
