"""Load and run flows while others prune: ``prune.py LOADERS TURNS FOLDER REFERENCE... NUMBER``.

The first processes load, each time in a fork of its own; the others prune until those are done.
Prints how much was removed and, for each load, what went wrong.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from ordeal import fork

import flowhold
from flowhold import cache


def main() -> None:
    loaders, turns, number = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[-1])
    folder, references = Path(sys.argv[3]), sys.argv[4:-1]
    warnings.simplefilter("ignore")
    print("ready", flush=True)
    sys.stdin.readline()
    loads, removed = [], 0

    def work(turn):
        which = (number + turn) % len(references)
        flow = flowhold.load(references[which])
        for _ in range(4):
            run = flow.run()
            if run.error:
                raise run.error
            assert run.result == 40 * 2_000 + which

    if number < loaders:
        for turn in range(turns):
            status, text = fork(lambda report, turn=turn: work(turn))
            loads.append(text if status else "")
        (folder / str(number)).touch()
    else:
        while len(list(folder.iterdir())) < loaders:
            removed += len(cache.prune(everything=True))
    print(json.dumps({"loads": loads, "removed": removed}))


if __name__ == "__main__":
    main()
