"""The container of stored flows: read without running anything, whatever the bytes are."""

from __future__ import annotations

import json
import struct
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowhold.envelope import MAGIC, is_envelope, open_envelope, seal
from flowhold.errors import SerializationError

HEADER = {"kind": "pickle", "flow": "été 漢", "environment": {"python": "3.11.7"}, "pickle": 4}
SEALED = seal(HEADER) + b"BODYframe"
HEAD = len(seal(HEADER))


def with_header(text):
    return struct.pack(">8sHI", MAGIC, 1, len(text)) + text


def test_what_is_sealed_opens_again():
    envelope = open_envelope(SEALED)
    assert envelope.header == HEADER
    assert (envelope.kind, bytes(envelope.pickle)) == ("pickle", b"BODY")
    assert bytes(envelope.files) == b"frame"
    bundle = open_envelope(seal({"kind": "bundle", "files": []}) + b"frame")
    assert (bundle.kind, bytes(bundle.pickle), bytes(bundle.files)) == ("bundle", b"", b"frame")


def test_the_bytes_do_not_depend_on_the_order_of_the_header():
    assert seal(dict(reversed(HEADER.items()))) == seal(HEADER)


def test_the_layout_is_the_documented_one():
    length = int.from_bytes(SEALED[10:14], "big")
    assert (SEALED[:8], SEALED[8:10]) == (b"FLOWHOLD", b"\0\1")
    assert json.loads(SEALED[14 : 14 + length]) == HEADER
    assert SEALED[14 + length :] == b"BODYframe"


@pytest.mark.parametrize("length", range(HEAD + 4))
def test_every_cut_before_the_end_of_the_pickle_is_refused(length):
    with pytest.raises(SerializationError):
        open_envelope(SEALED[:length])


def test_every_flipped_bit_of_the_head_is_refused_or_gives_a_header():
    for place in range(HEAD):
        for bit in range(8):
            damaged = bytearray(SEALED)
            damaged[place] ^= 1 << bit
            try:
                envelope = open_envelope(bytes(damaged))
            except SerializationError:
                continue
            assert place >= 10, "magic and version are certain"
            assert envelope.kind in ("pickle", "bundle")
            assert damaged.endswith(bytes(envelope.pickle) + bytes(envelope.files))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={"kind": st.sampled_from(["pickle", "bundle", "image"]) | JSON, "pickle": JSON}
    | {"files": JSON, "flow": JSON},
)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=60)
    | st.binary(max_size=60).map(lambda data: MAGIC + data)
    | st.binary(max_size=60).map(with_header)
    | (HEADERS | JSON).map(lambda header: with_header(json.dumps(header).encode()) + b"body")
)
@example(with_header(b'{"kind": "bundle"}'))
@example(with_header(b'{"kind": "pickle", "pickle": true}'))
@example(with_header(b'{"kind": "pickle", "pickle": -1}'))
@example(with_header(b'{"kind": ["pickle"]}'))
@example(with_header(b"[" * 100_000))
@example(with_header(b'{"kind": "pickle", "pickle": ' + b"9" * 6000 + b"}"))
@example(struct.pack(">8sHI", MAGIC, 1, 2**32 - 1))
def test_any_bytes_are_refused_in_our_words_or_give_a_usable_header(data):
    try:
        envelope = open_envelope(data)
    except SerializationError:
        return
    assert envelope.kind in ("pickle", "bundle")
    assert envelope.kind == "pickle" or isinstance(envelope.header["files"], list)
    head = 14 + int.from_bytes(data[10:14], "big")
    assert len(envelope.pickle) + len(envelope.files) == len(data) - head


def test_a_newer_format_says_to_upgrade():
    with pytest.raises(SerializationError, match="format 2") as caught:
        open_envelope(SEALED[:8] + b"\0\2" + SEALED[10:])
    assert "upgrade" in str(caught.value.hint)


def test_other_bytes_are_told_apart_by_their_beginning_alone():
    assert is_envelope(SEALED)
    assert is_envelope(memoryview(SEALED))
    assert not is_envelope(b"")
    assert not is_envelope(SEALED[:7])
    assert not is_envelope(b"from flowhold import Flow")


@pytest.mark.parametrize(
    "header", [b'{"kind":"pickle"}{}', b'{"kind":"pickle"} ', b' {"kind":"pickle"}']
)
def test_nothing_may_stand_around_the_header(header):
    with pytest.raises(SerializationError, match="damaged"):
        open_envelope(SEALED[:10] + len(header).to_bytes(4, "big") + header)


def test_opening_copies_nothing_of_a_large_body():
    data = SEALED + bytes(8 << 20)
    tracemalloc.start()
    try:
        envelope = open_envelope(memoryview(data))
        assert len(envelope.files) > 8 << 20
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert envelope.files.obj is data


def test_a_list_of_files_without_end_is_refused_when_written(monkeypatch):
    monkeypatch.setattr("flowhold.envelope.MAX_HEADER", 100)
    with pytest.raises(SerializationError, match="more than 100") as caught:
        seal({"kind": "bundle", "files": ["x" * 100]})
    assert "fewer" in str(caught.value.hint)
