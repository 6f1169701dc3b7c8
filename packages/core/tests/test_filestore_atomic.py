"""Objects as files when several write, read and delete at once, or die."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, Event

import pytest

from flowhold.errors import ObjectExistsError, ObjectNotFoundError
from flowhold.filestore import FileStore

SIZE = 200_000
START = "import sys; from flowhold.filestore import FileStore; store = FileStore({!r})"


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "store")


@pytest.fixture(params=["links", "no links"])
def any_disk(request, store, monkeypatch):
    """A store on a disk with hard links, and on one that refuses them."""
    if request.param == "no links":

        def refuse(source, target, **options):
            raise OSError(errno.EPERM, "Operation not permitted", source)

        monkeypatch.setattr(os, "link", refuse)
    return store


def leftovers(store):
    return [path for path in (store.root / ".flowhold-tmp").iterdir() if path.suffix != ".lock"]


def race(count, work):
    barrier = Barrier(count)

    def start(number):
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as executor:
        return list(executor.map(start, range(count)))


def processes(root, code, count):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [
        subprocess.Popen([sys.executable, "-c", START.format(str(root)) + code, str(n)], **pipes)
        for n in range(count)
    ]
    for process in running:  # every process is up before any of them goes on
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    outcome = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * count
    return outcome


def test_a_reader_sees_whole_objects_only(store):
    store.put("k", b"\0" * SIZE)
    done = Event()

    def write(number):
        for _ in range(15):
            store.put("k", [bytes([number]) * (SIZE // 2)] * 2)

    def read():
        seen = 0
        while not done.is_set() or not seen:
            data = store.get("k")
            assert data == data[:1] * SIZE
            seen += 1

    with ThreadPoolExecutor(8) as executor:
        readers = [executor.submit(read) for _ in range(3)]
        for writer in [executor.submit(write, number) for number in range(4)]:
            writer.result()
        done.set()
        for reader in readers:
            reader.result()
    assert leftovers(store) == []


def test_readers_of_other_processes_see_whole_objects_only(store):
    code = f"""
print("ready", flush=True); sys.stdin.readline()
me = bytes([int(sys.argv[1])])
for _ in range(20):
    store.put("k", [me * {SIZE // 2}] * 2)
    data = store.get("k")
    assert data == data[:1] * {SIZE}, len(data)
"""
    processes(store.root, code, 4)


def test_of_sixteen_threads_one_creates_the_object(any_disk):
    def create(number):
        try:
            any_disk.put("a/k", [b"%d" % number, b"!"], if_absent=True)
        except ObjectExistsError:
            return None
        return number

    for _ in range(5):
        winners = [number for number in race(16, create) if number is not None]
        assert len(winners) == 1
        assert any_disk.get("a/k") == b"%d!" % winners[0]
        assert leftovers(any_disk) == []
        any_disk.delete("a/k")


@pytest.mark.parametrize("links", [True, False])
def test_of_four_processes_one_creates_each_object(store, links):
    code = f"""
import errno, os
from flowhold.errors import ObjectExistsError
def refuse(*args, **kwargs): raise OSError(errno.EPERM, "no")
if not {links}: os.link = refuse
print("ready", flush=True); sys.stdin.readline()
for number in range(25):
    try:
        store.put(f"k/{{number}}", sys.argv[1].encode(), if_absent=True)
    except ObjectExistsError:
        continue
    print(number, sys.argv[1])
"""
    won = [line.split() for text in processes(store.root, code, 4) for line in text.splitlines()]
    assert sorted(int(number) for number, _ in won) == list(range(25))
    assert all(store.get(f"k/{number}").decode() == winner for number, winner in won)


def test_creating_never_replaces_and_replacing_is_said_plainly(any_disk):
    any_disk.put("k", b"1", if_absent=True)
    with pytest.raises(FileExistsError):
        any_disk.put("k", b"2", if_absent=True)
    assert any_disk.get("k") == b"1"
    any_disk.put("k", b"3")
    assert any_disk.get("k") == b"3"


def test_writers_and_deleters_of_one_folder_do_not_trip_over_one_another(any_disk):
    def churn(number):
        for turn in range(40):
            key = f"deep/er/{number}"
            any_disk.put(key, b"x", if_absent=bool(turn % 2))
            any_disk.delete(key)

    race(8, churn)
    assert list(any_disk.list()) == []


def test_listing_while_others_write_and_delete_never_fails(store):
    store.put("stay/k", b"")
    done = Event()

    def churn(number):
        for _ in range(40):
            store.put(f"go/{number}/k", b"")
            store.delete(f"go/{number}/k")

    def look():
        while not done.is_set():
            assert "stay/k" in [info.key for info in store.list()]
            with suppress(ObjectNotFoundError):
                store.head("go/0/k")

    with ThreadPoolExecutor(5) as executor:
        readers = [executor.submit(look) for _ in range(2)]
        for writer in [executor.submit(churn, number) for number in range(3)]:
            writer.result()
        done.set()
        for reader in readers:
            reader.result()


def test_a_writer_that_is_killed_leaves_the_old_object_and_nothing_listed(store):
    store.put("k", b"old")
    code = """
import os, signal
def parts():
    yield b"new" * 100_000
    os.kill(os.getpid(), 9 if os.name != "nt" else signal.SIGTERM)
store.put("k", parts())
"""
    program = START.format(str(store.root)) + code
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode != 0
    assert store.get("k") == b"old"
    assert [info.key for info in store.list()] == ["k"]
    assert len(leftovers(store)) == 1


def test_leftovers_of_dead_writers_go_after_a_day_and_fresh_ones_stay(store):
    scratch = store.root / ".flowhold-tmp"
    scratch.mkdir(parents=True)
    old, fresh = scratch / "dead", scratch / "alive"
    for path, age in ((old, 25 * 3600), (fresh, 23 * 3600)):
        path.write_bytes(b"")
        os.utime(path, (time.time() - age,) * 2)
    store.put("k", b"")
    assert leftovers(store) == [fresh]
