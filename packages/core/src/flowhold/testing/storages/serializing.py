"""A storage as a JSON document, and back: with every option, its flows and their digests."""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from typing import Any

import pytest

from flowhold import Capability, LocalResult, Storage, plugins
from flowhold.errors import ConfigurationError, FlowNotFoundError, StorageError
from flowhold.storage.documents import option_parameters
from flowhold.testing.powers import needs
from flowhold.testing.storages.suite import (
    Keep,
    StorageSuite,
    keeps_bytes,
    make_flow,
    round_trip,
    takes,
)

__all__ = ["SerializingTests"]

OPTIONS: dict[str, dict[str, Any]] = {
    "no option": {},
    "labels": {"labels": ["gpu", "eu"]},
    "default labels": {"add_default_labels": True},
    "no default labels": {"add_default_labels": False, "labels": ["eu"]},
    "secrets": {"secrets": ["KIT_A", "KIT_B"]},
    "stored as script": {"stored_as_script": True},
    "no result": {"result": False},
    "a result": {"result": LocalResult("/kit", location="{flow}", serializer="json")},
    "all together": {
        "labels": ["eu"],
        "secrets": ["KIT_A"],
        "add_default_labels": False,
        "result": False,
    },
}
# Of storages over an object store.
OBJECT_OPTIONS: dict[str, Any] = {
    "key": "flows/{slug}/{sha256}",
    "overwrite": True,
    "include": ["*.sql", "!secret.sql"],
    "pickle_modules": ["json"],
}


class SerializingTests(StorageSuite):
    """A storage as a JSON document, and back."""

    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
    def test_a_round_trip_through_json_keeps(
        self,
        make_storage: Callable[..., Storage],
        powers: Container[Capability],
        options: dict[str, Any],
    ) -> None:
        if options.get("stored_as_script") and Capability.SCRIPT not in powers:
            with pytest.raises(ConfigurationError):
                make_storage(**options)
            return
        storage = make_storage(**options)
        restored = round_trip(storage)
        assert type(restored) is type(storage)
        assert restored.serialize() == storage.serialize(), "serialize() loses or changes an option"
        for name in ("labels", "secrets", "add_default_labels", "stored_as_script", "result"):
            assert getattr(restored, name) == getattr(storage, name), f"{name} is lost"

    @pytest.mark.parametrize("option", OBJECT_OPTIONS)
    def test_a_round_trip_keeps_the_option_of_objects(
        self, make_storage: Callable[..., Storage], option: str
    ) -> None:
        value = OBJECT_OPTIONS[option]
        if not takes(make_storage, option):
            with pytest.raises((TypeError, ConfigurationError)):
                make_storage(**{option: value})
            return
        restored = round_trip(make_storage(**{option: value}))
        assert getattr(restored, option) == value, f"serialize() loses {option}"

    def test_a_round_trip_keeps_every_option_of_its_own(
        self, make_storage: Callable[..., Storage]
    ) -> None:
        storage = make_storage()
        restored = round_trip(storage)
        document = storage.serialize()
        known = {*document, *document["options"]}
        for name in option_parameters(type(storage)).keys() - storage.not_serialized - {"result"}:
            assert hasattr(storage, name), f"the argument {name} must be kept in self.{name}"
            assert name in known or getattr(storage, name) is None, f"serialize() has no {name}"
            assert getattr(restored, name) == getattr(storage, name), f"the option {name} is lost"

    def test_the_document_is_plain_json(self, keep: Keep) -> None:
        document = keep("etl", labels=["x"]).serialize()
        text = json.dumps(document, allow_nan=False)
        assert json.loads(text) == document, "serialize() must return JSON types: lists, no tuples"
        assert {"type", "options", "flows", "labels", "secrets"} <= document.keys()

    def test_its_type_in_the_document_is_a_name_that_finds_the_class(
        self, make_storage: Callable[..., Storage]
    ) -> None:
        storage = make_storage()
        found = plugins.storage_class(storage.serialize()["type"])
        assert found is type(storage), (
            "the class must be registered as a plugin under its name in lower case, or `type_name`"
        )

    def test_options_that_are_only_for_building_are_not_in_the_document(
        self, make_storage: Callable[..., Storage]
    ) -> None:
        storage = make_storage()
        assert not storage.serialize()["options"].keys() & storage.not_serialized
        if takes(storage, "local_script_path"):
            built = make_storage(local_script_path="/only/here.py", stored_as_script=True)
            assert "/only/here.py" not in json.dumps(built.serialize())

    def test_flows_survive_the_round_trip(self, keep: Keep, powers: Container[Capability]) -> None:
        storage = keep("etl")
        restored = round_trip(storage)
        if Capability.SERIALIZES_FLOWS not in powers:
            assert restored.flows == {}, "SERIALIZES_FLOWS is not declared, so there are no flows"
            with pytest.raises(FlowNotFoundError):
                restored.get_flow("etl")
            return
        assert restored.flows == storage.flows
        assert restored.get_flow("etl").run().result == ["etl", "ran", 1]

    def test_digest_and_size_are_in_the_document(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        flows = keep("etl").serialize()["flows"]
        if not keeps_bytes(powers) or Capability.SERIALIZES_FLOWS not in powers:
            assert not any("sha256" in record for record in flows.values()), "a digest of what?"
            return
        assert len(flows["etl"]["sha256"]) == 64
        assert flows["etl"]["size"] > 0

    def test_a_restored_storage_takes_further_flows(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.MANY_FLOWS):
            original = keep("one", "two")
            original.discard("two")
            restored = round_trip(original)
            restored.add_flow(make_flow("two"))
            restored.build()
            assert "two" in restored
            assert restored.get_flow("two").run().result == ["two", "ran", 1]

    def test_two_round_trips_are_as_good_as_one(self, keep: Keep) -> None:
        once = round_trip(keep("etl", labels=["x"], result=False))
        assert round_trip(once).serialize() == once.serialize()

    def test_serializing_changes_nothing(self, keep: Keep) -> None:
        storage = keep("etl")
        assert storage.serialize() == storage.serialize()
        document = storage.serialize()
        document["flows"].clear()
        document["labels"].append("changed")
        assert "etl" in storage, "the document must not be the storage's own data"

    @pytest.mark.parametrize(
        "damage",
        [
            {"options": {"no_such_option": 1}},
            {"options": 5},
            {"flows": "text"},
            {"flows": {"etl": {"location": 5, "kind": "pickle"}}},
            {"flows": {"etl": {"unknown": 1}}},
            {"labels": [5]},
            {"secrets": 5},
            {"result": "text"},
        ],
        ids=str,
    )
    def test_a_document_that_makes_no_sense_is_refused(
        self, make_storage: Callable[..., Storage], damage: dict[str, Any]
    ) -> None:
        document = {**make_storage().serialize(), **damage}
        with pytest.raises(ConfigurationError):
            Storage.deserialize(document)

    @pytest.mark.parametrize(
        "wrong", [{"labels": [5]}, {"secrets": [""]}, {"labels": [None]}], ids=str
    )
    def test_options_of_the_wrong_type_are_refused(
        self, make_storage: Callable[..., Storage], wrong: dict[str, Any]
    ) -> None:
        with pytest.raises((ConfigurationError, StorageError)):
            make_storage(**wrong)

    def test_an_unknown_argument_is_refused(self, make_storage: Callable[..., Storage]) -> None:
        with pytest.raises((TypeError, ConfigurationError)):
            make_storage(no_such_option=1)
