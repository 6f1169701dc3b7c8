"""Register one flow again and again beside others: ``register.py TIMES NUMBER``; prints what."""

from __future__ import annotations

import json
import sys

import flowhold


def main() -> None:
    times, number = map(int, sys.argv[1:])

    @flowhold.flow(name="etl")
    def etl() -> None:
        pass

    # Once before, so that all begin at the same time with everything imported.
    flowhold.register(flowhold.flow(etl.__wrapped__, name="warm-up"))
    print("ready", flush=True)
    sys.stdin.readline()
    given = {}
    for turn in range(times):
        etl.mark = f"{number}/{turn}"
        etl.storage = None
        given[flowhold.register(etl, force=True).version] = etl.mark
    print(json.dumps(given))


if __name__ == "__main__":
    main()
