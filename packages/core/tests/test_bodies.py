"""Bytes on their way: as one seekable file without copies, and back whole or not at all."""

from __future__ import annotations

import gc
import hashlib
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowhold.bodies import Download, ObjectStream, as_file
from flowhold.errors import IntegrityError, StorageUnavailableError

MIB = 1 << 20

buffers = st.lists(st.binary(max_size=40), max_size=6)


def large(pieces):
    """The same parts behind one that keeps them from being joined."""
    return [bytes(9 * MIB), *pieces]


@given(buffers, st.lists(st.integers(0, 60), max_size=10))
def test_parts_read_as_one_file_whatever_the_sizes_of_reads(pieces, sizes):
    parts = large(pieces)
    whole = b"".join(parts)
    with as_file(parts) as (file, size):
        assert size == len(whole)
        file.seek(9 * MIB - 20)
        at = 9 * MIB - 20
        for wanted in sizes:
            assert file.read(wanted) == whole[at : at + wanted]
            at = min(at + wanted, len(whole))
            assert file.tell() == at
        file.seek(0)
        assert file.read() == whole


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"some bytes",
        lambda: bytearray(b"some bytes"),
        lambda: memoryview(b"some bytes"),
        lambda: [b"some ", b"", memoryview(b"bytes")],
        lambda: iter([b"some ", bytearray(b"bytes")]),
        lambda: io.BytesIO(b"some bytes"),
    ],
    ids=["bytes", "bytearray", "memoryview", "list", "iterator", "file"],
)
def test_all_forms_of_parts_can_be_read_twice(make):
    with as_file(make()) as (file, size):
        assert (file.read(), size) == (b"some bytes", 10)
        file.seek(0)
        assert file.read() == b"some bytes"


def test_a_file_is_taken_from_where_it_stands():
    given = io.BytesIO(b"headbody")
    given.seek(4)
    with as_file(given) as (file, size):
        assert (file.read(), size) == (b"body", 4)
        file.seek(0)
        assert file.read() == b"body"


def test_large_parts_are_not_copied():
    parts = [bytes(16 * MIB), bytes(16 * MIB)]
    tracemalloc.start()
    with as_file(parts) as (file, size):
        while file.read(MIB):
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 32 * MIB
    assert peak < 4 * MIB


DATA = bytes(range(256)) * 40


class Backend:
    """Serves DATA in chunks and breaks off as it is told."""

    def __init__(self, *breaks, chunk=1000, digest=None):
        self.breaks = list(breaks)
        self.chunk = chunk
        self.digest = digest
        self.asked = []
        self.closed = 0

    def __call__(self, offset):
        self.asked.append(offset)
        rest = DATA[offset:]
        return Download(len(rest), self.serve(rest), self.close, self.digest)

    def serve(self, rest):
        stop = self.breaks.pop(0) if self.breaks else None
        sent = rest if stop is None else rest[: abs(stop)]
        for start in range(0, len(sent), self.chunk):
            yield sent[start : start + self.chunk]
        if stop is not None and stop < 0:
            raise StorageUnavailableError("reset")

    def close(self):
        self.closed += 1


@given(st.lists(st.integers(1, 3000), max_size=30), st.integers(1, 4000))
def test_a_stream_gives_the_object_whatever_the_sizes_of_chunks_and_reads(sizes, chunk):
    with ObjectStream(Backend(chunk=chunk), "x://b/k", 1) as stream:
        at = 0
        for size in sizes:
            assert stream.read(size) == DATA[at : at + size]
            at = min(at + size, len(DATA))
        assert stream.read() == DATA[at:]
        assert stream.read() == b""


@pytest.mark.parametrize("stop", [2500, -2500], ids=["ends early", "is reset"])
def test_what_breaks_off_goes_on_where_it_was(stop):
    backend = Backend(stop)
    with ObjectStream(backend, "x://b/k", 3) as stream:
        assert stream.read() == DATA
    assert backend.asked == [0, 2500]
    assert backend.closed == 2


@pytest.mark.parametrize("stop", [100, -100], ids=["ends early", "is reset"])
def test_what_breaks_off_too_often_is_an_error_and_never_short(stop):
    backend = Backend(*[stop] * 9)
    with ObjectStream(backend, "x://b/k", 3) as stream, pytest.raises(StorageUnavailableError):
        stream.read()
    assert len(backend.asked) == 3


def test_a_longer_answer_than_announced_is_cut():
    def fetch(offset):
        return Download(5, iter([b"hello and more"]))

    assert ObjectStream(fetch, "x://b/k", 1).read() == b"hello"


def test_a_checksum_is_held_against_what_arrived_also_in_pieces():
    right = hashlib.md5(DATA, usedforsecurity=False).digest()
    for expected, good in ((right, True), (bytes(16), False)):
        digest = (hashlib.md5(usedforsecurity=False), expected)
        stream = ObjectStream(Backend(3000, digest=digest), "x://b/k", 2)
        if good:
            assert stream.read() == DATA
        else:
            with pytest.raises(IntegrityError, match="arrived damaged"):
                stream.read()


def test_reading_all_holds_one_copy():
    size, chunk = 64 * MIB, bytes(MIB)

    def fetch(offset):
        return Download(size, (chunk for _ in range(64)))

    tracemalloc.start()
    data = ObjectStream(fetch, "x://b/k", 1).read(size + 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(data) == size
    assert peak < size * 1.2 + 4 * MIB


def test_a_stream_can_be_wrapped_and_read_by_lines():
    with io.BufferedReader(ObjectStream(Backend(), "x://b/k", 1)) as stream:
        assert b"".join(stream) == DATA


def test_a_closed_stream_gives_its_connection_back_once():
    backend = Backend()
    stream = ObjectStream(backend, "x://b/k", 1)
    stream.close()
    stream.close()
    assert backend.closed == 1


def test_a_stream_that_could_not_be_opened_ends_quietly():
    def fetch(offset):
        raise StorageUnavailableError("down")

    with pytest.raises(StorageUnavailableError):
        ObjectStream(fetch, "x://b/k", 1)
    gc.collect()


def test_nothing_is_read_of_an_object_that_arrived_damaged_nor_of_a_closed_stream():
    digest = (hashlib.md5(usedforsecurity=False), bytes(16))
    backend = Backend(digest=digest)
    stream = ObjectStream(backend, "x://b/k", 4)
    with pytest.raises(IntegrityError):
        stream.read()
    with pytest.raises(StorageUnavailableError):
        stream.read()
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        stream.read()
    assert backend.asked == [0]
