"""Objects of packs are what git reads in them, or an error: never anything else."""

from __future__ import annotations

import hashlib
import os
import random
import struct
import subprocess
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import pytest
from git_repositories import ISOLATED, make_repository
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowhold.errors import IntegrityError
from flowhold_storage_git.objects import BLOB, COMMIT, TAG, TREE, PackedObjects, sha_of

SEED = os.environ["FLOWHOLD_TEST_SEED"]
KINDS = {COMMIT: "commit", TREE: "tree", BLOB: "blob", TAG: "tag"}
WAYS = {
    "deltas by SHA": ["--window=20", "--depth=50"],
    "deltas by offset": ["--window=20", "--depth=50", "--delta-base-offset"],
    "short chains": ["--window=5", "--depth=1", "--no-reuse-delta"],
    "no deltas": ["--window=0", "--no-reuse-delta"],
    "uncompressed": ["--compression=0", "--delta-base-offset"],
}


def packed(repository, options):
    """Return a pack of all objects of a repository."""
    listed = repository.git("rev-list", "--objects", "--all").splitlines()
    done = subprocess.run(
        ["git", "pack-objects", "--stdout", "-q", *options],
        cwd=repository.path,
        env=ISOLATED | {"GIT_DIR": str(repository.path)},
        input="\n".join(line.partition(" ")[0] for line in listed).encode() + b"\n",
        stdout=subprocess.PIPE,
        check=True,
    )
    return done.stdout


def read(*packs):
    """Return kinds and contents by SHA of what is in packs."""
    with PackedObjects() as objects:
        for pack in packs:
            with tempfile.TemporaryFile() as file:
                file.write(pack)
                file.flush()
                objects.add_pack(file)
        return {
            sha: (kind, objects.read(sha, kind)) for kind in KINDS for sha in objects.shas(kind)
        }


def read_by_git(repository):
    """Return kinds and contents by SHA of all objects, as git has them."""
    found = {}
    for line in repository.git("cat-file", "--batch-check", "--batch-all-objects").splitlines():
        sha, name, _ = line.split()
        done = subprocess.run(
            ["git", "cat-file", name, sha],
            env=ISOLATED | {"GIT_DIR": str(repository.path)},
            stdout=subprocess.PIPE,
            check=True,
        )
        found[sha] = name, done.stdout
    return found


def named(found):
    return {sha: (KINDS[kind], content) for sha, (kind, content) in found.items()}


LINES = st.lists(st.binary(max_size=40), max_size=30).map(b"\n".join)
NAMES = st.sampled_from(["a", "b/c", "b/d", "long name.txt"])
COMMITS = st.lists(
    st.dictionaries(NAMES, st.tuples(LINES, st.integers(1, 60)).map(lambda it: it[0] * it[1])),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("examples", [10, pytest.param(150, marks=pytest.mark.long)])
def test_objects_of_any_repository_are_what_git_reads(examples, rounds):
    @settings(max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
    @given(COMMITS, st.sampled_from([*WAYS]))
    def check(commits, way):
        with tempfile.TemporaryDirectory() as folder:
            repository = make_repository(Path(folder, "a.git"))
            for files in commits:
                sha = repository.commit(files)
            repository.tag("told", sha, annotated=True)
            assert named(read(packed(repository, WAYS[way]))) == read_by_git(repository)

    rounds(check)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository whose objects are stored as differences from each other."""
    repository = make_repository(tmp_path_factory.mktemp("objects") / "a.git")
    dice = random.Random(1)
    lines = [dice.randbytes(10).hex() for _ in range(60)]
    for number in range(6):
        lines[dice.randrange(60)] = dice.randbytes(9).hex()
        sha = repository.commit({"a/file": "\n".join(lines), "number": str(number)})
    repository.tag("told", sha, annotated=True)
    return repository


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_pack_gives_the_same_objects(repository, way):
    assert named(read(packed(repository, WAYS[way]))) == read_by_git(repository)


@pytest.mark.parametrize("count", [300, pytest.param(None, marks=pytest.mark.long)])
@pytest.mark.parametrize("way", ["deltas by SHA", "deltas by offset"])
@pytest.mark.parametrize(
    "damage", ["ends", "is another byte", "is zero", "is left out", "is twice"]
)
def test_a_pack_that_is_damaged_somewhere_gives_right_objects_or_none(
    repository, way, damage, count
):
    pack = packed(repository, WAYS[way])
    right = read(pack)
    dice = random.Random(f"{SEED} {way} {damage}")
    places = range(len(pack))
    for place in places if count is None else dice.sample(places, count // 10):
        byte, rest = pack[place], pack[place + 1 :]
        other = (byte + dice.randrange(1, 256)) % 256
        middle = {
            "ends": b"",
            "is another byte": bytes([other]) + rest,
            "is zero": b"\0" + rest,
            "is left out": rest,
            "is twice": bytes([byte, byte]) + rest,
        }[damage]
        try:
            found = read(pack[:place] + middle)
        except IntegrityError:
            continue
        for sha, (kind, content) in found.items():
            header = f"{KINDS[kind]} {len(content)}\0".encode()
            assert sha == hashlib.sha1(header + content).hexdigest()
            assert right.get(sha, (kind, content)) == (kind, content)


def entry(kind, content, *, size=None, base=b""):
    """Return an entry of a pack; a base is what a difference is from."""
    size = len(content) if size is None else size
    head = [kind << 4 | size & 15]
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head) + base + zlib.compress(content)


def pack(*entries, count=None):
    """Return a pack."""
    data = b"PACK" + struct.pack(">II", 2, len(entries) if count is None else count)
    data += b"".join(entries)
    return data + hashlib.sha1(data).digest()


def number(value):
    """Return a size as a difference has it."""
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def inserting(before, after):
    """Return the difference from something of a size to what is short."""
    return number(before) + number(len(after)) + bytes([len(after)]) + after


OFFSET, REFERENCE = 6, 7


def sha(content):
    return sha_of(BLOB, content)


def test_a_difference_may_come_before_what_it_is_from():
    first = entry(REFERENCE, inserting(3, b"two"), base=bytes.fromhex(sha(b"one")))
    assert {*read(pack(first, entry(BLOB, b"one")))} == {sha(b"one"), sha(b"two")}


def test_a_difference_may_be_from_one_that_waits_itself():
    first = entry(REFERENCE, inserting(3, b"two"), base=bytes.fromhex(sha(b"one")))
    second = entry(OFFSET, inserting(3, b"three"), base=bytes([len(first)]))
    third = entry(REFERENCE, inserting(5, b"four"), base=bytes.fromhex(sha(b"three")))
    found = read(pack(third, first, second, entry(BLOB, b"one")))
    assert {*found} == {sha(text) for text in (b"one", b"two", b"three", b"four")}


def test_a_difference_may_be_from_what_an_earlier_pack_has():
    first = entry(REFERENCE, inserting(3, b"two"), base=bytes.fromhex(sha(b"one")))
    assert sha(b"two") in read(pack(entry(BLOB, b"one")), pack(first))


ONE = entry(BLOB, b"one")
BROKEN = {
    "no pack": b"x" * 100,
    "another version": b"PACK" + struct.pack(">II", 9, 1) + ONE,
    "fewer entries": pack(ONE, count=2),
    "very many entries": pack(ONE, count=0xFFFFFFFF),
    "nothing behind its head": b"PACK" + struct.pack(">II", 2, 1),
    "half a head": b"PACK\0\0",
    "kind 0": pack(entry(0, b"x")),
    "kind 5": pack(entry(5, b"x")),
    "no base": pack(entry(REFERENCE, inserting(3, b"x"), base=b"\1" * 20)),
    "its own base": pack(entry(OFFSET, inserting(3, b"x"), base=b"\0")),
    "a base before the pack": pack(entry(OFFSET, inserting(3, b"x"), base=b"\xff\x7f")),
    "a base inside of another": pack(ONE, entry(OFFSET, inserting(3, b"x"), base=b"\2")),
    "a difference from another size": pack(
        ONE, entry(OFFSET, inserting(9, b"x"), base=bytes([len(ONE)]))
    ),
    "an empty difference": pack(ONE, entry(OFFSET, b"", base=bytes([len(ONE)]))),
    "a difference without an end": pack(ONE, entry(OFFSET, b"\xff" * 99, base=bytes([len(ONE)]))),
    "a copy of what is not there": pack(
        ONE, entry(OFFSET, number(3) + number(9) + b"\x91\x63\x09", base=bytes([len(ONE)]))
    ),
    "an order that is none": pack(
        ONE, entry(OFFSET, number(3) + number(9) + b"\0", base=bytes([len(ONE)]))
    ),
    "a size without an end": b"PACK" + struct.pack(">II", 2, 1) + b"\xbf" + b"\xff" * 100_000,
    "more than it says": pack(entry(BLOB, b"x" * 100, size=10)),
    "less than it says": pack(entry(BLOB, b"x" * 10, size=100)),
    "no compressed data": pack(b"\x33xxxxxxxxxxxxxxxxxxx"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_pack_that_cannot_be_is_refused(case):
    with pytest.raises(IntegrityError):
        read(BROKEN[case])


def test_an_answer_without_a_pack_has_no_objects():
    assert read(b"") == {}


BASE = bytes(500_000)
COPIES = number(len(BASE)) + number(500 << 20) + b"\xb0\x20\xa1" * 1000
BOMBS = {
    "an object says it is huge": pack(entry(BLOB, b"x", size=1 << 40)),
    "an object is huge": pack(entry(BLOB, bytes(50 << 20))),
    "an object is more than it says": pack(entry(BLOB, bytes(50 << 20), size=10)),
    "a difference says it makes much": pack(
        ONE, entry(OFFSET, number(3) + number(1 << 50), base=b"\x0c")
    ),
    "a difference makes much": pack(
        entry(BLOB, BASE), entry(REFERENCE, COPIES, base=bytes.fromhex(sha(BASE)))
    ),
    "many are together": pack(*(entry(BLOB, bytes([n]) * 400_000) for n in range(9))),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_pack_that_grows_is_refused_before_it_has_grown(bomb, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "1000000")
    tracemalloc.start()
    try:
        with pytest.raises(IntegrityError):
            read(BOMBS[bomb])
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_an_object_of_another_kind_is_not_what_was_asked_for():
    with PackedObjects() as objects, tempfile.TemporaryFile() as file:
        file.write(pack(ONE))
        file.flush()
        objects.add_pack(file)
        with pytest.raises(IntegrityError, match="is a blob; a tree was expected"):
            objects.read(sha(b"one"), TREE)
        with pytest.raises(IntegrityError, match="is missing; a commit was expected"):
            objects.read("1" * 40, COMMIT)


def test_differences_that_wait_in_vain_count_as_bytes(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "10000")
    many = [entry(REFERENCE, bytes(3000), base=bytes([n]) * 20) for n in range(5)]
    with pytest.raises(IntegrityError, match="more than 10,000 bytes"):
        read(pack(*many))
