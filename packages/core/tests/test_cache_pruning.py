"""What the cache holds, what is removed of it, and what never is."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from filelock import FileLock

from flowhold import cache
from flowhold.errors import StorageError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "flowhold/cache"


def put(text, *, used=None, folder=None):
    data = text.encode()
    digest = hashlib.sha256(data).hexdigest()
    cache.object_of(digest, lambda: data)
    if used is not None:
        os.utime(folder / "objects" / digest, (used, used))
    return digest


def fill(target):
    (target / "flow.py").write_bytes(b"x" * 100)
    return {"flow.py": "0"}


def tree(digest):
    """Make a tree by a process that has ended."""
    code = (
        "from flowhold import cache\n"
        "def fill(target):\n"
        "    (target / 'flow.py').write_bytes(b'x' * 100)\n"
        "    return {'flow.py': '0'}\n"
        f"cache.tree({digest!r}, fill)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    return digest


def digests(entries):
    return [entry.digest for entry in entries]


def test_an_empty_cache_has_no_entries_and_nothing_to_prune():
    assert cache.entries() == []
    assert cache.prune(everything=True) == []


def test_objects_and_trees_are_listed_least_recently_used_first(folder, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CACHE_MAX_DAYS", "100000")
    new = put("new", used=2000, folder=folder)
    old = put("older", used=1000, folder=folder)
    unpacked = tree("a" * 64)
    first, second, third = cache.entries()
    assert digests([first, second, third]) == [old, new, unpacked]
    assert (first.kind, first.size, first.used, first.in_use) == ("object", 5, 1000, False)
    assert (third.kind, third.in_use) == ("tree", False)
    assert 100 <= third.size < 300


def test_a_tree_in_use_is_listed_so():
    cache.tree("a" * 64, fill)
    assert [entry.in_use for entry in cache.entries()] == [True]


def test_what_was_used_last_stays(folder):
    found = [put(f"text {number}", used=1000 + number, folder=folder) for number in range(4)]
    assert put("text 0") == found[0]
    assert digests(cache.prune(max_bytes=13)) == [found[1], found[2]]
    assert digests(cache.entries()) == [found[3], found[0]]


def test_what_was_not_used_for_long_is_removed(folder):
    old = put("old", used=time.time() - 100, folder=folder)
    new = put("new")
    assert digests(cache.prune(older_than=50)) == [old]
    assert digests(cache.entries()) == [new]


def test_everything_is_removed_but_what_is_in_use(folder):
    put("old")
    tree("b" * 64)
    root = cache.tree("a" * 64, fill)
    assert len(cache.prune(everything=True)) == 2
    assert digests(cache.entries()) == ["a" * 64]
    assert (root / "flow.py").exists()
    assert not (folder / "trees" / ("b" * 64)).exists()


def test_a_tree_that_another_process_uses_stays_until_that_ends(folder):
    code = (
        "import sys\nfrom flowhold import cache\n"
        "cache.tree('a' * 64, lambda target: {})\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline().strip() == b"ready"
    assert cache.prune(everything=True) == []
    process.kill()
    process.communicate()
    assert digests(cache.prune(everything=True)) == ["a" * 64]


def test_a_tree_that_a_process_is_about_to_use_stays(folder):
    tree("a" * 64)
    with FileLock(folder / "trees" / f"{'a' * 64}.lock"):
        assert cache.prune(everything=True) == []
    assert digests(cache.prune(everything=True)) == ["a" * 64]


def test_a_tree_that_came_to_be_used_after_it_was_listed_stays(folder, monkeypatch):
    tree("a" * 64)
    listed = cache.entries()
    cache.tree("a" * 64, fill)
    monkeypatch.setattr(cache, "entries", lambda: listed)
    assert cache.prune(everything=True) == []
    assert (folder / "trees" / ("a" * 64) / "files/flow.py").exists()


def test_a_tree_can_be_unpacked_again_after_it_was_removed(folder):
    tree("a" * 64)
    cache.prune(everything=True)
    root = cache.tree("a" * 64, fill)
    assert (root / "flow.py").exists()
    assert [entry.in_use for entry in cache.entries()] == [True]


def test_a_tree_removed_by_hand_is_unpacked_and_marked_anew(folder):
    cache.tree("a" * 64, fill)
    shutil.rmtree(folder / "trees")
    cache.tree("a" * 64, fill)
    assert [entry.in_use for entry in cache.entries()] == [True]


def test_marks_of_processes_that_ended_do_not_pile_up(folder):
    for _ in range(3):
        tree("a" * 64)
    cache.tree("a" * 64, fill)
    (mark,) = (folder / "trees" / ("a" * 64)).glob("used-by-*")
    assert mark.name.startswith(f"used-by-{os.getpid()}-")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="/proc is missing")
def test_a_process_that_uses_many_trees_holds_one_file_open(folder):
    cache.tree("a" * 64, fill)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        cache.tree(f"{number:064}", fill)
    assert len(os.listdir("/proc/self/fd")) == before
    assert all(entry.in_use for entry in cache.entries())


def test_threads_that_begin_with_trees_of_their_own_all_keep_them(folder):
    barrier, before = Barrier(24), sys.getswitchinterval()

    def load(number):
        barrier.wait()
        cache.tree(f"{number:064}", fill)

    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            cache._processes.clear()
            with ThreadPoolExecutor(24) as pool:
                list(pool.map(load, range(24)))
            assert [entry for entry in cache.entries() if not entry.in_use] == []
            shutil.rmtree(folder / "trees")
    finally:
        sys.setswitchinterval(before)


def test_locks_of_processes_that_ended_are_removed_after_an_hour(folder, monkeypatch):
    tree("a" * 64)
    cache.tree("b" * 64, fill)
    cache.prune()
    assert len([*(folder / "processes").iterdir()]) == 2
    monkeypatch.setattr("flowhold.pruning._HOUR", -5)
    cache.prune()
    (left,) = (folder / "processes").iterdir()
    assert left.name.startswith(f"{os.getpid()}-")
    assert [entry.in_use for entry in cache.entries()] == [False, True]


def test_processes_of_one_number_in_two_containers_both_use_a_tree(folder):
    tree("a" * 64)
    other = f"{os.getpid()}-other.lock"
    (folder / "trees" / ("a" * 64) / f"used-by-{other}").touch()
    with FileLock(folder / "processes" / other):
        root = cache.tree("a" * 64, fill)
        assert len([*root.parent.glob("used-by-*")]) == 2
        assert cache.prune(everything=True) == []


def test_what_crashed_processes_left_is_removed_when_it_is_a_day_old(folder):
    put("x")
    tree("a" * 64)
    new, old = folder / "trees/.new", folder / "trees/.old"
    for left in (new, old):
        (left / "files").mkdir(parents=True)
    (folder / "objects/.old").write_bytes(b"half")
    for path in (old, folder / "objects/.old"):
        os.utime(path, (1000, 1000))
    assert cache.prune() == []
    assert new.exists()
    assert not old.exists()
    assert not (folder / "objects/.old").exists()


def test_the_cache_keeps_itself_below_its_size(folder, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CACHE_MAX_BYTES", "1000")
    for number in range(40):
        put(f"{number:0100}")
        assert sum(entry.size for entry in cache.entries()) <= 1000
    assert len(cache.entries()) >= 8
    assert digests(cache.entries())[-1] == put(f"{39:0100}")


def test_trees_count_too(folder, monkeypatch):
    tree("a" * 64)
    monkeypatch.setenv("FLOWHOLD_CACHE_MAX_BYTES", "300")
    for number in range(4):
        tree(f"{number:064}")
    assert sum(entry.size for entry in cache.entries()) <= 300


def test_what_nobody_used_for_too_many_days_is_removed_when_a_tree_is_added(folder, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CACHE_MAX_DAYS", "2")
    old = put("old", used=time.time() - 3 * 86400, folder=folder)
    new = put("new", used=time.time() - 1 * 86400, folder=folder)
    cache.tree("a" * 64, fill)
    assert old not in digests(cache.entries())
    assert new in digests(cache.entries())


def test_age_is_looked_at_once_a_day(folder, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CACHE_MAX_DAYS", "2")
    tree("a" * 64)
    old = put("old", used=time.time() - 3 * 86400, folder=folder)
    tree("b" * 64)
    assert old in digests(cache.entries())
    os.utime(folder / "aged", (1000, 1000))
    tree("c" * 64)
    assert old not in digests(cache.entries())


def test_a_tree_that_is_larger_than_the_cache_is_still_usable(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CACHE_MAX_BYTES", "10")
    root = cache.tree("a" * 64, fill)
    assert (root / "flow.py").exists()


@pytest.mark.parametrize("note", [b"", b"x", b"\xff", b"9" * 5000])
def test_a_damaged_note_of_the_size_is_made_anew(folder, note, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CACHE_MAX_BYTES", "1000")
    put("one")
    (folder / "size").write_bytes(note)
    put("two")
    assert (folder / "size").read_text() == "6"


def test_additions_do_not_read_all_of_the_cache(monkeypatch):
    put("one")
    tree("b" * 64)

    def refuse():
        raise AssertionError("it was read")

    monkeypatch.setattr("flowhold.pruning.entries", refuse)
    put("two")
    cache.tree("a" * 64, fill)


def test_a_cache_that_is_no_folder_says_how_to_choose_another(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FLOWHOLD_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="cannot be used") as caught:
        cache.entries()
    assert "FLOWHOLD_CACHE_DIR" in caught.value.hint


def test_of_many_little_things_the_note_is_about_right(folder, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CACHE_MAX_BYTES", str(2_000_000))
    random.seed(7)
    for number in range(2_000):
        put(f"{number:0200d}")
    assert 0.6 < int((folder / "size").read_text()) / 400_000 < 1.4
