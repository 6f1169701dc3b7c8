"""Verified first: bytes that are not the ones recorded are refused, and nothing of them is run."""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import pytest

import flowhold
from flowhold import Capability, FlowholdError, Reference
from flowhold.errors import FlowNotFoundError, IntegrityError, ObjectNotFoundError
from flowhold.testing.storages.suite import (
    Keep,
    StorageSuite,
    claimed,
    keeps_bytes,
    make_flow,
    round_trip,
    spoil,
)

__all__ = ["CheckingTests"]

CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "a flipped bit at the end": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "a flipped bit in the middle": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 128]) + data[len(data) // 2 + 1 :]
    ),
    "a missing end": lambda data: data[:-1],
    "a missing beginning": lambda data: data[1:],
    "something behind it": lambda data: data + b"\0",
    "nothing left": lambda data: b"",
    "other bytes of the same length": lambda data: b"#" * len(data),
}


class _Marks:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.write_text, (Path("ran.txt").absolute(), "ran")


class CheckingTests(StorageSuite):
    """Digests, tampering and ``verify``."""

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_what_was_changed_is_not_run(
        self,
        keep: Keep,
        powers: Container[Capability],
        backdoor: Any,
        change: Callable[[bytes], bytes],
    ) -> None:
        if not keeps_bytes(powers):
            _refuses_digests(keep)
            return
        storage = keep.make_storage()
        storage.add_flow(make_flow("etl", _Marks()))
        spoilt = spoil(storage.build(), "etl", backdoor, change)
        with pytest.raises(IntegrityError):
            spoilt.get_flow("etl")
        assert not Path("ran.txt").exists(), "changed bytes were run"

    def test_what_was_changed_is_not_run_by_reference_either(
        self, keep: Keep, powers: Container[Capability], backdoor: Any
    ) -> None:
        if not keeps_bytes(powers):
            _refuses_digests(keep)
            return
        spoilt = spoil(keep("etl"), "etl", backdoor, CHANGES["a flipped bit at the end"])
        (reference,) = spoilt.references()
        with pytest.raises(IntegrityError):
            flowhold.load(reference)

    def test_a_flow_is_not_taken_for_another(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        if not keeps_bytes(powers) or Capability.MANY_FLOWS not in powers:
            _refuses_digests(keep)
            return
        storage = keep("one", "two")
        swapped = claimed(storage, "one", location=storage.flows["two"])
        with pytest.raises(IntegrityError):
            swapped.get_flow("one")

    def test_a_wrong_digest_is_refused(self, keep: Keep, powers: Container[Capability]) -> None:
        storage = keep("etl")
        with pytest.raises(
            IntegrityError if Capability.SERIALIZES_FLOWS in powers else FlowholdError
        ):
            claimed(storage, "etl", sha256="0" * 64).get_flow("etl")

    def test_a_wrong_size_is_refused_or_without_effect(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        for size in (1, 1 << 40):
            try:
                flow = claimed(keep("etl"), "etl", size=size).get_flow("etl")
            except FlowholdError:
                continue
            assert flow.run().result == ["etl", "ran", 1]

    def test_a_revision_that_cannot_be_checked_is_refused(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        with pytest.raises(FlowholdError):
            claimed(keep("etl"), "etl", revision="f" * 40).get_flow("etl")

    def test_what_is_gone_is_told(
        self, keep: Keep, powers: Container[Capability], backdoor: Any
    ) -> None:
        storage = keep("etl")
        if not keeps_bytes(powers):
            with pytest.raises(FlowholdError):
                claimed(storage, "etl", location="gone_xyz").get_flow("etl")
            return
        gone = spoil(storage, "etl", backdoor, None)
        with pytest.raises((ObjectNotFoundError, FlowNotFoundError)):
            gone.get_flow("etl")

    def test_verify_says_that_all_is_well(self, keep: Keep, powers: Container[Capability]) -> None:
        names = ["one", "two"] if Capability.MANY_FLOWS in powers else ["one"]
        checks = keep(*names).verify()
        assert [check["name"] for check in checks] == names
        for check in checks:
            assert check["ok"] is True, check["detail"]
            assert isinstance(check["detail"], str)
            assert check["detail"], "a check must say what was found"

    def test_verify_finds_what_was_changed(
        self, keep: Keep, powers: Container[Capability], backdoor: Any
    ) -> None:
        if not keeps_bytes(powers):
            _refuses_digests(keep)
            return
        spoilt = spoil(keep("etl"), "etl", backdoor, CHANGES["a flipped bit at the end"])
        assert [check["ok"] for check in spoilt.verify()] == [False], "verify() missed a change"

    def test_verify_does_not_believe_the_cache(
        self, keep: Keep, powers: Container[Capability], backdoor: Any
    ) -> None:
        if not keeps_bytes(powers):
            _refuses_digests(keep)
            return
        storage = keep("etl")
        storage.get_flow("etl")
        spoilt = spoil(storage, "etl", backdoor, CHANGES["a flipped bit at the end"])
        assert [check["ok"] for check in spoilt.verify()] == [False], "verify() asked the cache"

    def test_verify_finds_what_is_gone(
        self, keep: Keep, powers: Container[Capability], backdoor: Any
    ) -> None:
        storage = keep("etl")
        if keeps_bytes(powers):
            gone = spoil(storage, "etl", backdoor, None)
        elif Capability.SERIALIZES_FLOWS in powers:
            gone = claimed(storage, "etl", location="gone_xyz")
        else:
            assert round_trip(storage).verify() == []
            return
        (check,) = gone.verify()
        assert check["ok"] is False, "verify() missed that the flow is gone"
        assert check["detail"]

    def test_verify_says_which_of_several_is_not_well(
        self, keep: Keep, powers: Container[Capability], backdoor: Any
    ) -> None:
        if not keeps_bytes(powers) or Capability.MANY_FLOWS not in powers:
            _refuses_digests(keep)
            return
        spoilt = spoil(keep("one", "two"), "two", backdoor, CHANGES["a missing end"])
        assert {check["name"]: check["ok"] for check in spoilt.verify()} == {
            "one": True,
            "two": False,
        }

    def test_verify_runs_nothing(self, keep: Keep, powers: Container[Capability]) -> None:
        storage = keep.make_storage()
        if Capability.STORE not in powers:
            keep.place(f"open({str(Path('ran.txt').absolute())!r}, 'w').close()\n")
        storage.add_flow(make_flow("etl", _Marks()))
        storage.build().verify()
        assert not Path("ran.txt").exists(), "verify() ran the flow's code"


def _refuses_digests(keep: Keep) -> None:
    """Check that a storage without bytes of its own does not run what claims a digest."""
    storage = keep("etl")
    with pytest.raises(FlowholdError):
        claimed(storage, "etl", sha256="0" * 64).get_flow("etl")
    for reference in storage.references():
        with pytest.raises(IntegrityError):
            flowhold.load(Reference.from_dict({**reference.to_dict(), "sha256": "0" * 64}))
