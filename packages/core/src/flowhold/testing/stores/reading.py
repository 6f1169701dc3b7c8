"""Put, get, open and head: what was written is what is read."""

from __future__ import annotations

import gzip
import time
from collections.abc import Container

import pytest

from flowhold import Capability, ObjectInfo, ObjectStore
from flowhold.store import holds, read_object
from flowhold.testing.powers import needs
from flowhold.testing.stores.suite import StoreSuite, content, keys, same

__all__ = ["ReadingTests"]


class ReadingTests(StoreSuite):
    """Put, get, open and head."""

    def test_what_was_put_is_what_get_returns(self, store: ObjectStore) -> None:
        store.put("flows/etl", b"the bytes")
        same(store.get("flows/etl"), b"the bytes", "get() after put()")

    def test_put_returns_the_key_and_the_size_in_bytes(self, store: ObjectStore) -> None:
        info = store.put("flows/etl", "größe".encode())
        assert isinstance(info, ObjectInfo), "put() must return an ObjectInfo"
        assert (info.key, info.size) == ("flows/etl", 7)

    def test_head_returns_the_key_and_the_size_in_bytes(self, store: ObjectStore) -> None:
        store.put("flows/etl", "größe".encode())
        info = store.head("flows/etl")
        assert isinstance(info, ObjectInfo), "head() must return an ObjectInfo"
        assert (info.key, info.size) == ("flows/etl", 7)

    def test_objects_do_not_mix(self, store: ObjectStore) -> None:
        for number in range(5):
            store.put(f"flows/{number}", b"%d" % number)
        for number in range(5):
            same(store.get(f"flows/{number}"), b"%d" % number, f"object {number} of 5")

    def test_every_byte_value_survives(self, store: ObjectStore) -> None:
        data = bytes(range(256)) + b"\r\n\n\r\x00\x1a\xff\xfe"
        store.put("binary", data)
        same(store.get("binary"), data, "no byte may be translated, as line ends are in text mode")

    def test_compressed_content_is_not_decompressed(self, store: ObjectStore) -> None:
        data = gzip.compress(b"x" * 10_000, mtime=0)
        store.put("report.json.gz", data)
        same(store.get("report.json.gz"), data, "gzip data must come back as it was written")

    def test_putting_again_replaces_the_object(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("flows/etl", b"old")
        with needs(powers, Capability.OVERWRITE):
            store.put("flows/etl", b"new")
            same(store.get("flows/etl"), b"new", "get() after a second put()")
            assert store.head("flows/etl").size == 3

    def test_a_shorter_object_replaces_a_longer_one_wholly(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("flows/etl", b"long " * 10_000)
        with needs(powers, Capability.OVERWRITE):
            store.put("flows/etl", b"short")
            same(store.get("flows/etl"), b"short", "nothing of the longer object may be left")
            assert store.head("flows/etl").size == 5

    def test_what_was_just_written_is_read_at_once(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("flows/etl", b"0")
        with needs(powers, Capability.OVERWRITE):
            for number in range(1, 6):
                data = b"x" * number
                store.put("flows/etl", data)
                same(store.get("flows/etl"), data, "get() right after put() may not be stale")
                assert store.head("flows/etl").size == number, "head() after put() is stale"

    def test_an_object_made_after_a_miss_is_found(self, store: ObjectStore) -> None:
        with pytest.raises(FileNotFoundError):
            store.get("flows/etl")
        store.put("flows/etl", b"there")
        same(store.get("flows/etl"), b"there", "a miss may not be remembered")

    def test_the_etag_changes_with_the_bytes(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("flows/etl", b"one")
        first = store.head("flows/etl").etag
        assert first == store.head("flows/etl").etag, "the etag changed, and the object did not"
        with needs(powers, Capability.OVERWRITE):
            store.put("flows/etl", b"two")
            second = store.head("flows/etl").etag
            assert first != second or first is None, (
                "an etag must change with the bytes, or be None"
            )

    def test_put_and_head_agree(self, store: ObjectStore) -> None:
        put, head = store.put("flows/etl", b"x"), store.head("flows/etl")
        assert (put.key, put.size) == (head.key, head.size)
        assert put.etag in (None, head.etag), "put() returned an etag that head() does not know"

    def test_the_time_of_change_is_in_seconds_since_the_epoch(self, store: ObjectStore) -> None:
        store.put("flows/etl", b"x")
        modified = store.head("flows/etl").modified
        if modified is not None:
            assert isinstance(modified, (int, float))
            assert abs(modified - time.time()) < 2 * 86_400, "is it in milliseconds, or local time?"

    def test_open_returns_a_stream_that_is_read_in_pieces(self, store: ObjectStore) -> None:
        data = content(100_000)
        store.put("flows/etl", data)
        with store.open("flows/etl") as stream:
            got = bytearray()
            while piece := stream.read(7_777):
                assert len(piece) <= 7_777, "read(n) returned more than n bytes"
                got += piece
            assert stream.read(1) == b"", "read() behind the end must be empty"
        same(bytes(got), data, "the pieces of the stream")

    def test_a_stream_gives_what_is_left_of_it(self, store: ObjectStore) -> None:
        store.put("flows/etl", b"0123456789")
        with store.open("flows/etl") as stream:
            assert stream.read(4) == b"0123"
            same(stream.read(), b"456789", "read() must return all that is left")

    def test_two_streams_do_not_disturb_each_other(self, store: ObjectStore) -> None:
        store.put("a", content(50_000, 1))
        store.put("b", content(50_000, 2))
        with store.open("a") as one, store.open("b") as two:
            first, second = one.read(10), two.read(10)
            same(first + one.read(), content(50_000, 1), "the first of two open streams")
            same(second + two.read(), content(50_000, 2), "the second of two open streams")

    def test_a_stream_can_be_closed_before_its_end(self, store: ObjectStore) -> None:
        store.put("flows/etl", content(3 << 20))
        for _ in range(3):
            with store.open("flows/etl") as stream:
                stream.read(1)
        same(store.get("flows/etl"), content(3 << 20), "get() after streams that were left early")

    def test_no_more_is_read_than_was_asked_for(self, store: ObjectStore) -> None:
        store.put("flows/etl", b"0123456789")
        same(read_object(store, "flows/etl", 4), b"0123", "the beginning of an object")
        same(read_object(store, "flows/etl", 99), b"0123456789", "a limit above the size")

    def test_an_object_is_told_by_its_digest(self, store: ObjectStore) -> None:
        import hashlib

        store.put("flows/etl", b"the bytes")
        digest, other = (hashlib.sha256(data).hexdigest() for data in (b"the bytes", b"she bytes"))
        assert holds(store, "flows/etl", 9, digest), "the store does not hold what was put"
        assert not holds(store, "flows/etl", 9, other)
        assert not holds(store, "flows/none", 9, digest)

    def test_a_back_door_sees_the_bytes_as_they_are(
        self, store: ObjectStore, backdoor: object
    ) -> None:
        data = content(5_000)
        store.put("flows/etl", data)
        read = getattr(backdoor, "read", store.get)
        same(read("flows/etl"), data, "the stored object must be the bytes and nothing else")

    def test_reading_leaves_nothing_behind(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("flows/etl", b"x")
        store.get("flows/etl")
        store.head("flows/etl")
        with needs(powers, Capability.LIST):
            assert keys(store) == ["flows/etl"], "the store lists what nobody has put there"
