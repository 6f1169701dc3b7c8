"""The digests of a tree's files by path."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowhold.manifest import Manifest

PATHS = st.binary(min_size=1).filter(lambda path: b"\0" not in path).map(os.fsdecode)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(st.dictionaries(PATHS, DIGESTS))
def test_it_holds_what_it_was_made_of(digests):
    manifest = Manifest(Manifest.of(digests).data)
    assert dict(manifest) == digests
    assert len(manifest) == len(digests)


@given(st.dictionaries(PATHS, DIGESTS), st.text())
def test_it_holds_nothing_else(digests, path):
    assert (path in Manifest.of(digests)) == (path in digests)


@pytest.mark.parametrize("path", ["", "b", "a/", "/a", "a\0", "0" * 64, "a\0" + "0" * 64 + "\0/c"])
def test_a_path_that_only_resembles_one_is_not_there(path):
    manifest = Manifest.of({"a": "0" * 64, "c": "1" * 64})
    assert path not in manifest


def test_what_is_cut_off_is_refused(tmp_path):
    data = Manifest.of({"a": "0" * 64}).data
    for end in range(len(data)):
        (tmp_path / "manifest").write_bytes(data[:end])
        with pytest.raises(ValueError, match="not whole"):
            Manifest.read(tmp_path / "manifest")
