"""Hostile objects with true digests: nothing is written outside the cache, nor without end."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
from pathlib import Path

import pytest
import zstandard

from flowhold.envelope import MAGIC, seal
from flowhold.errors import FlowholdError
from flowhold.loading import load_reference
from flowhold.reference import Reference

PROMISE = "path escapes, archives: a hostile bundle writes nothing outside of the cache"
BOUNDED = "bombs, archives: a bomb is refused with bounded memory and disk"
SCRIPT = b"import flowhold\n\n@flowhold.flow\ndef etl():\n    return 1\n"


def entry(path, data=b"", **more):
    return {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **more}


def bundle(*files, body=None, **header):
    """Return a bundle of the script and further (path, bytes), or of entries as they are."""
    listed = [("etl.py", SCRIPT), *files]
    entries = [each if isinstance(each, dict) else entry(*each) for each in listed]
    data = b"".join(each[1] for each in listed if isinstance(each, tuple) and len(each) == 2)
    frame = zstandard.compress(data) if body is None else body
    return seal({"kind": "bundle", "script": "etl.py", "files": entries, **header}) + frame


def reference(data, folder, kind="bundle"):
    """Return the true reference of these bytes, stored in a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "stored").write_bytes(data)
    return Reference(
        flow="etl",
        storage={"type": "local", "options": {"directory": str(folder)}, "flows": {}},
        location=str(folder / "stored"),
        kind=kind,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
    )


def listing(tmp_path, home):
    """Return everything there is outside of the cache, and what the cache shows."""
    outside = {
        str(path): (path.lstat().st_mode, path.lstat().st_size)
        for top in (tmp_path, Path("/tmp/flowhold-escape"), Path("/flowhold-escape"))
        for path in [top, *top.rglob("*")]
        if not path.is_relative_to(home / "cache") and os.path.lexists(path)
    }
    kept = [path.name for path in home.glob("cache/*/*") if path.suffix != ".lock"]
    return outside, kept


ESCAPES = [
    "/flowhold-escape",
    "../escape",
    "a/../../escape",
    "..",
    ".",
    "",
    "a//b",
    "a/",
    "/",
    "./a",
]
ESCAPES += [
    "..\\escape",
    "C:\\escape",
    "C:/../../escape",
    "\\\\host\\share",
    "a\\b",
    "a/./b",
    "a/..",
]
ESCAPES += [
    "a\0b",
    "a\nb",
    "\x1b[2J",
    "a" * 256,
    "/".join("a" * 5_000),
    "é" * 200,
    "\udcff",
    "a/" * 600,
]
ESCAPES += [
    "/tmp/flowhold-escape",
    "~/../../escape/..",
    "a/b/c/../../../../escape",
    "//flowhold-escape",
]

COLLISIONS = [
    ["a.txt", "a.txt"],
    ["a.txt", "A.TXT"],
    ["straße", "STRASSE"],
    ["\u00e9.txt", "e\u0301.txt"],
    ["\u212b", "\u00c5"],
    ["a", "a/b"],
    ["a/b", "a"],
    ["A/b", "a"],
    ["a/b/c/d", "a/b"],
    ["etl.py/inside"],
    ["ETL.PY"],
    ["etl.py"],
]

MALFORMED = [None, True, 1, 1.5, "a.txt", [], ["a.txt"], {}, {"path": "a"}, {"path": 1, "size": 0}]
MALFORMED += [{**entry("a"), "size": size} for size in (-1, True, 0.0, 1e9, "0", None, [], 1 << 70)]
MALFORMED += [{**entry("a"), "path": path} for path in ("", "/", "..")]
MALFORMED += [{**entry("a"), "sha256": sha} for sha in (None, 0, "", "0" * 64, [], "../..")]

# There is no way to say "link" or "device": such words are not looked at.
WORDS = [
    {"type": "symlink", "target": "/etc/passwd"},
    {"linkname": "../escape", "kind": "hardlink"},
]
WORDS += [{"mode": 0o104777}, {"device": [1, 3], "type": "char"}, {"executable": "yes"}, {"uid": 0}]


def hostile():
    for path in ESCAPES:
        yield f"escape {path!r:.40}", bundle((path, b"x"))
        yield f"script {path!r:.40}", bundle((path, b"x"), script=path)
    for paths in COLLISIONS:
        yield f"collision {paths}", bundle(*((path, b"x") for path in paths))
    for each in MALFORMED:
        yield f"entry {each!r:.60}", bundle(each if isinstance(each, dict) else {"path": each})
        yield f"bare {each!r:.60}", seal({"kind": "bundle", "script": "etl.py", "files": [each]})
    for files in (None, True, 3, "etl.py", {}, {"etl.py": entry("etl.py")}, [[]], [None]):
        yield f"files {files!r:.60}", seal({"kind": "bundle", "script": "etl.py", "files": files})
    for script in (None, 0, [], {}, "", "other.py", "../etl.py", ["etl.py"], True):
        yield f"script {script!r}", bundle(script=script)
    for modules in (None, [], "x", 1):
        yield f"modules {modules!r}", bundle(modules=modules)
    for kind in (None, [], {}, "script", "image", "", 1, True, "pickle"):
        yield f"kind {kind!r}", bundle(kind=kind)
    for pickle in (-1, True, 1.0, "0", None, [], 1 << 70, 1 << 31, 1):
        yield f"pickle {pickle!r}", bundle(pickle=pickle)
    good = zstandard.compress(SCRIPT)
    for name, body in {
        "nothing": b"",
        "half": good[: len(good) // 2],
        "without its last byte": good[:-1],
        "more behind": good + b"x",
        "two frames": good + zstandard.compress(b"more"),
        "longer": zstandard.compress(SCRIPT + b"more"),
        "shorter": zstandard.compress(SCRIPT[:-1]),
        "other": zstandard.compress(b"x" * len(SCRIPT)),
        "no frame": SCRIPT,
        "zeros": bytes(len(good)),
    }.items():
        yield f"frame: {name}", bundle(body=body)


def raw(text, length=None, version=1):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">8sHI", MAGIC, version, len(text) if length is None else length) + text


def damaged():
    whole = bundle()
    for length in (0xFFFFFFFF, 0x7FFFFFFF, 64 << 20, len(whole), 1, 0):
        yield f"length {length}", raw(json.dumps({"kind": "bundle"}), length) + whole
    for text in ("", "null", "[]", "1", '"x"', "{", "[" * 100_000, '{"a":' * 100_000, "9" * 10_000):
        yield f"header {text[:20]!r}", raw(text)
    for text in (
        b"\xff\xfe",
        b"\0" * 100,
        b'{"kind": "bundle"}',
        b"NaN",
        b'{"kind":"bundle","files":NaN}',
    ):
        yield f"header {text[:30]!r}", raw(text)
    for version in (0, 2, 65535):
        yield f"format {version}", raw("{}", version=version)
    for length in range(len(MAGIC) + 7):
        yield f"first {length} bytes", whole[:length]


def refuse(data, tmp_path, home, kind="bundle"):
    reference_ = reference(data, tmp_path / "flows", kind)
    before, kept = listing(tmp_path, home)
    with pytest.raises(FlowholdError) as caught:
        load_reference(reference_)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1_000
    after, now_kept = listing(tmp_path, home)
    assert after == before
    # The files beside a pickle can be good ones, and stay, where the pickle is not.
    assert now_kept == kept or (kind == "pickle" and all(len(name) == 64 for name in now_kept))


def test_a_bundle_made_by_hand_loads(tmp_path):
    flow = load_reference(reference(bundle(("data/a.txt", b"x")), tmp_path / "flows"))
    assert flow.run().result == 1


@pytest.mark.parametrize("kind", ["bundle", "pickle"])
def test_bundles_that_are_hostile(kind, trying, sample, tmp_path, home):
    for name, data in trying(PROMISE, sample(hostile(), 60)):
        print(kind, name)  # shown where it fails
        if kind == "pickle":
            data = data.replace(b'"kind":"bundle"', b'"kind":"pickle"', 1)
        refuse(data, tmp_path, home, kind)


def test_envelopes_that_are_damaged(trying, tmp_path, home):
    for name, data in trying(PROMISE, damaged()):
        print(name)
        for kind in ("bundle", "pickle"):
            refuse(data, tmp_path, home, kind)


def test_links_and_devices_cannot_be_said(trying, tmp_path, home):
    for number, words in enumerate(trying(PROMISE, WORDS)):
        path = f"odd-{number}"
        data = bundle({**entry(path, b"x"), **words}, body=zstandard.compress(SCRIPT + b"x"))
        flow = load_reference(reference(data, tmp_path / "flows"))
        assert flow.run().result == 1
        (made,) = home.glob(f"cache/trees/*/files/{path}")
        assert made.is_file()
        assert not made.is_symlink()
        assert made.stat().st_mode & 0o7000 == 0
        assert made.stat().st_nlink == 1
        assert made.read_bytes() == b"x"


GIB = 1 << 30


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to know its memory")
@pytest.mark.parametrize(
    "bomb", ["true", "says little", "says the most allowed", "frame lies", "many files", "list"]
)
def test_bombs(bomb, child, trying, size, tmp_path, home):
    for _ in trying(BOUNDED, [bomb]):
        outcome = child("bomb.py", bomb, size(10 * GIB, GIB // 2), tmp_path / "bomb")
        assert outcome["error"] in ("IntegrityError", "SerializationError"), outcome
        assert outcome["left"] == [], outcome
        assert outcome["disk"] <= 64 << 20, outcome
        assert outcome["memory"] - outcome["data"] <= outcome["allowed"], outcome
