"""The loop of every contender: measures a round when told to, and writes what it took."""

from __future__ import annotations

import gc
import http.client
import json
import os
import sys
import time

__all__ = ["serve"]


class Requests:
    """Counts what this process sends by HTTP."""

    sent = 0

    @classmethod
    def count(cls) -> None:
        """Begin to count."""
        put = http.client.HTTPConnection.putrequest

        def putrequest(*args, **options):
            cls.sent += 1
            return put(*args, **options)

        http.client.HTTPConnection.putrequest = putrequest


def serve(*contenders: type) -> None:
    """Measure with the contender that the arguments name.

    Its constructor gets the settings. ``measures(round)`` yields a name and the functions that are
    timed, one by one.
    """
    # What libraries print goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    Requests.count()
    kinds = {kind.__name__: kind for kind in contenders}
    contender = kinds[sys.argv[1]](json.loads(sys.argv[2]))
    for line in sys.stdin:
        taken = {}
        for name, *measured in contender.measures(line.strip()):
            gc.collect()
            if hasattr(os, "sync"):
                os.sync()  # what others wrote is not to be waited for
            before, seconds = Requests.sent, []
            for each in measured:
                begin = time.perf_counter()
                each()
                seconds.append(time.perf_counter() - begin)
            taken[name] = (seconds, Requests.sent - before)
        print(json.dumps(taken), file=answers, flush=True)
