"""What the tests of object stores share: fixtures, and comparisons that do not print megabytes."""

from __future__ import annotations

import bisect
import random
from collections.abc import Container, Iterator, Sequence
from typing import Any

import pytest

from flowhold import Capability, ObjectStore
from flowhold.testing.suite import Suite

__all__ = ["StoreSuite", "content", "keys", "pieces", "same"]


class StoreSuite(Suite):
    """Tests of an object store; a subclass has the fixture ``store``: an empty one."""

    @pytest.fixture
    def powers(self, store: ObjectStore) -> Container[Capability]:
        """Return what the store declares that it can do."""
        return store.capabilities

    @pytest.fixture
    def max_size(self) -> int:
        """Return the size in bytes of the largest object to try."""
        return 64 << 20

    @pytest.fixture
    def catalog_url(self) -> str | None:
        """Return the URL that opens the place of ``store``, where it has one."""
        return None

    @pytest.fixture
    def secret_values(self) -> Sequence[str]:
        """Return the credentials with which ``store`` was made; they must be seen nowhere."""
        return ()

    @pytest.fixture
    def backdoor(self) -> Any:
        """Return what reads, writes and removes objects past the store, or None."""
        return None


def content(size: int, seed: int = 0) -> bytes:
    """Return ``size`` bytes that do not repeat; another seed gives others."""
    return random.Random(f"{seed}/{size}").randbytes(size)  # noqa: S311


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Yield ``data`` in buffers of ``size`` bytes."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def keys(store: ObjectStore, prefix: str = "", start_after: str | None = None) -> list[str]:
    """Return the keys that the store lists."""
    return [info.key for info in store.list(prefix, start_after)]


def same(got: bytes, wanted: bytes, what: str) -> None:
    """Fail with a short message unless the bytes are those that are wanted."""
    __tracebackhide__ = True
    if got == wanted:
        return
    if not isinstance(got, bytes):
        pytest.fail(f"{what}: got a {type(got).__name__} instead of bytes")
    ends = range(min(len(got), len(wanted)) + 1)
    # How many bytes are the same, by halving: a loop over megabytes would take seconds.
    where = bisect.bisect_left(ends, True, key=lambda end: got[:end] != wanted[:end]) - 1
    short = where == min(len(got), len(wanted))
    place = "one is the beginning of the other" if short else f"they differ at {where:,}"
    pytest.fail(f"{what}: got {len(got):,} bytes, wanted {len(wanted):,}; {place}")
