"""Strategies of values that a reader may be given by anybody."""

from __future__ import annotations

from hypothesis import strategies as st

texts = st.text(max_size=60) | st.text(st.characters(codec=None), max_size=20)
words = st.sampled_from(
    ["", "/", "..", "etl", "local", "pickle", "bundle", "script", "module", "a" * 300]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts | words
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | words, inner, max_size=4),
    max_leaves=12,
)


def document(known):
    """Return a strategy of documents near to a good one."""
    changed = st.dictionaries(st.sampled_from(sorted(known)), values, max_size=3)
    return st.builds(
        lambda edit, more: {**known, **more, **edit},
        changed,
        st.dictionaries(texts, values, max_size=1),
    )


def mutated(data):
    """Return a strategy of bytes near to good ones."""
    places = st.integers(0, max(0, len(data) - 1))

    def apply(edits):
        changed = bytearray(data)
        for at, piece, keep in edits:
            changed[at : at + keep] = piece
        return bytes(changed)

    return st.lists(st.tuples(places, st.binary(max_size=5), st.integers(0, 9)), max_size=4).map(
        apply
    )
