"""Bundles of files

A script with 768 files of 8 MB, of Python's own sources. Make: from files to the object in memory.
Store: to the disk (`fsync`). Load: from the disk to files again. Flowhold's side takes digests of
each file and of the object, checks them all on loading, and imports the script; the archives made
by hand do nothing of that. The goal beside tar and zstd is for the better of the two ways. The one
beside gzip and zip is for making and for all three together: loading is mostly the making of files,
which is the same for all.
"""

from __future__ import annotations

import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from peers import OWN
from rows import Row
from turns import Contender, in_turn

SCRIPT = "import flowhold\n\n@flowhold.flow\ndef etl():\n    return 1\n"
BY_HAND = {"tar + zstd, Python": "TarZstd", "tar and zstd, programs": "TarZstdCommand"}
SLOW = {"tar + gzip -9, Python": "TarGzip", "zip -9, Python": "Zip"}


def rows(size) -> Iterator[Row]:
    """Yield make, store, load, and all three together."""
    tree = tempfile.mkdtemp()
    make_tree(Path(tree), size(768, 48), size(8_000_000, 500_000))
    missing = not shutil.which("zstd")
    contenders = {
        who: Contender(f"bundling:{kind}", OWN, {"tree": tree})
        for who, kind in ({"flowhold": "Flowhold"} | BY_HAND | SLOW).items()
        if not (missing and kind == "TarZstdCommand")
    }
    taken = in_turn(contenders, size(7, 0))
    parts = {measure: taken[measure].seconds for measure in ("make", "store", "load")}
    together = {who: sum(float(times[who]) for times in parts.values()) for who in contenders}
    best = min((who for who in BY_HAND if who in together), key=lambda who: together[who])
    for measure, times in (parts | {"all": together}).items():
        told = times if not missing else times | {"tar and zstd, programs": "zstd is not installed"}
        own = min((who for who in BY_HAND if who in times), key=lambda who: float(times[who]))
        goals = {best if measure == "all" else own: 1.5}
        if measure in ("make", "all"):
            goals |= dict.fromkeys(SLOW, 1 / 3)
        yield Row(f"{measure} a bundle" if measure != "all" else "all of it", told, goals)


def make_tree(folder: Path, count: int, size: int) -> None:
    """Write a script, and files of Python's own sources."""
    (folder / "flow.py").write_text(SCRIPT)
    home, each = Path(sysconfig.get_path("stdlib")), size // count
    found = (path.read_bytes() for path in sorted(home.rglob("*.py")) if path.is_file())
    text = b""
    while len(text) < size:
        text += next(found)
    for number in range(count):
        path = folder / "data" / f"part_{number % 12:02}" / f"file_{number:04}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text[number * each : (number + 1) * each])
