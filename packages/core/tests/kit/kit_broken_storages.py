"""A good storage, and storages that are each broken in one way."""

from __future__ import annotations

import sys
import types

from kit_broken_stores import Good as GoodStore
from kit_broken_stores import IgnoredCondition

from flowhold import hookimpl, secret
from flowhold.plugins import StorageInfo
from flowhold.storage import Capability, ObjectStorage, Storage
from flowhold.store import read_object

PLACES: dict[str, dict[str, bytes]] = {}

acme = types.ModuleType("acme_sdk")
exec("class Client: pass", acme.__dict__)
acme.Client.__module__ = "acme_sdk"
sys.modules["acme_sdk"] = acme


class Good(ObjectStorage):
    shown = ("room",)
    not_serialized = ObjectStorage.not_serialized | {"password"}

    def __init__(self, room, colour="red", password="hunter2-canary", **common):
        super().__init__(**common)
        self.room, self.colour, self.password = room, colour, password

    def open_store(self):
        return RemoteStore(PLACES.setdefault(self.room, {}))


class RemoteStore(GoodStore):
    local = False


class LosesOption(Good):
    def _describe(self):
        document = super()._describe()
        document["options"].pop("colour")
        return document


class LosesLabels(Good):
    def _describe(self):
        return {**super()._describe(), "labels": []}


class LosesOptOut(Good):
    def _describe(self):
        return {**super()._describe(), "add_default_labels": True}


class LosesDigest(Good):
    def serialize(self):
        document = super().serialize()
        for record in document["flows"].values():
            record.pop("sha256", None)
        return document


class SerializesPassword(Good):
    not_serialized = ObjectStorage.not_serialized


class TuplesInDocument(Good):
    def serialize(self):
        document = super().serialize()
        return {**document, "labels": tuple(document["labels"])}


class PicklesClient(Good):
    def open_store(self):
        self.client = acme.Client()
        return super().open_store()


class PicklesStore(Good):
    def __getstate__(self):
        return {**super().__getstate__(), "_opened": self._opened}


class PicklesPassword(Good):
    def __getstate__(self):
        return {**super().__getstate__(), "password": self.password}


class PasswordInRepr(Good):
    shown = ("room", "password")


class SecretInRepr(Good):
    def __repr__(self):
        return f"<Storage: SecretInRepr {[secret(name) for name in self.secrets]}>"


class SecretInError(Good):
    def _find(self, wanted, *, allow_unverified):
        try:
            return super()._find(wanted, allow_unverified=allow_unverified)
        except Exception as error:
            error.message += str([secret(name) for name in self.secrets])
            raise


class VerifyAlwaysOk(Good):
    def _check(self, record):
        return "fine"


class VerifyAsksTheCache(Good):
    def _check(self, record):
        return str(len(self.read(record)))


class VerifyRuns(Good):
    def _check(self, record):
        return str(self._load(None, record, allow_unverified=False))


class RunsWhatWasChanged(Good):
    def _read(self, record):
        return read_object(*self._at(record.location))


class IgnoresName(Good):
    def _load(self, name, record, *, allow_unverified):
        name, record = next(iter(self._records.items()))
        return super()._load(name, record, allow_unverified=allow_unverified)


class TakesDuplicates(Good):
    def add_flow(self, flow):
        self.discard(getattr(flow, "name", None))
        return super().add_flow(flow)


class ForgetsOthers(Good):
    def _build(self):
        super()._build()
        for name in [*self._records][:-1]:
            self.discard(name)


class ReplacesSilently(Good):
    def open_store(self):
        return type("Store", (IgnoredCondition,), {"local": False})(
            PLACES.setdefault(self.room, {})
        )


class DeleteLeavesObject(Good):
    def delete(self, name):
        self.discard(name)


class ReferencesAll(Good):
    def _describe(self):
        return {**super()._describe(), "all": [*self._records]}


class IgnoresResult(Good):
    @property
    def result(self):
        return None


class OptOutWithoutEffect(Good):
    @property
    def default_labels(self):
        return ["room"] if self._recorded_labels is None else self._recorded_labels

    @property
    def labels(self):
        return sorted({*self._labels, *self.default_labels})


class NoSecretsLookedUp(Good):
    def get_flow(self, name_or_location=None, *, allow_unverified=False):
        wanted, self.secrets = self.secrets, []
        try:
            return super().get_flow(name_or_location, allow_unverified=allow_unverified)
        finally:
            self.secrets = wanted


class NoEnvironment(Good):
    def _add(self, flow):
        record = super()._add(flow)
        record.environment = {}
        return record


class ScriptsNotDeclared(Good):
    capabilities = Good.capabilities - {Capability.SCRIPT}

    def __init__(self, *arguments, stored_as_script=False, **options):
        super().__init__(*arguments, **options)
        self.stored_as_script = stored_as_script


class TellsNobody(Good):
    def build(self):
        self._build()
        return self


class Unregistered(Good):
    type_name = "somebody-elses"


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
            if issubclass(cls, Storage)
        ]
