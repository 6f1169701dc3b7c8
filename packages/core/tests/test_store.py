"""Keys, parts and the way from a URL to a store."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowhold.errors import ConfigurationError, PluginNotFoundError
from flowhold.filestore import FileStore
from flowhold.store import CHUNK, ObjectStore, check_key, iter_parts, open_store

COMPONENTS = st.text(st.sampled_from("aZ09 .-_%äé漢\U0001f600~\\:*"), min_size=1, max_size=8)


def documented(key: str) -> bool:
    """The rule for keys, in other words than the code's."""
    try:
        data = key.encode("utf-8")
    except UnicodeEncodeError:
        return False
    if len(data) == 0 or len(data) > 1024 or any(byte < 32 or byte == 127 for byte in data):
        return False
    return all(1 <= len(part) <= 255 and part not in (b".", b"..") for part in data.split(b"/"))


@given(st.one_of(st.text(max_size=40), st.lists(COMPONENTS, max_size=5).map("/".join)))
@example("a/b\ud800")
@example("a\x7f")
@example("a\n")
@example("a\n/b")
@example("/a")
@example("a/")
@example("..a/...")
def test_a_key_is_taken_exactly_where_the_documented_rule_allows_it(key):
    if documented(key):
        assert check_key(key) == key
    else:
        with pytest.raises(ConfigurationError, match="key"):
            check_key(key)


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("a" * 255, True),
        ("a" * 256, False),
        ("é" * 127 + "a", True),
        ("é" * 128, False),
        ("/".join(["a" * 127] * 8), True),
        ("/".join(["a" * 127] * 8) + "/", False),
        ("/".join(["a" * 127] * 8) + "b", True),
        ("/".join(["a" * 127] * 8) + "bb", False),
        ("a/../b", False),
        ("a/./b", False),
        ("a//b", False),
        ("..", False),
        ("...", True),
        ("", False),
    ],
)
def test_lengths_count_bytes_and_nothing_leaves_the_root(key, allowed):
    if allowed:
        assert check_key(key) == key
    else:
        with pytest.raises(ConfigurationError):
            check_key(key)


def test_the_error_for_a_long_key_stays_short_and_says_the_rule():
    with pytest.raises(ConfigurationError) as caught:
        check_key("k" * 5000)
    assert len(str(caught.value)) < 300
    assert "1,024" in str(caught.value.hint)


def test_parts_are_bytes_buffers_or_a_file_from_where_it_stands():
    assert list(iter_parts(b"abc")) == [b"abc"]
    assert b"".join(iter_parts([b"a", bytearray(b"b"), memoryview(b"c")])) == b"abc"
    file = io.BytesIO(b"skip" + b"x" * (CHUNK + 1))
    file.seek(4)
    assert [len(part) for part in iter_parts(file)] == [CHUNK, 1]


def test_a_path_is_a_store_of_this_machine_wherever_the_process_goes_later(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store("relative/folder")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    store.put("k", b"1")
    assert (tmp_path / "relative/folder/k").read_bytes() == b"1"


def test_a_tilde_is_the_home_directory(tmp_path):
    open_store("~/flows").put("k", b"1")
    assert (tmp_path / "home/flows/k").is_file()


@pytest.mark.parametrize("scheme", ["file", "FILE"])
def test_urls_name_stores_whatever_the_case_of_their_scheme(tmp_path, scheme):
    store = open_store((tmp_path / "a b#c?d").as_uri().replace("file", scheme, 1))
    assert isinstance(store, FileStore)
    assert store.root == tmp_path / "a b#c?d"


def test_path_objects_are_taken(tmp_path):
    open_store(tmp_path / "x").put("k", b"1")
    assert (tmp_path / "x/k").is_file()


def test_an_unknown_scheme_names_what_to_install(core_alone):
    with pytest.raises(PluginNotFoundError, match="s3") as caught:
        open_store("s3://bucket/prefix")
    assert "flowhold[s3]" in str(caught.value) + str(caught.value.hint)


def test_a_store_of_ones_own_needs_five_methods_and_a_url():
    assert ObjectStore.__abstractmethods__ == {
        "from_url",
        "put",
        "open",
        "head",
        "list",
        "delete",
    }
