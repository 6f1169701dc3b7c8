"""Credentials and contents are seen nowhere: not in repr, errors, pickles of errors or logs."""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence
from contextlib import suppress

import pytest

from flowhold import Capability, FlowholdError, ObjectStore
from flowhold.testing.stores.suite import StoreSuite

__all__ = ["SecrecyTests"]

CONTENT = "content-a8f1c3"


class SecrecyTests(StoreSuite):
    """What is secret is seen nowhere; give credentials by the fixture ``secret_values``."""

    def test_repr_shows_no_secret(self, store: ObjectStore, secret_values: Sequence[str]) -> None:
        store.put("object", CONTENT.encode())
        for shown in (repr(store), str(store), f"{store}"):
            assert "\n" not in shown, "a repr is one line"
            for secret in (CONTENT, *secret_values):
                assert secret not in shown, f"repr() shows the secret {secret!r}"

    def test_errors_show_no_secret(
        self,
        store: ObjectStore,
        powers: Container[Capability],
        secret_values: Sequence[str],
    ) -> None:
        errors: list[FlowholdError] = []
        store.put("object", CONTENT.encode())
        for call in (
            lambda: store.get("missing"),
            lambda: store.head("missing"),
            lambda: store.put("object", f"{CONTENT}-2".encode(), if_absent=True),
            lambda: store.put("../object", CONTENT.encode()),
            lambda: type(store).from_url("://", {"no_such_option": "x"}),
        ):
            try:
                call()
            except FlowholdError as error:
                errors.append(error)
        assert len(errors) >= 2, "missing objects must be errors of flowhold.errors"
        for each in errors:
            # Not pickle.dumps: libraries such as Dask make that include the cause, request and all.
            texts = [str(each), repr(each), str(each.hint), repr(each.__reduce__())]
            cause = each.__cause__ or each.__context__
            texts += [str(cause), repr(cause)]
            for secret in (CONTENT, *secret_values):
                shown = next((text for text in texts if secret in text), None)
                assert shown is None, f"{type(each).__name__} shows {secret!r}: {shown}"

    def test_logs_show_no_secret(
        self,
        store: ObjectStore,
        powers: Container[Capability],
        secret_values: Sequence[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        store.put("object", b"x")
        store.get("object")
        for call in (lambda: store.get("missing"), lambda: [*store.list()]):
            with suppress(FlowholdError):
                call()
        for record in caplog.records:
            text = f"{record.getMessage()} {record.args!r}"
            for secret in secret_values:
                assert secret not in text, f"the logger {record.name} shows {secret!r}"
