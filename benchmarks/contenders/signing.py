"""Loads of flows that are signed, and of the same that are not."""

from __future__ import annotations

import os
from pathlib import Path

from loop import serve

KEYS = ("one", "two", "three")


class Flowhold:
    """Few loads in a round, so that those of all kinds meet the same machine."""

    def __init__(self, settings) -> None:
        from flowhold import Flow, Parameter, keyring, register, task
        from flowhold.storage import Local

        def double(x: int) -> int:
            return 2 * x

        with Flow("bench") as flow:
            task(double)(Parameter("x", default=1))
        os.environ["FLOWHOLD_CONFIG_DIR"] = settings["folder"]
        keys = Path(settings["folder"], "keys")
        for name in KEYS:
            if not (keys / f"{name}.key").exists():
                keyring.create(name)
        files = [str(keys / f"{name}.pub") for name in KEYS]
        storage = Local(Path(settings["folder"], "flows"))
        plain = register(flow, storage=storage)
        signed = register(flow, storage=storage, sign="one")
        several = register(flow, storage=storage, sign=KEYS)
        self.kinds = {
            "not signed": (plain, ""),
            "signed": (signed, files[0]),
            "signed three times": (several, ",".join(files)),
            "not signed, by name": (f"bench@{plain.version}", ""),
            "signed, by name": (f"bench@{signed.version}", files[0]),
        }
        self.loads = settings["loads"]

    def measures(self, round_name):
        import flowhold

        for name, (source, trusted) in self.kinds.items():
            os.environ["FLOWHOLD_TRUSTED_KEYS"] = trusted

            def load(source=source):
                for _ in range(self.loads):
                    flowhold.load(source)

            yield name, load


if __name__ == "__main__":
    serve(Flowhold)
