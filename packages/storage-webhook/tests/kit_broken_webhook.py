"""Webhook storage, and such storages that are each broken in one way."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import replace

from flowhold import hookimpl
from flowhold.plugins import StorageInfo
from flowhold.storage.fetched import FetchedStorage
from flowhold_storage_webhook import Webhook
from flowhold_storage_webhook.templates import render


class Good(Webhook):
    pass


class ChecksNothing(Good):
    def _read(self, record):
        return self._fetch(record, None)


class ChecksTheSizeOnly(Good):
    def _read(self, record):
        data = self._fetch(record, None)
        digest = hashlib.sha256(data).hexdigest() if len(data) == record.size else "0" * 64
        return super()._read(replace(record, sha256=None)) if digest[:1] else data


class VerifyAsksTheCache(Good):
    def _check(self, record):
        return f"{len(self.read(record))} bytes"


class VerifySaysYes(Good):
    def _check(self, record):
        return "as recorded"


class WritesValuesDown(Good):
    def _describe(self):
        document = super()._describe()
        return {**document, "options": render(document["options"], os.environ, {})}

    @classmethod
    def _from_options(cls, options):
        from flowhold_storage_webhook import arguments

        kept, arguments._check_written = arguments._check_written, lambda *_: None
        try:
            return super()._from_options(options)
        finally:
            arguments._check_written = kept


class ShowsValues(Good):
    def __repr__(self):
        return f"<Storage: {self.name} {render(self.get_flow_request_kwargs, os.environ, {})}>"


class LogsValues(Good):
    def _fetch(self, record, limit):
        logging.getLogger("flowhold").debug(
            "asking %s", render(self.get_flow_request_kwargs, os.environ, {})
        )
        return super()._fetch(record, limit)


class TakesTheOnlyPlace(Good):
    def _marks(self, location):
        return {**super()._marks(location), "slug": "one", "sha256": "place"}


class RunsBareLocations(Good):
    def _bare(self, location, *, allow_unverified):
        return super()._bare(location, allow_unverified=True)

    def _load(self, name, record, *, allow_unverified):
        return super()._load(name, record, allow_unverified=True)


class ForgetsTheScript(Good):
    def _packing(self):
        return replace(super()._packing(), as_script=False)


class LosesInclude(Good):
    def __init__(self, *arguments, include=None, **options):
        super().__init__(*arguments, **options)


class OneDigestForAll(Good):
    def _add(self, flow):
        return replace(FetchedStorage._add(self, flow), sha256=None)


GOOD = [
    value
    for value in list(globals().values())
    if isinstance(value, type) and issubclass(value, Good)
]


class Plugin:
    @hookimpl
    def flowhold_storages(self):
        return [
            StorageInfo(cls.__name__.lower(), "A storage.", f"{__name__}:{cls.__name__}")
            for cls in GOOD
        ]
