"""Load a flow beside others: ``unpack.py REFERENCE NUMBER``; prints how often this unpacked it."""

from __future__ import annotations

import json
import sys

import flowhold


def main() -> None:
    unpacked = 0

    def watch(event: str, args: tuple) -> None:
        nonlocal unpacked
        unpacked += event == "os.rename" and "/trees/" in str(args[1])

    sys.addaudithook(watch)
    print("ready", flush=True)
    sys.stdin.readline()
    flow = flowhold.load(sys.argv[1])
    print(json.dumps({"unpacked": unpacked, "result": flow.run().result}))


if __name__ == "__main__":
    main()
