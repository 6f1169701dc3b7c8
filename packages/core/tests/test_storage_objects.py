"""A storage that is made of the class of an object store."""

from __future__ import annotations

import pickle
from typing import ClassVar

import pytest

from flowhold import Capability, ObjectStore
from flowhold.errors import ConfigurationError
from flowhold.filestore import FileStore
from flowhold.storage import ObjectStorage
from flowhold.storage.documents import option_parameters


class ShelfStore(FileStore):
    """Has arguments of its own, and cannot replace an object."""

    capabilities = ObjectStore.capabilities - {Capability.OVERWRITE}

    def __init__(self, place: str, *, colour: str = "red", token: str | None = None) -> None:
        if colour == "pink":
            raise ConfigurationError("no shelf is pink")
        super().__init__(place)
        self.place = str(place).rstrip("/")
        self.colour = colour
        self.token = token


class Shelf(ObjectStorage):
    """Keeps flows on a shelf."""

    store_class = ShelfStore
    not_serialized: ClassVar = ObjectStorage.not_serialized | {"token"}
    shown: ClassVar = ("place",)


def test_the_arguments_of_the_store_are_options_of_the_storage(tmp_path):
    storage = Shelf(f"{tmp_path}/", colour="blue", key="flows/{slug}", labels=["x"])
    assert (storage.place, storage.colour) == (str(tmp_path), "blue")
    assert (storage.store.place, storage.store.colour) == (str(tmp_path), "blue")
    assert (storage.key, storage.labels) == ("flows/{slug}", ["x"])
    assert [*option_parameters(Shelf)][:4] == ["place", "colour", "token", "key"]
    assert f"place={str(tmp_path)!r}" in repr(storage)


def test_they_are_checked_by_the_store_when_the_storage_is_made(tmp_path):
    with pytest.raises(ConfigurationError, match="no shelf is pink"):
        Shelf(tmp_path, colour="pink")
    with pytest.raises(TypeError, match="place"):
        Shelf()
    with pytest.raises(TypeError, match="depth"):
        Shelf(tmp_path, depth=3)


def test_what_is_not_serialized_does_not_travel(tmp_path):
    storage = Shelf(str(tmp_path), token="canary")
    assert storage.store.token == "canary"
    assert b"canary" not in pickle.dumps(storage)
    assert pickle.loads(pickle.dumps(storage)).store.place == str(tmp_path)


def test_what_the_store_cannot_do_the_storage_cannot_do_either(tmp_path):
    assert Capability.OVERWRITE in Shelf.capabilities
    assert Shelf(tmp_path).capabilities == Shelf.capabilities - {Capability.OVERWRITE}


def test_other_storages_take_no_arguments_by_position(tmp_path):
    class Bare(ObjectStorage):
        def open_store(self):
            return FileStore(tmp_path)

    with pytest.raises(TypeError, match="by name only"):
        Bare("place")


def test_a_storage_with_neither_store_nor_class_says_so():
    class Bare(ObjectStorage):
        pass

    with pytest.raises(NotImplementedError, match="neither store_class nor open_store"):
        _ = Bare().store
