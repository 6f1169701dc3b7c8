"""Bytes and trees kept on this machine by their digests."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from flowhold import cache
from flowhold.errors import AccessDeniedError, IntegrityError, StorageError

DATA = b"verified bytes"
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "flowhold/cache"


def fill(target):
    (target / "flow.py").write_bytes(DATA)
    return {"flow.py": DIGEST}


class Fetched:
    """Gives the bytes, and counts how often it was asked for them."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return DATA


@pytest.fixture
def fetch():
    return Fetched()


def test_bytes_are_fetched_once_and_then_found_by_their_digest(fetch):
    assert cache.object_of(DIGEST, fetch) == DATA
    assert cache.object_of(DIGEST, fetch) == DATA
    assert fetch.count == 1


@pytest.mark.parametrize("there", [b"Verified bytes", DATA[:8], b""])
def test_damaged_bytes_are_never_given_and_make_room_for_good_ones(folder, fetch, there):
    cache.object_of(DIGEST, fetch)
    (folder / "objects" / DIGEST).write_bytes(there)
    assert cache.object_of(DIGEST, fetch) == DATA
    assert fetch.count == 2
    assert (folder / "objects" / DIGEST).read_bytes() == DATA


def test_what_cannot_be_fetched_leaves_nothing_damaged_behind(folder, fetch):
    cache.object_of(DIGEST, fetch)
    (folder / "objects" / DIGEST).write_bytes(b"Verified bytes")

    def fail():
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        cache.object_of(DIGEST, fail)
    assert list((folder / "objects").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file sizes")
def test_what_cannot_be_written_whole_is_not_kept(folder):
    program = """
import resource, signal
from flowhold import cache
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
data = bytes(200_000)
import hashlib
assert cache.object_of(hashlib.sha256(data).hexdigest(), lambda: data) is data
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert list((folder / "objects").iterdir()) == []


@pytest.mark.parametrize(
    "digest", ["../../../victim", "{absolute}", "", ".", DIGEST.upper(), "a\0"]
)
def test_a_digest_that_is_none_touches_no_file(tmp_path, folder, digest, fetch):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    assert cache.object_of(digest.replace("{absolute}", str(victim)), fetch) == DATA
    assert victim.read_bytes() == b"precious"
    assert not (folder / "objects").exists()


def test_a_cache_that_cannot_be_written_to_is_no_reason_to_fail(tmp_path, monkeypatch, fetch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FLOWHOLD_CACHE_DIR", str(tmp_path / "file"))
    assert cache.object_of(DIGEST, fetch) == DATA


def test_damaged_bytes_in_a_read_only_cache_are_no_reason_to_fail(folder, monkeypatch, fetch):
    cache.object_of(DIGEST, fetch)
    (folder / "objects" / DIGEST).write_bytes(b"x")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.unlink", refuse)
    monkeypatch.setattr("os.replace", refuse)
    assert cache.object_of(DIGEST, fetch) == DATA


def test_a_tree_is_unpacked_once_and_found_again(folder):
    first = cache.tree(DIGEST, fill)
    assert first == folder / "trees" / DIGEST / "files"
    assert (first / "flow.py").read_bytes() == DATA

    def never(target):
        raise AssertionError("it is there already")

    assert cache.tree(DIGEST, never) == first


def test_trees_are_for_their_user_only(folder):
    if os.name == "nt":
        pytest.skip("rights are another matter there")
    root = cache.tree(DIGEST, fill)
    assert (folder / "trees").stat().st_mode & 0o077 == 0
    assert root.stat().st_mode & 0o077 == 0


def test_an_unpacking_that_fails_leaves_nothing_behind_and_can_be_repeated(folder):
    def fails(target):
        fill(target)
        raise IntegrityError("not what its header says")

    with pytest.raises(IntegrityError):
        cache.tree(DIGEST, fails)
    assert [path for path in (folder / "trees").iterdir() if path.suffix != ".lock"] == []
    assert (cache.tree(DIGEST, fill) / "flow.py").read_bytes() == DATA


@pytest.mark.parametrize(
    "manifest", [None, b"", b"\0/flow.py\0" + DIGEST.encode(), b"\xff", b"\0" * 90]
)
def test_a_tree_that_a_crash_left_half_written_is_unpacked_anew(folder, manifest):
    half = folder / "trees" / DIGEST
    (half / "files").mkdir(parents=True)
    (half / "files/flow.py").write_bytes(b"hal")
    (half / "files/flow.py").chmod(0o400)
    if manifest is not None:
        (half / "manifest").write_bytes(manifest)
    root = cache.tree(DIGEST, fill)
    assert dict(cache.manifest_of(root)) == {"flow.py": DIGEST}
    assert (root / "flow.py").read_bytes() == DATA


def test_threads_that_ask_at_once_unpack_once():
    barrier, fills = Barrier(8), []

    def counted(target):
        fills.append(target)
        return fill(target)

    def ask(_):
        barrier.wait()
        return cache.tree(DIGEST, counted)

    with ThreadPoolExecutor(8) as executor:
        found = list(executor.map(ask, range(8)))
    assert len(fills) == 1
    assert found == [found[0]] * 8


def test_processes_that_ask_at_once_unpack_once(tmp_path):
    code = f"""
import os, sys
from flowhold import cache
sys.stdin.readline()
def fill(target):
    (target / "flow.py").write_text("x")
    os.close(os.open({str(tmp_path)!r} + f"/filled-{{os.getpid()}}", os.O_CREAT))
    return {{"flow.py": "0"}}
root = cache.tree("{DIGEST}", fill)
assert (root / "flow.py").read_text() == "x"
"""
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) for _ in range(3)
    ]
    for process in running:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert len(list(tmp_path.glob("filled-*"))) == 1


def test_a_cache_that_cannot_hold_trees_says_how_to_choose_another(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FLOWHOLD_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="cache") as caught:
        cache.tree(DIGEST, fill)
    assert "FLOWHOLD_CACHE_DIR" in caught.value.hint

    def refuse(target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setenv("FLOWHOLD_CACHE_DIR", str(tmp_path / "other"))
    with pytest.raises(AccessDeniedError) as caught:
        cache.tree(DIGEST, refuse)
    assert "FLOWHOLD_CACHE_DIR" in caught.value.hint
