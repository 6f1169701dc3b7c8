"""Many processes at once: no version is lost, nothing is unpacked twice or removed while used."""

from __future__ import annotations

import os
import random

import pytest

import flowhold
from flowhold.catalog import Catalog
from flowhold.loading import load_script
from flowhold.storage import Local

VERSIONS = "concurrency: registrations at once get every version once, and each finds its own flow"
UNPACKED = "concurrency: processes that load one bundle at once unpack it once"
PRUNED = "concurrency: a prune of the cache never removes what a process uses"
FILES = 40


def test_registrations_of_one_flow_name(children, trying, size):
    processes, times = size((16, 25), (4, 10))
    given = children("register.py", processes, times)
    catalog = Catalog()
    known = {int(version): mark for each in given for version, mark in each.items()}
    assert sum(map(len, given)) == len(known) == processes * times
    assert catalog.versions("etl") == list(range(1, processes * times + 1))
    for version in trying(VERSIONS, catalog.versions("etl")):
        assert flowhold.load(f"etl@{version}").mark == known[version]


@pytest.fixture
def make_bundle(tmp_path):
    """Return a function that stores a bundle and gives the path of its reference."""

    def make(number, size):
        folder = tmp_path / f"script-{number}"
        folder.mkdir()
        script = folder / "etl.py"
        script.write_text(
            "import flowhold\nfrom pathlib import Path\n\n@flowhold.flow\ndef etl():\n"
            "    import late\n"
            "    files = Path(__file__).parent.glob('*.bin')\n"
            "    return sum(len(file.read_bytes()) for file in files) + late.MORE\n"
        )
        (folder / "late.py").write_text(f"MORE = {number}\n")
        for name in range(FILES):
            data = random.Random(f"{number} {name}").randbytes(size)
            (folder / f"{name}.bin").write_bytes(data)
        storage = Local(
            stored_as_script=True, local_script_path=str(script), include=["*.bin", "late.py"]
        )
        storage.add_flow(load_script(str(script)))
        reference = tmp_path / f"{number}.json"
        reference.write_text(storage.build().references()[0].to_json())
        return reference

    return make


def test_loads_of_one_bundle(children, make_bundle, trying, size, home):
    processes, rounds = size((16, 6), (4, 1))
    for number in trying(UNPACKED, range(rounds)):
        outcome = children("unpack.py", processes, make_bundle(number, 200_000))
        assert [each["result"] for each in outcome] == [FILES * 200_000 + number] * processes
        assert sum(each["unpacked"] for each in outcome) == 1
        trees = [path for path in (home / "cache" / "trees").iterdir() if path.is_dir()]
        assert len(trees) == number + 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_prunes_while_flows_load_and_run(children, make_bundle, trying, size, tmp_path):
    loaders, pruners, turns = size((12, 4, 40), (2, 1, 4))
    references = [make_bundle(number, 2_000) for number in range(3)]
    folder = tmp_path / "done"
    folder.mkdir()
    outcome = children("prune.py", loaders + pruners, loaders, turns, folder, *references)
    assert sum(each["removed"] for each in outcome) > 0
    for problem in trying(PRUNED, [problem for each in outcome for problem in each["loads"]]):
        assert problem == ""
