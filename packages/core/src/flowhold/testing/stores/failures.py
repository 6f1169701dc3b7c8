"""Errors: all of one tree, also the builtin that fits, with what is needed to act on them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Container
from typing import Any

import pytest

from flowhold import Capability, FlowholdError, ObjectStore
from flowhold.errors import ObjectExistsError, ObjectNotFoundError
from flowhold.testing.powers import needs
from flowhold.testing.stores.suite import StoreSuite, keys, same

__all__ = ["FailuresTests"]

READS: dict[str, Callable[[ObjectStore, str], Any]] = {
    "get": lambda store, key: store.get(key),
    "open": lambda store, key: store.open(key),
    "head": lambda store, key: store.head(key),
}


class FailuresTests(StoreSuite):
    """Errors."""

    @pytest.mark.parametrize("read", READS)
    def test_a_missing_object_is_object_not_found(self, store: ObjectStore, read: str) -> None:
        with pytest.raises(ObjectNotFoundError):
            READS[read](store, "folder/missing")

    @pytest.mark.parametrize("read", READS)
    def test_a_missing_object_beside_others_is_object_not_found(
        self, store: ObjectStore, read: str
    ) -> None:
        store.put("folder/object", b"x")
        for key in ("folder/objec", "folder/object2", "folder/other", "object", "folder2/object"):
            with pytest.raises(ObjectNotFoundError):
                READS[read](store, key)

    @pytest.mark.parametrize("read", READS)
    def test_what_lies_below_an_object_is_object_not_found(
        self, store: ObjectStore, read: str
    ) -> None:
        store.put("folder/object", b"x")
        with pytest.raises(ObjectNotFoundError):
            READS[read](store, "folder/object/below")

    def test_open_itself_finds_out_that_nothing_is_there(self, store: ObjectStore) -> None:
        try:
            stream = store.open("missing")
        except ObjectNotFoundError:
            return
        stream.close()
        pytest.fail("open() returned a stream of nothing; it must raise, not the first read()")

    def test_an_error_names_the_key(self, store: ObjectStore) -> None:
        with pytest.raises(ObjectNotFoundError) as caught:
            store.get("folder/missing")
        assert "folder/missing" in f"{caught.value} {caught.value.location}"

    def test_an_error_is_a_line_that_says_what_is_wrong(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        with pytest.raises(ObjectNotFoundError) as missing:
            store.get("folder/missing")
        assert str(missing.value).strip(), "an error must say something"
        assert len(str(missing.value).splitlines()) <= 2, "an error has one or two lines"

    def test_an_error_survives_pickling(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("object", b"x")
        errors: list[FlowholdError] = []
        with pytest.raises(ObjectNotFoundError) as missing:
            store.get("missing")
        errors.append(missing.value)
        if Capability.CONDITIONAL_CREATE in powers:
            with pytest.raises(ObjectExistsError) as exists:
                store.put("object", b"y", if_absent=True)
            errors.append(exists.value)
        for error in errors:
            restored = pickle.loads(pickle.dumps(error))
            assert type(restored) is type(error), "workers send errors of tasks home as pickles"
            assert str(restored) == str(error)

    @pytest.mark.parametrize("wrong", ["text", 5, None, [b"x", "text"], [b"x", None]], ids=repr)
    def test_what_is_no_bytes_is_refused_and_leaves_nothing(
        self, store: ObjectStore, powers: Container[Capability], wrong: Any
    ) -> None:
        with pytest.raises((TypeError, ValueError, AttributeError, FlowholdError)):
            store.put("object", wrong)
        with pytest.raises(ObjectNotFoundError):
            store.head("object")
        if Capability.LIST in powers:
            assert keys(store) == [], "a put that failed left something behind"

    def test_the_store_works_on_after_errors(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        for number in range(3):
            with pytest.raises(ObjectNotFoundError):
                store.get(f"missing/{number}")
            with pytest.raises(ObjectNotFoundError):
                store.head(f"missing/{number}")
            store.put("object/1", b"x") if number == 0 else store.head("object/1")
        same(store.get("object/1"), b"x", "an object after errors")

    def test_where_there_is_an_object_nothing_goes_below_it_unseen(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("name", b"object")
        try:
            store.put("name/below", b"below")
        except FlowholdError:
            pass  # stores of files cannot hold both, and say so
        else:
            same(store.get("name/below"), b"below", "an object below another")
        same(store.get("name"), b"object", "an object below which another was put")

    def test_where_there_is_a_folder_no_object_replaces_it(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        store.put("name/below", b"below")
        try:
            store.put("name", b"object")
        except FlowholdError:
            pass
        else:
            same(store.get("name"), b"object", "an object above another")
        same(store.get("name/below"), b"below", "an object above which another was put")

    def test_a_condition_on_what_cannot_be_checked_is_refused(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.CONDITIONAL_CREATE):
            store.put("object", b"x", if_absent=True)
        if Capability.CONDITIONAL_CREATE not in powers:
            with pytest.raises(ObjectNotFoundError):
                store.head("object")
