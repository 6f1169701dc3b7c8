"""Labels: the user's, the storage's own, and the way to opt out of those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowhold import Storage
from flowhold.testing.storages.suite import Keep, StorageSuite, round_trip

__all__ = ["LabellingTests"]


class LabellingTests(StorageSuite):
    """Labels."""

    def test_labels_are_sorted_and_each_is_there_once(
        self, make_storage: Callable[..., Storage]
    ) -> None:
        storage = make_storage(labels=["gpu", "eu", "gpu"], add_default_labels=False)
        assert storage.labels == ["eu", "gpu"]

    def test_one_label_may_be_given_as_text(self, make_storage: Callable[..., Storage]) -> None:
        assert make_storage(labels="gpu", add_default_labels=False).labels == ["gpu"]

    def test_default_labels_are_added_to_the_users(
        self, make_storage: Callable[..., Storage]
    ) -> None:
        storage = make_storage(labels=["zz"], add_default_labels=True)
        assert storage.labels == sorted({"zz", *storage.default_labels})

    def test_opting_out_leaves_the_users_labels(self, make_storage: Callable[..., Storage]) -> None:
        assert make_storage(add_default_labels=False).labels == []
        assert make_storage(labels=["zz"], add_default_labels=False).labels == ["zz"]

    def test_the_setting_opts_out_where_nothing_is_said(
        self, make_storage: Callable[..., Storage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FLOWHOLD_ADD_DEFAULT_LABELS", "false")
        assert make_storage(labels=["zz"]).labels == ["zz"]
        with_own = make_storage(add_default_labels=True)
        assert with_own.labels == sorted(with_own.default_labels)

    def test_an_opt_out_survives_the_round_trip(self, make_storage: Callable[..., Storage]) -> None:
        restored = round_trip(make_storage(labels=["zz"], add_default_labels=False))
        assert restored.labels == ["zz"]
        assert restored.add_default_labels is False

    def test_user_labels_and_default_labels_are_serialized_apart(
        self, make_storage: Callable[..., Storage]
    ) -> None:
        storage = make_storage(labels=["zz"], add_default_labels=True)
        document = storage.serialize()
        assert document["labels"] == ["zz"]
        assert document["default_labels"] == storage.default_labels

    def test_default_labels_stay_those_of_where_the_flow_was_stored(
        self, make_storage: Callable[..., Storage]
    ) -> None:
        document = make_storage(labels=["zz"], add_default_labels=True).serialize()
        restored = Storage.deserialize({**document, "default_labels": ["elsewhere"]})
        assert restored.default_labels == ["elsewhere"]
        assert restored.labels == ["elsewhere", "zz"]
        assert round_trip(restored).labels == ["elsewhere", "zz"]

    def test_labels_are_in_the_references(self, keep: Keep) -> None:
        storage = keep("etl", labels=["zz"])
        for reference in storage.references():
            assert reference.labels == storage.labels

    def test_the_labels_of_the_caller_stay_as_they_are(
        self, make_storage: Callable[..., Storage]
    ) -> None:
        labels = ["zz", "aa"]
        storage = make_storage(labels=labels)
        storage.labels.append("changed")
        assert labels == ["zz", "aa"]
        assert "changed" not in storage.labels
