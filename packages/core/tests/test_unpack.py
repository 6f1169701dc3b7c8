"""Unpacking stored files: only what the header says, only inside its folder."""

from __future__ import annotations

import hashlib
import os
import stat

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowhold.bundles import Entry, check_paths, pack, read_entries, unpack
from flowhold.errors import IntegrityError, SerializationError


def entry(path, data=b"", **changes):
    fields = {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {**fields, **changes}


def frame(data):
    return memoryview(zstandard.ZstdCompressor().compress(data))


def files_in(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


NAMES = st.text("ab.é漢 %", min_size=1, max_size=4)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=200))
)
def test_what_is_packed_comes_out_the_same(tmp_path_factory, contents):
    try:
        check_paths(list(contents))
    except SerializationError:
        return
    root, folder = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("folder")
    for path, data in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    entries, frame = pack(root, [], contents)
    body = b"".join(frame)
    unpack(memoryview(body), read_entries([each.to_json() for each in entries]), folder)
    assert files_in(folder) == contents


def test_files_come_out_read_only_and_executables_executable(tmp_path):
    entries = read_entries([entry("run.sh", b"1", executable=True), entry("d/x.py", b"2")])
    unpack(frame(b"12"), entries, tmp_path / "out")
    if os.name != "nt":
        mode = {
            path: stat.S_IMODE((tmp_path / "out" / path).stat().st_mode)
            for path in ("run.sh", "d/x.py")
        }
        assert mode == {"run.sh": 0o500, "d/x.py": 0o400}


BAD_PATHS = ["../x", "a/../../x", "/abs", "a//b", "a/", "", ".", "a/./b", "a\\b", "..\\x"]
BAD_PATHS += [
    "a\0b",
    "a\nb",
    "\x1b[2J",
    "a\ud800",
    "n" * 256,
    "/".join("n" * 200 for _ in range(6)),
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_is_unsafe_is_refused_both_ways(path):
    with pytest.raises(SerializationError, match="cannot be stored"):
        check_paths(["ok.py", path])
    with pytest.raises(IntegrityError, match="not safe to unpack") as caught:
        read_entries([entry("ok.py"), entry(path)])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "paths",
    [
        ["a.py", "A.py"],
        ["a.py", "a.py"],
        ["caf\u00e9", "cafe\u0301"],
        ["stra\u00dfe", "strasse"],
        ["a", "a/b"],
        ["A/b/c/d", "a/B"],
    ],
)
def test_paths_that_collide_on_some_file_system_are_refused_both_ways(paths):
    for order in (paths, paths[::-1]):
        with pytest.raises(SerializationError, match=r"collide|both a file and the folder"):
            check_paths(order)
        with pytest.raises(IntegrityError):
            read_entries([entry(path) for path in order])


@pytest.mark.parametrize(
    "files",
    [
        ["a.py"],
        [None],
        [{}],
        [{"path": "a", "size": 1}],
        [entry("a", size="1")],
        [entry("a", size=-1)],
        [entry("a", size=True)],
        [entry("a", size=1.5)],
        [entry("a", size=None)],
        [["a", 1, "x"]],
    ],
)
def test_a_malformed_list_of_files_is_refused(files):
    with pytest.raises(IntegrityError, match="damaged"):
        read_entries(files)


def test_a_header_that_claims_too_much_is_refused_before_anything_is_unpacked(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "1000")
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_FILES", "3")
    read_entries([entry("a", size=500), entry("b", size=500)])
    for files in ([entry("a", size=10**18)], [entry("a", size=501), entry("b", size=500)]):
        with pytest.raises(IntegrityError, match="more than allowed") as caught:
            read_entries(files)
        assert "max_tree_bytes" in caught.value.hint
    with pytest.raises(IntegrityError, match="4 files"):
        read_entries([entry(name) for name in "abcd"])


def test_a_bomb_is_stopped_at_the_size_that_its_header_claims(tmp_path):
    bomb = frame(bytes(200 << 20))
    assert len(bomb) < 1 << 20
    with pytest.raises(IntegrityError, match="more than its header says"):
        unpack(bomb, read_entries([entry("a", b"\0" * 10)]), tmp_path / "out")
    assert files_in(tmp_path / "out") == {"a": b"\0" * 10}
    with pytest.raises(IntegrityError, match="a in this stored flow is not what its header says"):
        unpack(bomb, read_entries([entry("a", b"other 10 b")]), tmp_path / "again")


@pytest.mark.parametrize(
    "body",
    [
        frame(b"12345")[:-3],
        frame(b"1234"),
        frame(b"12344"),
        frame(b""),
        memoryview(b""),
        memoryview(b"no zstd at all"),
        frame(b"123456"),
    ],
    ids=["cut", "short", "other", "empty", "nothing", "garbage", "long"],
)
def test_a_frame_that_does_not_hold_these_files_is_refused(tmp_path, body):
    entries = read_entries([entry("a", b"123"), entry("b", b"45")])
    with pytest.raises(IntegrityError):
        unpack(body, entries, tmp_path / "out")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_damage_is_an_integrity_error_or_harmless(tmp_path_factory, data):
    contents = {"a": b"abc" * 50, "d/b": bytes(range(256))}
    body = bytearray(frame(b"".join(contents.values())))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp("out")
    try:
        unpack(memoryview(body), [Entry(**entry(*each)) for each in contents.items()], folder)
    except IntegrityError:
        pass
    else:
        assert files_in(folder) == contents


def test_a_window_that_would_eat_the_memory_is_refused(tmp_path):
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = compressor.compress(b"x" * 100) + compressor.flush()
    with pytest.raises(IntegrityError, match="decompressed"):
        unpack(memoryview(body), [Entry(**entry("a", b"x" * 100))], tmp_path / "out")
