"""What declares next to nothing, and refuses the rest properly, passes the kit too."""

from __future__ import annotations

import hashlib
from functools import partial

import pytest

from flowhold import Capability, Storage, hookimpl, plugins
from flowhold.errors import (
    IntegrityError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
)
from flowhold.packing import Packing
from flowhold.plugins import StorageInfo
from flowhold.storage.inline import DictStore
from flowhold.storage.records import Record
from flowhold.store import check_key
from flowhold.testing import ObjectStoreTests, StorageTests
from flowhold.unpacking import flow_from_bytes

PLACE: dict[str, bytes] = {}


class Archive(DictStore):
    """Keeps what is written once; nothing else."""

    capabilities: frozenset[Capability] = frozenset()

    def put(self, key, parts, *, if_absent=False):
        if if_absent:
            raise StorageError("an archive knows no conditions")
        try:
            return super().put(check_key(key), parts, if_absent=True)
        except ObjectExistsError as error:
            raise StorageError(str(error)) from error

    def list(self, prefix="", start_after=None):
        raise StorageError("an archive lists nothing")

    def delete(self, key):
        raise StorageError("an archive deletes nothing")


class Post(Storage):
    """Keeps one pickled flow at a place of its own, without keys, scripts or files."""

    capabilities = frozenset({Capability.STORE, Capability.PICKLE, Capability.SERIALIZES_FLOWS})

    def __init__(self, office, **common):
        super().__init__(**common)
        self.office = office
        self.pending = None

    def __getstate__(self):
        return {**super().__getstate__(), "pending": None}

    def fingerprint(self, flow):
        return Packing(None).fingerprint(flow)

    def _add(self, flow):
        if self._records:
            raise StorageError("a post takes one flow")
        payload = Packing(None).pack(flow)
        self.pending = b"".join(payload.parts)
        location = f"{self.office}/{payload.sha256[:20]}"
        return Record(
            location, "pickle", payload.sha256, payload.size, environment=payload.environment
        )

    def _build(self):
        if self.pending is not None:
            (record,) = self._records.values()
            PLACE[record.location] = self.pending

    def _read(self, record):
        if record.location not in PLACE:
            raise ObjectNotFoundError(f"nothing is at {record.location}")
        data = PLACE[record.location]
        if hashlib.sha256(data).hexdigest() != record.sha256:
            raise IntegrityError(f"{record.location} was changed")
        return data

    def _load(self, name, record, *, allow_unverified):
        data = self._read(record)
        return flow_from_bytes(data, record.kind, name=name, recorded=record.environment)

    def _check(self, record):
        return f"{len(self._read(record))} bytes"

    def _extract(self, name, record, folder):
        (folder / "flow.pickle").write_bytes(self._read(record))


class Plugin:
    @hookimpl
    def flowhold_storages(self):
        return [StorageInfo("post", "One flow.", f"{__name__}:Post")]


class Backdoor:
    read = staticmethod(PLACE.__getitem__)
    write = staticmethod(PLACE.__setitem__)
    remove = staticmethod(PLACE.__delitem__)


class TestArchive(ObjectStoreTests):
    @pytest.fixture
    def store(self):
        return Archive({})


class TestPost(StorageTests):
    @pytest.fixture
    def make_storage(self):
        plugin = Plugin()
        plugins.register(plugin)
        yield partial(Post, "office")
        plugins.unregister(plugin)
        PLACE.clear()

    @pytest.fixture
    def backdoor(self):
        return Backdoor
