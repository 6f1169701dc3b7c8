"""Secrets are looked up when a flow is loaded, and their values are seen nowhere."""

from __future__ import annotations

import json
import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import cloudpickle
import pytest

import flowhold
from flowhold import FlowholdError, Storage, redaction
from flowhold.errors import SecretNotFoundError
from flowhold.storage import ObjectStorage
from flowhold.testing.storages.suite import Keep, StorageSuite, round_trip, values_of

__all__ = ["SecrecyTests"]

NAME = "KIT_SECRET"
VALUE = "canary-5e1f0c"


class SecrecyTests(StorageSuite):
    """Secrets; give the credentials of the storage itself by the fixture ``secret_values``."""

    @pytest.fixture
    def canaries(
        self, monkeypatch: pytest.MonkeyPatch, secret_values: Sequence[str]
    ) -> Sequence[str]:
        """Provide a secret, and return the values that must be seen nowhere."""
        # The storage has to be discreet by itself: the core masks only what it knows as a secret.
        redaction.forget()
        monkeypatch.setattr("flowhold._secrets.remember", lambda value: None)
        monkeypatch.setenv(f"FLOWHOLD_SECRET_{NAME}", VALUE)
        return (VALUE, *secret_values)

    @pytest.fixture
    def secretive(self, keep: Keep, canaries: Sequence[str]) -> Storage:
        """Return a storage that has looked up its secret."""
        keep("etl")
        storage = keep.make_storage(secrets=[NAME])
        storage.add_flow(flowhold.Flow("etl"))
        storage.build().get_flow("etl")
        return storage

    def test_a_secret_is_kept_by_its_name_only(self, secretive: Storage) -> None:
        assert secretive.secrets == [NAME]
        assert secretive.serialize()["secrets"] == [NAME]
        assert round_trip(secretive).secrets == [NAME]

    def test_a_secret_that_is_missing_is_told_before_anything_is_loaded(self, keep: Keep) -> None:
        storage = keep("etl", secrets=["KIT_NOWHERE"])
        with pytest.raises(SecretNotFoundError, match="KIT_NOWHERE"):
            storage.get_flow("etl")

    def test_storing_needs_no_secret_of_the_tasks(self, keep: Keep) -> None:
        assert "etl" in keep("etl", secrets=["KIT_NOWHERE"])

    def test_a_secret_given_by_a_block_is_enough(self, keep: Keep) -> None:
        storage = keep("etl", secrets=["KIT_GIVEN"])
        with flowhold.secrets({"KIT_GIVEN": VALUE}):
            assert storage.get_flow("etl").name == "etl"

    def test_repr_shows_no_secret(self, secretive: Storage, canaries: Sequence[str]) -> None:
        _check(canaries, repr(secretive), str(secretive), repr([secretive]))

    def test_the_document_holds_no_secret(
        self, secretive: Storage, canaries: Sequence[str]
    ) -> None:
        _check(
            canaries,
            json.dumps(secretive.serialize()),
            json.dumps(round_trip(secretive).serialize()),
        )

    def test_references_hold_no_secret(self, secretive: Storage, canaries: Sequence[str]) -> None:
        for reference in secretive.references():
            _check(canaries, reference.to_json(), repr(reference))

    def test_pickles_hold_no_secret(self, secretive: Storage, canaries: Sequence[str]) -> None:
        _check(
            canaries,
            repr(pickle.dumps(secretive)),
            repr(cloudpickle.dumps(secretive.get_flow("etl"))),
        )

    def test_results_hold_no_secret(self, secretive: Storage, canaries: Sequence[str]) -> None:
        if (result := secretive.result) is not None:
            _check(canaries, repr(result), json.dumps(result.serialize()))
            _check(canaries, repr(pickle.dumps(result)))

    def test_what_is_stored_holds_no_secret(
        self, secretive: Storage, canaries: Sequence[str]
    ) -> None:
        texts = [f"{check}" for check in secretive.verify()]
        if isinstance(secretive, ObjectStorage):
            store, key = secretive._at(secretive.flows["etl"])
            texts.append(repr(store.get(key)))
        _check(canaries, *texts, repr(secretive.flows))

    def test_no_file_of_flowhold_holds_a_secret(
        self, secretive: Storage, canaries: Sequence[str]
    ) -> None:
        secretive.get_flow("etl")
        for folder in ("CACHE", "DATA", "CONFIG"):
            _check(canaries, repr(values_of(os.environ, folder)))

    def test_logs_show_no_secret(
        self, keep: Keep, canaries: Sequence[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        storage = keep("etl", secrets=[NAME])
        storage.get_flow("etl").run()
        storage.verify()
        with suppress(FlowholdError):
            storage.get_flow("missing")
        for record in caplog.records:
            _check(canaries, f"{record.name} {record.getMessage()} {record.args!r}")

    def test_errors_show_no_secret(self, secretive: Storage, canaries: Sequence[str]) -> None:
        calls: list[Callable[[], Any]] = [
            lambda: secretive.get_flow("missing"),
            lambda: secretive.get_flow("missing", allow_unverified=True),
            lambda: secretive.add_flow(flowhold.Flow("etl")),
            lambda: Storage.deserialize({**secretive.serialize(), "labels": [5]}),
        ]
        errors = [error for call in calls if (error := _error_of(call)) is not None]
        assert errors, "a missing flow must be an error"
        for error in errors:
            for each in _chain(error):
                _check(canaries, str(each), repr(each), str(getattr(each, "hint", "")))


def _error_of(call: Callable[[], Any]) -> FlowholdError | None:
    try:
        call()
    except FlowholdError as error:
        return error
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _check(secrets: Sequence[str], *texts: str) -> None:
    __tracebackhide__ = True
    for secret in secrets:
        for text in texts:
            if secret in text:
                where = max(0, text.index(secret) - 40)
                pytest.fail(f"the secret {secret!r} is shown: …{text[where : where + 120]}")
