"""Objects as files: found by key, listed in order, removed, and errors as the user meets them."""

from __future__ import annotations

import errno
import io
import os
import random
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    ObjectExistsError,
    ObjectNotFoundError,
    SecretNotFoundError,
    StorageError,
)
from flowhold.filestore import FileStore
from flowhold.store import check_key

ONE_PER_TEST = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TREES = {"a/b", "a.b", "a-b", "a0", "a b", "ab/c", "B", "é", "z/é", "z/漢", "z/\U0001f600"}
TREES |= {"z/\uffee"}  # before the emoji in UTF-8, behind it in UTF-16


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "store")


@pytest.fixture
def tree(store):
    for key in TREES:
        store.put(key, key.encode())
    return store


def keys(store, *args, **kwargs):
    return [info.key for info in store.list(*args, **kwargs)]


def in_byte_order(names):
    return sorted(names, key=str.encode)


@contextmanager
def no_rights(folder):
    """Take the rights to a folder away, from root as well."""
    if os.name == "nt":
        pytest.skip("rights are another matter there")
    folder.chmod(0)
    uid = os.geteuid()
    if uid == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if uid == 0:
            os.seteuid(uid)
        folder.chmod(0o700)


@ONE_PER_TEST
@given(st.text(max_size=60), st.binary(max_size=50))
def test_every_accepted_key_keeps_its_bytes(tmp_path, key, data):
    store = FileStore(tmp_path / "any")
    try:
        check_key(key)
    except ConfigurationError:
        with pytest.raises(ConfigurationError):
            store.put(key, data)
        return
    info = store.put(key, data)
    assert store.get(key) == data
    assert store.head(key) == info
    assert list(store.list()) == [info]
    assert (info.key, info.size) == (key, len(data))
    store.delete(key)
    assert list(store.list()) == []


def test_parts_and_files_are_written_one_after_another(store):
    store.put("parts", iter([b"a", memoryview(b"bc"), bytearray(b"d")]))
    file = io.BytesIO(b"0123")
    file.seek(1)
    store.put("file", file)
    store.put("empty", [])
    assert [store.get(key) for key in ("parts", "file", "empty")] == [b"abcd", b"123", b""]


def test_a_part_of_any_size_and_kind_is_written_whole(store):
    data = random.Random(9).randbytes(4 * (1 << 19) + 4)
    for part in (data, memoryview(data).cast("I"), memoryview(data)[:0]):
        store.put("k", [part])
        assert store.get("k") == bytes(part)


def test_an_object_can_be_read_in_pieces(store):
    store.put("k", b"0123456789")
    with store.open("k") as stream:
        assert [stream.read(4), stream.read(100)] == [b"0123", b"456789"]


def test_the_etag_changes_even_when_size_and_clock_do_not(store):
    seen = set()
    for data in (b"1", b"2"):
        assert store.put("k", data) == store.head("k")
        os.utime(store.root / "k", (1, 1))
        seen.add(store.head("k").etag)
    assert len(seen) == 2


def test_listing_is_in_byte_order_of_whole_keys(tree):
    assert keys(tree) == in_byte_order(TREES)
    for place, key in enumerate(keys(tree)):
        assert keys(tree, start_after=key) == keys(tree)[place + 1 :]


@pytest.mark.parametrize(
    "prefix", ["a", "a/", "a/b", "a.", "ab", "z/", "z/é", "z", "nothing", "a/b/"]
)
def test_a_prefix_need_not_end_at_a_folder(tree, prefix):
    assert keys(tree, prefix) == in_byte_order(key for key in TREES if key.startswith(prefix))


@ONE_PER_TEST
@given(
    st.sets(st.text("ab./-é", min_size=1, max_size=5), max_size=8),
    st.text("ab./-é", max_size=3),
    st.text("ab./-é", max_size=5) | st.none(),
)
def test_prefix_and_start_after_choose_as_their_definition_says(
    tmp_path_factory, names, prefix, after
):
    store, there = FileStore(tmp_path_factory.mktemp("any")), []
    for key in sorted(names):
        try:
            store.put(key, b"")
        except (ConfigurationError, StorageError):
            continue
        there.append(key)
    wanted = [key for key in there if key.startswith(prefix) and (after is None or key > after)]
    assert keys(store, prefix, start_after=after) == in_byte_order(wanted)


@pytest.mark.parametrize("prefix", ["../", "../out", "a/../../out/", "/", "//", "./", "a//"])
def test_a_prefix_never_leads_out_of_the_store(tree, tmp_path, prefix):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/secret").write_bytes(b"")
    assert keys(tree, prefix) == []


def test_temporary_files_are_no_objects(store):
    parts = iter([b"1", b"2"])

    def look():
        yield next(parts)
        assert keys(store) == keys(store, ".flowhold-tmp/") == keys(store, ".flowhold") == []
        yield next(parts)

    store.put("k", look())
    assert keys(store) == ["k"]
    for use in (store.get, store.delete, store.head, lambda key: store.put(key, b"")):
        with pytest.raises(ConfigurationError):
            use(".flowhold-tmp/x")


def test_a_store_that_was_never_written_to_is_empty_and_stays_unmade(store):
    assert keys(store) == keys(store, "a/b") == []
    store.delete("a/b")
    with pytest.raises(ObjectNotFoundError):
        store.get("a")
    assert not store.root.exists()


def test_what_is_not_there_is_a_file_not_found_that_names_it(store):
    store.put("folder/k", b"")
    for missing in ("nothing", "folder/other", "folder", "folder/k/below"):
        for read in (store.get, store.head, store.open):
            with pytest.raises(ObjectNotFoundError, match=missing) as caught:
                read(missing)
            assert isinstance(caught.value, FileNotFoundError)
            assert caught.value.location == missing


def test_delete_can_be_repeated_and_leaves_no_empty_folders(store):
    store.put("a/b/c", b"")
    store.put("a/k", b"")
    for _ in range(2):
        store.delete("a/b/c")
        store.delete("a/k/below")
        store.delete("a")
        assert keys(store) == ["a/k"]
        assert not (store.root / "a/b").exists()
    store.delete("a/k")
    assert not (store.root / "a").exists()
    assert store.root.is_dir()


@pytest.mark.parametrize("if_absent", [False, True])
def test_no_key_is_the_folder_of_another(store, if_absent):
    store.put("a/b", b"kept")
    for key in ("a/b/c", "a/b/c/d", "a"):
        # Not "exists already" for a key below an object: whoever then tries the next, tries forever
        kind = ObjectExistsError if if_absent and key == "a" else StorageError
        with pytest.raises(kind) as caught:
            store.put(key, b"", if_absent=if_absent)
        assert not isinstance(caught.value, ObjectNotFoundError)
        assert isinstance(caught.value, ObjectExistsError) == (kind is ObjectExistsError)
    assert keys(store) == ["a/b"]
    assert store.get("a/b") == b"kept"
    assert list((store.root / ".flowhold-tmp").iterdir()) == []


def test_no_rights_is_a_permission_error_that_says_what_to_check(store):
    store.put("a/b", b"1")
    with no_rights(store.root):
        uses = [
            store.get,
            store.head,
            store.delete,
            lambda key: store.put(key, b"2"),
            lambda key: keys(store),
        ]
        for use in uses:
            with pytest.raises(AccessDeniedError, match="permission") as caught:
                use("a/b")
            assert isinstance(caught.value, PermissionError)
            assert caught.value.hint
    assert store.get("a/b") == b"1"


def test_a_file_that_may_be_listed_but_not_looked_at_is_a_permission_error_too(store, monkeypatch):
    store.put("a/b", b"1")

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", refuse)
        with pytest.raises(AccessDeniedError, match="a/b"):
            keys(store)


def test_a_root_that_is_a_file_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    store = FileStore(tmp_path / "file")
    with pytest.raises(StorageError, match="file"):
        store.put("k", b"")
    with pytest.raises(ObjectNotFoundError):
        store.get("k")
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_full_disk_keeps_the_old_object_and_no_leftovers(store, monkeypatch):
    store.put("k", b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left on device") as caught:
            store.put("k", b"new")
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert store.get("k") == b"old"
    assert list((store.root / ".flowhold-tmp").iterdir()) == []


def test_an_error_of_the_source_is_not_mistaken_for_one_of_the_store(store):
    def parts(error):
        yield b"half"
        raise error

    for error in (
        AccessDeniedError("the source refused"),
        SecretNotFoundError("x"),
        ValueError("y"),
    ):
        with pytest.raises(type(error)) as caught:
            store.put("k", parts(error))
        assert caught.value is error
    assert keys(store) == []
    assert list((store.root / ".flowhold-tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///srv/a%20b", "/srv/a b"),
        ("file://localhost/srv/x", "/srv/x"),
        ("file:///srv/a%23b%3Fc%25", "/srv/a#b?c%"),
        ("/srv/plain#1?2", "/srv/plain#1?2"),
    ],
)
def test_file_urls_are_decoded_and_paths_are_not(url, path):
    assert os.fspath(FileStore.from_url(url).root) == path


@pytest.mark.parametrize(
    "url", ["file://host/share", "file://", "file://[", "file:///srv/a#b", "file:///srv/a?b=c"]
)
def test_a_url_of_no_local_folder_is_refused_with_the_right_form(url):
    with pytest.raises(ConfigurationError, match="folder") as caught:
        FileStore.from_url(url)
    assert "file:///" in str(caught.value.hint)


def test_options_of_other_stores_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="client_options"):
        FileStore.from_url(tmp_path.as_uri(), {"client_options": {}})
