"""Keys: which are refused, which every store holds, and that no two become one."""

from __future__ import annotations

from collections.abc import Container

import pytest

from flowhold import Capability, FlowholdError, ObjectStore
from flowhold.errors import ConfigurationError
from flowhold.testing.stores.suite import StoreSuite, keys, same

__all__ = ["NamingTests"]

REFUSED = {
    "empty": "",
    "leading slash": "/a",
    "trailing slash": "a/",
    "empty component": "a//b",
    "one dot": "a/./b",
    "two dots": "a/../b",
    "out of the store": "../a",
    "dot alone": ".",
    "long component": "x" * 256,
    "long component in UTF-8": "é" * 128,
    "long key": "/".join(["x" * 100] * 11),
    "NUL": "a\0b",
    "line end": "a\nb",
    "DEL": "a\x7fb",
    "half a surrogate": "a\ud800",
    "folder of temporary files": ".flowhold-tmp/a",
}
HELD = {
    "spaces": "my flows/ two  spaces /x",
    "accent": "é",
    "accent of two code points": "e\u0301",
    "languages": "流れ/поток/تدفق",
    "emoji": "🚀/👩‍🚀",
    "percent": "100%/a%2Fb%",
    "percent of a slash": "%2F/%2e%2e",
    "plus and ampersand": "a+b&c=d",
    "question and hash": "a?b#c",
    "quotes": 'it\'s/"quoted"/`x`',
    "brackets": "[a]/{b}/(c)/<d>",
    "punctuation": "a:b;c,d!e$f@g^h|i~j=k",
    "backslash": "a\\b",
    "asterisk": "*/a*",
    "hidden": ".hidden/.x",
    "dots": ".../a..b/..a",
    "trailing dot": "a./b.",
    "dashes": "-/--x/-",
    "capitals": "Flows/ETL.Pickle",
    "timestamp": "my-flow/2026-11-20t19-09-24-311342-00-00",
    "device of Windows": "con/aux.txt/nul",
    "long component": "x" * 255,
    "long component in UTF-8": "é" * 127 + "x",
    "long key": "/".join([*["x" * 101] * 10, "x" * 4]),
    "deep": "/".join("abcdefghij" * 5),
    "number": "0/00/1",
}
DISTINCT = {
    "cases": ["flow", "Flow", "FLOW"],
    "forms of Unicode": ["é", "e\u0301"],
    "percent": ["a b", "a%20b", "a+b"],
    "slash": ["a/b", "a%2Fb", "a%252Fb"],
    "dots and spaces": ["a", "a.", "a ", " a"],
    "separators": ["a-b", "a_b", "a.b", "a~b"],
    "leading zeros": ["1", "01", "001"],
}


class NamingTests(StoreSuite):
    """Keys."""

    @pytest.mark.parametrize("key", REFUSED.values(), ids=REFUSED)
    def test_what_cannot_be_a_key_is_refused(
        self, store: ObjectStore, powers: Container[Capability], key: str
    ) -> None:
        with pytest.raises(ConfigurationError):
            store.put(key, b"x")  # call flowhold.store.check_key(key) first
        if Capability.LIST in powers:
            assert keys(store) == [], "a refused put has written something"

    @pytest.mark.parametrize("key", REFUSED.values(), ids=REFUSED)
    def test_what_cannot_be_a_key_is_not_found(self, store: ObjectStore, key: str) -> None:
        for read in (store.get, store.open, store.head):
            with pytest.raises(FlowholdError):
                read(key)

    @pytest.mark.parametrize("key", HELD.values(), ids=HELD)
    def test_every_store_holds_keys_with(
        self, store: ObjectStore, powers: Container[Capability], key: str
    ) -> None:
        assert store.put(key, b"x").key == key, "put() returned another key"
        same(store.get(key), b"x", "the object of that key")
        assert store.head(key).key == key, "head() returned another key"
        if Capability.LIST in powers:
            assert keys(store) == [key], "the listing has another key"
            assert keys(store, key) == [key], "the key is not found by itself as the prefix"
        if Capability.DELETE in powers:
            store.delete(key)
            with pytest.raises(FileNotFoundError):
                store.head(key)

    @pytest.mark.parametrize("several", DISTINCT.values(), ids=DISTINCT)
    def test_keys_stay_apart_that_differ_in(
        self, store: ObjectStore, powers: Container[Capability], several: list[str]
    ) -> None:
        for key in several:
            store.put(key, key.encode())
        for key in several:
            same(store.get(key), key.encode(), f"the object {key!r}, beside {several}")
        if Capability.LIST in powers:
            assert keys(store) == sorted(several, key=str.encode)

    def test_a_backslash_is_no_slash(self, store: ObjectStore) -> None:
        several = ["a/b", "a\\b", "a\\c", "a/c"]
        for key in several:
            store.put(key, key.encode())
        for key in several:
            same(store.get(key), key.encode(), f"the object {key!r}, beside {several}")
