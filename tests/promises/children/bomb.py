"""Load a bundle that is far larger than it looks: ``bomb.py KIND BYTES FOLDER``.

Prints the error, what is left in the cache, the most bytes that were on disk, and the most memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import memory
import zstandard

from flowhold import settings
from flowhold.envelope import seal
from flowhold.errors import FlowholdError
from flowhold.loading import load_reference
from flowhold.reference import Reference
from flowhold.storage import Local  # noqa: F401

LIMIT = 64 << 20
ZERO = bytes(1 << 20)


def frame(size: int, said: int | None = None) -> bytes:
    """Return a zstd frame of so many zeros; ``said`` is the size in its header, or none."""
    compressor = zstandard.ZstdCompressor(level=1).compressobj(size=-1 if said is None else said)
    parts = [compressor.compress(ZERO) for _ in range(size >> 20)]
    return b"".join([*parts, compressor.flush()])


def digest(size: int) -> str:
    sha256 = hashlib.sha256()
    for _ in range(size >> 20):
        sha256.update(ZERO)
    return sha256.hexdigest()


def entry(size: int, path: str = "zeros.py", sha256: str = "0" * 64) -> dict:
    return {"path": path, "size": size, "sha256": sha256}


def make(kind: str, size: int) -> bytes:
    if kind == "list":
        # A million entries, and each needs as few bytes as can be.
        files = [
            entry(0, f"{number}", "") for number in range(size >> 9 if size < 1 << 30 else 10**6)
        ]
        return seal({"kind": "bundle", "script": "0", "files": files}) + frame(0)
    if kind == "many files":
        files = [entry(size // 10_000, f"{number}.txt") for number in range(10_000)]
        return seal({"kind": "bundle", "script": "0.txt", "files": files}) + frame(size)
    said = {"true": size, "says little": 1 << 20, "frame lies": 1 << 20}.get(kind, LIMIT)
    files = [entry(said, sha256=digest(min(said, LIMIT)))]
    data = frame(size, size if kind == "true" else None)
    if kind == "frame lies":
        data = frame(1 << 20, 1 << 20)
        # The header says 1 MiB, as a frame of 1 MiB does; the blocks are those of the large one.
        honest = zstandard.frame_header_size(data)
        large = frame(size, size)
        data = data[:honest] + large[zstandard.frame_header_size(large) :]
    return seal({"kind": "bundle", "script": "zeros.py", "files": files}) + data


def main() -> None:
    kind, size, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    os.environ["FLOWHOLD_MAX_TREE_BYTES"] = str(LIMIT)
    folder.mkdir()
    stored = folder / "stored"
    # In a process of its own, whose memory does not count.
    if os.fork() == 0:
        stored.write_bytes(make(kind, size))
        os._exit(0)
    os.wait()
    data = stored.read_bytes()
    reference = Reference(
        flow="etl",
        storage={"type": "local", "options": {"directory": str(folder)}, "flows": {}},
        location=str(stored),
        kind="bundle",
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
    )
    length = len(data)
    del data
    most = 0

    def watch(event: str, args: tuple) -> None:
        # When half-made files are removed again, all that was ever written is there.
        nonlocal most
        if event == "shutil.rmtree":
            made = [each.stat().st_size for each in Path(args[0]).rglob("*") if each.is_file()]
            most = max(most, sum(made))

    sys.addaudithook(watch)
    name = ""
    try:
        load_reference(reference)
    except FlowholdError as error:
        name = type(error).__name__
    trees = settings.current().cache_dir / "trees"
    left = [path.name for path in trees.glob("*") if path.suffix != ".lock"]
    allowed = 96 << 20 if kind != "list" else 512 << 20
    document = {"error": name, "left": left, "disk": most, "memory": memory.peak()}
    print(json.dumps({**document, "data": length, "allowed": allowed}))


if __name__ == "__main__":
    main()
