"""Values as bytes."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowhold.errors import ConfigurationError, SerializationError
from flowhold.serializers import get_serializer

NAMES = [form + plus for form in ("pickle", "json") for plus in ("", "+zstd", "+gzip")]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=VALUES, name=st.sampled_from(NAMES))
def test_every_serializer_gives_back_what_it_was_given(value, name):
    serializer = get_serializer(name)
    assert serializer.loads(serializer.dumps(value)) == value


@pytest.mark.parametrize("name", ["json+zstd", "json+gzip", "pickle+zstd", "pickle+gzip"])
def test_compression_makes_repetitive_values_small_and_is_reproducible(name):
    dumps = get_serializer(name).dumps
    assert len(dumps("abc" * 10_000)) < 1000
    assert dumps(["x"]) == dumps(["x"])


def test_json_text_is_readable():
    assert get_serializer("json").dumps({"größe": 1}).decode() == '{"größe": 1}'
    lone = "\udcff"
    assert get_serializer("json").loads(get_serializer("json").dumps(lone)) == lone


def test_pickle_takes_functions_and_classes_of_the_script():
    double = get_serializer("pickle").loads(get_serializer("pickle").dumps(lambda x: 2 * x))
    assert double(4) == 8


@pytest.mark.parametrize(
    ("name", "value", "kind"), [("json", {1, 2}, "set"), ("pickle", threading.Lock(), "lock")]
)
def test_what_cannot_be_written_is_named(name, value, kind):
    with pytest.raises(SerializationError, match=f"a {kind} cannot be written as {name}") as caught:
        get_serializer(name).dumps(value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("name", NAMES)
def test_foreign_bytes_are_a_clear_error(name):
    with pytest.raises(SerializationError, match="these bytes are not"):
        get_serializer(name).loads(b"\x80neither")


@pytest.mark.parametrize("name", ["", "yaml", "json+", "json+lzma", "+zstd", "pickle+zstd+gzip"])
def test_an_unknown_serializer_is_refused_with_the_known_ones(name):
    with pytest.raises(ConfigurationError, match="no serializer") as caught:
        get_serializer(name)
    assert "+zstd" in caught.value.hint
