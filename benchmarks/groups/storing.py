"""Storing and loading 20 kB

Objects of 20 kB, and flows with a pickle of 20 kB. The raw client is the service's own SDK
(`requests` for Webhook), made once, with a create-only put; its flows are a pickle by cloudpickle
and its digest, which is checked on loading. Files are written, renamed, and their folder too is on
the disk (`fsync`) at the end, as with `Local`. Flowhold describes what it stores, checks it, and on
the first load keeps it in its cache as well.

`build()` of 300 flows works in 16 threads, and so does the raw client. The emulators answer one
request at a time, as fast as they can, so that all that store there take about as long. A real
service answers later and many at once: that is measured too, with a proxy in front of each that
lets each answer wait 20 ms. s3fs and obstore have objects only, and Prefect 3 has no storage that
keeps flows as objects. Prefect 1.4.1 stores one flow by a webhook, and writes files as flows are
added, without `fsync`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from peers import OWN, ROOT, interpreter
from rows import Row
from turns import Contender, Taken, in_turn

LATENCY = 0.02
ELSEWHERE = ("STORAGE_EMULATOR_HOST", "AZURE_STORAGE_CONNECTION_STRING")
"""Variables that say where a server is, where the settings do not."""
RAW = {
    "S3": ("boto3", "Boto3"),
    "GCS": ("google-cloud-storage", "Google"),
    "Azure": ("azure-storage-blob", "Microsoft"),
    "Webhook": ("requests", "Requests"),
    "Local": ("cloudpickle + fsync + rename", "Files"),
}


def rows(size) -> Iterator[Row]:
    """Yield each storage's measures."""
    sys.path.insert(0, str(ROOT / "tests" / "plugins"))
    for kind in RAW:
        with serving(kind, Path(tempfile.mkdtemp())) as settings:
            settings |= {"count": size(10, 3), "flows": size(300, 10)}
            yield from measured(kind, settings, size)


def measured(kind: str, settings: dict[str, object], size) -> Iterator[Row]:
    """Yield the measures of one storage: as it is here, and as it is where answers come later."""
    taken = in_turn(contenders(kind, settings), size(24, 0), median)
    yield from compared(kind, kind, settings, taken)
    if kind != "Local":
        with delayed(settings) as later:
            later |= {"count": size(3, 1), "many": kind == "S3"}
            chosen = contenders(kind, later)
            only = {name: chosen[name] for name in ("flowhold", RAW[kind][0], "Prefect 1.4.1")}
            taken = in_turn(only, size(15, 0), median)
        where = f"{kind}, answers after {LATENCY * 1000:.0f} ms"
        yield from compared(kind, where, later, taken)


def contenders(kind: str, settings: dict[str, object]) -> dict[str, Contender]:
    """Return who is measured on a kind of storage, ours first."""
    peer, program = RAW[kind]
    found = {
        "flowhold": Contender("storing:Flowhold", OWN, settings),
        peer: Contender(f"storing:{program}", OWN, settings),
        "Prefect 1.4.1": Contender("storing:Prefect1", interpreter("prefect1"), settings),
    }
    if kind == "S3":
        for name in ("s3fs", "obstore"):
            program = f"storing:{name.capitalize()}"
            found[name] = Contender(program, interpreter("stores"), settings)
    return found


def compared(
    kind: str, where: str, settings: dict[str, object], taken: dict[str, Taken]
) -> Iterator[Row]:
    """Yield the rows of one storage."""
    peer, count, flows = RAW[kind][0], settings["count"], settings["flows"]
    most = 1.15 if kind != "Local" else 2
    for measure in ("store an object", "load an object", "store a flow", "load a flow"):
        if measure in taken and "flowhold" in (times := taken[measure].seconds):
            local = kind == "Local" and "flow" not in measure
            yield Row(f"{where}: {measure}", times, {} if local else {peer: most})
    for measure in ("store a flow", "load a flow"):
        asked = taken[measure].requests
        if kind != "Local":
            values = {"flowhold": asked["flowhold"], "least": count}
            yield Row(f"{where}: {measure}, {count} times", values, {"least": 1}, "requests")
    build = taken["build"].per(flows)
    goals = {} if kind == "Local" else {peer: 1 / 0.9}
    if "Prefect 1.4.1" in build and where != kind:
        goals["Prefect 1.4.1"] = 1 / 5
    yield Row(f"{where}: build() of many flows, each", build, goals)


@contextlib.contextmanager
def serving(kind: str, folder: Path) -> Iterator[dict[str, object]]:
    """Give the settings of the contenders, with a running server."""
    import servers
    import webdav_server

    settings = {"options": {}, "prefect": {}, "store": "", "storage": kind, "many": True}
    if kind == "S3":
        with servers.serving_s3(folder) as server:
            os.environ.update(
                AWS_ACCESS_KEY_ID=server.access_key,
                AWS_SECRET_ACCESS_KEY=server.secret_key,
                AWS_DEFAULT_REGION=server.region,
                AWS_EC2_METADATA_DISABLED="true",
            )
            options = {"client_options": {"endpoint_url": server.url}}
            yield (
                settings
                | {"options": options, "prefect": options}
                | {
                    "module": "flowhold_storage_s3",
                    "store": "S3Store",
                    "server": server.url,
                    **placed(server.bucket()),
                }
            )
    elif kind == "GCS":
        with servers.serving_gcs(folder) as server:
            os.environ.update(STORAGE_EMULATOR_HOST=server.url, GOOGLE_CLOUD_PROJECT="project")
            yield settings | {
                "module": "flowhold_storage_gcs",
                "store": "GCSStore",
                "server": server.url,
                **placed(server.bucket()),
            }
    elif kind == "Azure":
        with servers.serving_azure(folder) as server:
            os.environ["AZURE_STORAGE_CONNECTION_STRING"] = server.connection_string
            yield settings | {
                "module": "flowhold_storage_azure",
                "store": "AzureStore",
                "server": server.url,
                **placed(server.container()),
            }
    elif kind == "Webhook":
        with webdav_server.serving_webdav() as server:
            url = f"{server.url}/{{slug}}"
            place, one = {"url": f"{url}/{{sha256}}"}, {"url": f"{server.url}/prefect"}
            yield settings | {
                "module": "flowhold_storage_webhook",
                "arguments": [place, "PUT", place, "GET"],
                "prefect_arguments": [one, "PUT", one, "GET"],
                "place": server.url,
                "server": server.url,
                "many": False,
            }
    else:
        yield settings | {
            "module": "flowhold.storage",
            "arguments": [str(folder / "flows")],
            "prefect_arguments": [str(folder / "prefect")],
            "place": str(folder / "plain"),
            "many": False,
        }


def placed(bucket: str) -> dict[str, object]:
    """Return the settings of a bucket."""
    return {"place": bucket, "arguments": [bucket], "prefect_arguments": [bucket]}


@contextlib.contextmanager
def delayed(settings: dict[str, object]) -> Iterator[dict[str, object]]:
    """Give settings for the same server, by a proxy that lets each answer wait."""
    there = urlsplit(str(settings["server"]))
    program = Path(__file__).parents[1] / "contenders" / "latency.py"
    with (
        subprocess.Popen(
            [sys.executable, program, str(there.port), str(LATENCY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(process.terminate)
        proxy = f"{there.hostname}:{process.stdout.readline().strip()}"
        for name in ELSEWHERE:
            if text := os.environ.get(name):
                stack.callback(os.environ.__setitem__, name, text)
                os.environ[name] = text.replace(there.netloc, proxy)
        yield json.loads(json.dumps(settings).replace(there.netloc, proxy))
