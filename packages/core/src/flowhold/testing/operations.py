"""What users do through a network, and what has to come of it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from flowhold.catalog import Catalog
from flowhold.errors import IntegrityError
from flowhold.flows import flow
from flowhold.reference import Reference
from flowhold.storage.objects import ObjectStorage
from flowhold.store import ObjectStore

__all__ = [
    "DATA",
    "NAME",
    "ON_OBJECTS",
    "OPERATIONS",
    "PATIENT",
    "RETRIES",
    "Network",
    "Operation",
    "Side",
    "contents",
    "fill",
    "reference",
    "side_by",
]

RETRIES = 2
PATIENT = 30.0
DATA = bytes(range(256)) * 300
MANY = [f"many/{number}" for number in range(3)]
NAME = "answer"


def _answer() -> int:
    return 42


@dataclass(frozen=True)
class Network:
    """What the author of a storage gives for the tests: one empty bucket of a real server.

    Both functions are given the URL by which to reach the server, and as keywords ``timeout`` and
    ``retries``, which bound each request.

    Attributes:
        server: URL of the server, ``http://host:port``.
        open_store: Returns an object store of the bucket.
        open_storage: Returns a storage of the same bucket, without flows.
    """

    server: str
    open_store: Callable[..., ObjectStore]
    open_storage: Callable[..., ObjectStorage]


@dataclass
class Side:
    """One way to the bucket: through the proxy, or past it."""

    store: ObjectStore
    storage: ObjectStorage
    catalog: Catalog = field(default_factory=Catalog)

    def __post_init__(self) -> None:
        self.catalog.store = self.store


def side_by(network: Network, url: str, timeout: float = PATIENT) -> Side:
    """Return the way by a URL."""
    bounds = {"timeout": timeout, "retries": RETRIES}
    return Side(network.open_store(url, **bounds), network.open_storage(url, **bounds))


def fill(side: Side) -> None:
    """Put some objects, and two versions of a flow in a catalog."""
    for key in ("there", *MANY):
        side.store.put(key, DATA)
    for _ in range(2):
        side.catalog.add(reference())


def contents(side: Side) -> dict[str, bytes | None]:
    """Return all objects by key; None is one that reading says is damaged."""
    found: dict[str, bytes | None] = {}
    for info in side.store.list():
        try:
            found[info.key] = side.store.get(info.key)
        except IntegrityError:
            found[info.key] = None
    return found


class Operation(NamedTuple):
    """Something that users do, and what may come of it."""

    run: Callable[[Side], object]
    """Fails if it gives a wrong answer."""
    right: Callable[[Side, dict[str, bytes | None]], bool]
    """Whether the objects that it changed are as they should be."""
    requests: int = 1
    prepare: Callable[[Side], object] = lambda side: None
    writes: bool = False
    """Whether only the requests that write meet the faults."""


def reference() -> Reference:
    """Return what can be added to a catalog."""
    # Each is another one, as those of flows that are stored are.
    return Reference(NAME, {"type": "Bytes"}, location=uuid.uuid4().hex, kind="pickle")


def _gets(side: Side) -> None:
    assert side.store.get("there") == DATA


def _lists(side: Side) -> None:
    assert [info.key for info in side.store.list("many/")] == MANY


def _heads(side: Side) -> None:
    assert side.store.head("there").size == len(DATA)


def _adds(side: Side) -> None:
    assert side.catalog.add(reference()).version == 3


def _loads(side: Side) -> None:
    assert side.storage.get_flow(NAME).run().result == 42


def _stores(side: Side) -> None:
    side.storage.add_flow(flow(_answer, name=NAME))
    side.storage.build()


def _same(side: Side, changed: dict[str, bytes | None]) -> bool:
    return not changed


def _new(side: Side, changed: dict[str, bytes | None]) -> bool:
    return changed == {"new": DATA}


def _added(side: Side, changed: dict[str, bytes | None]) -> bool:
    versions = [Reference.from_json(data).version for data in changed.values() if data]
    return versions == [3] and side.catalog.versions(NAME) == [1, 2, 3]


def _built(side: Side, changed: dict[str, bytes | None]) -> bool:
    (stored,) = side.storage.references()
    digests = {key: hashlib.sha256(data or b"").hexdigest() for key, data in changed.items()}
    return digests == {stored.location: stored.sha256}


OPERATIONS = {
    "put": Operation(lambda side: side.store.put("new", DATA), _new),
    "create": Operation(lambda side: side.store.put("new", iter([DATA]), if_absent=True), _new),
    "get": Operation(_gets, _same),
    "head": Operation(_heads, _same),
    "list": Operation(_lists, _same),
    "delete": Operation(
        lambda side: side.store.delete("there"), lambda side, changed: changed == {"there": b""}
    ),
    "catalog": Operation(_adds, _added, requests=2),
    "catalog entry": Operation(_adds, _added, requests=2, writes=True),
    "build": Operation(
        lambda side: side.storage.build(),
        _built,
        prepare=lambda side: side.storage.add_flow(flow(_answer, name=NAME)),
    ),
    "load": Operation(_loads, _same, prepare=_stores),
}
ON_OBJECTS = ("put", "create", "get", "head", "list", "delete")
