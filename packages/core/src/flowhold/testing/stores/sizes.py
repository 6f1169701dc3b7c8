"""Sizes from nothing to 64 MiB, and every form in which the bytes may be given."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Container
from typing import Any

import pytest

from flowhold import Capability, ObjectStore
from flowhold.store import CHUNK
from flowhold.testing.stores.suite import StoreSuite, content, pieces, same

__all__ = ["SizesTests"]

SIZES = [0, 1, 4_095, 65_536, CHUNK - 1, CHUNK, CHUNK + 1, 5 << 20, (8 << 20) + 1, 64 << 20]
DATA = content(200_000)


def _file(data: bytes, skip: int = 0) -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115 (pytest would not let one be left open)
    file.write(data)
    file.seek(skip)
    return file


FORMS: dict[str, Callable[[], Any]] = {
    "bytes": lambda: DATA,
    "bytearray": lambda: bytearray(DATA),
    "memoryview": lambda: memoryview(DATA),
    "slice of a memoryview": lambda: memoryview(b"##" + DATA + b"##")[2:-2],
    "list of bytes": lambda: [*pieces(DATA, 30_000)],
    "list of mixed buffers": lambda: [
        DATA[:5],
        bytearray(DATA[5:100]),
        memoryview(DATA)[100:],
    ],
    "buffers, some of them empty": lambda: [b"", DATA[:7], b"", b"", DATA[7:], b""],
    "tuple": lambda: (DATA[:9], DATA[9:]),
    "generator": lambda: pieces(DATA, 30_000),
    "generator of single bytes": lambda: pieces(DATA[:3_000], 1),
    "file": lambda: _file(DATA),
    "file from where it stands": lambda: _file(b"skipped" + DATA, 7),
    "buffer in memory": lambda: io.BytesIO(DATA),
}
EMPTY: dict[str, Callable[[], Any]] = {
    "list": list,
    "generator": lambda: iter(()),
    "empty buffers": lambda: [b"", b""],
    "file": lambda: _file(b""),
    "file at its end": lambda: _file(b"all read", 8),
}


class SizesTests(StoreSuite):
    """Sizes, and forms in which the bytes are given."""

    @pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size} bytes")
    def test_an_object_of_any_size_comes_back(
        self, store: ObjectStore, powers: Container[Capability], size: int, max_size: int
    ) -> None:
        data = content(min(size, max_size))
        assert store.put("object", data).size == len(data), "put() returned another size"
        assert store.head("object").size == len(data), "head() returned another size"
        same(store.get("object"), data, f"an object of {len(data):,} bytes")
        if Capability.DELETE in powers:
            store.delete("object")  # what is large shall not stay

    @pytest.mark.parametrize("form", FORMS)
    def test_bytes_can_be_given_as(self, store: ObjectStore, form: str) -> None:
        wanted = DATA[:3_000] if form == "generator of single bytes" else DATA
        parts = FORMS[form]()
        try:
            assert store.put("object", parts).size == len(wanted)
        finally:
            getattr(parts, "close", lambda: None)()
        same(store.get("object"), wanted, f"an object given as {form}")

    @pytest.mark.parametrize("form", EMPTY)
    def test_an_empty_object_can_be_given_as(self, store: ObjectStore, form: str) -> None:
        parts = EMPTY[form]()
        try:
            assert store.put("empty", parts).size == 0
        finally:
            getattr(parts, "close", lambda: None)()
        same(store.get("empty"), b"", f"an empty object given as {form}")
        assert store.head("empty").size == 0

    def test_a_large_object_is_put_together_from_uneven_parts(self, store: ObjectStore) -> None:
        data = content((9 << 20) + 123)
        sizes = [1, 5 << 20, 7, (3 << 20) + 1, 99]
        parts, start = [], 0
        for size in [*sizes, len(data)]:
            parts.append(memoryview(data)[start : start + size])
            start += size
        store.put("object", iter(parts))
        same(store.get("object"), data, "an object of 9 MiB from uneven parts")

    def test_a_large_file_is_stored_whole(self, store: ObjectStore) -> None:
        data = content((17 << 20) + 5)
        with _file(data) as file:
            store.put("object", file)
        with store.open("object") as stream:
            got = b"".join(iter(lambda: stream.read(CHUNK), b""))
        same(got, data, "a file of 17 MiB")

    def test_the_buffers_of_the_caller_stay_as_they_are(self, store: ObjectStore) -> None:
        buffer = bytearray(b"mine")
        with _file(b"mine, too") as file:
            store.put("file", file)
            store.put("buffer", [buffer])
            buffer[:] = b"else"
            assert not file.closed, "put() must not close a file that the caller opened"
        same(store.get("buffer"), b"mine", "a buffer that the caller used again after put()")
