"""Store or load a large payload: ``memory.py store|load|import KIND BYTES FOLDER``.

Prints the most memory that this process had, in bytes.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from pathlib import Path


def peak() -> int:
    """Return the most memory this process had since its program began, in bytes."""
    # Not getrusage: that also counts what the process that started this one had.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) << 10


def store(kind: str, size: int, folder: Path) -> None:
    import flowhold
    from flowhold.loading import load_script
    from flowhold.storage import Local

    script = folder / "etl.py"
    if kind == "pickle":
        flow = flowhold.Flow("etl")
        flow.payload = os.urandom(size)
        storage = Local(folder / "flows")
    else:
        script.write_text("import flowhold\n\n@flowhold.flow\ndef etl():\n    return 1\n")
        with open(folder / "data.bin", "wb") as file:
            for _ in range(size >> 20):
                file.write(os.urandom(1 << 20))
        flow = load_script(str(script)) if kind == "bundle" else flowhold.Flow("etl")
        storage = Local(
            folder / "flows",
            stored_as_script=kind == "bundle",
            local_script_path=str(script),
            include=["data.bin"],
        )
    reference = flowhold.register(flow, storage=storage)
    (folder / "reference.json").write_text(reference.to_json())


def load(kind: str, size: int, folder: Path) -> None:
    import flowhold

    flow = flowhold.load(str(folder / "reference.json"))
    if kind == "pickle":
        assert len(flow.payload) == size


def main() -> None:
    side, kind, size, folder = sys.argv[1:]
    warnings.simplefilter("ignore")
    {"store": store, "load": load}[side](kind, int(size), Path(folder))
    print(json.dumps(peak()))


if __name__ == "__main__":
    main()
