"""For stores with credentials: a refusal is an AccessDeniedError, no miss and no success."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowhold import ObjectStore
from flowhold.errors import AccessDeniedError
from flowhold.testing.stores.suite import StoreSuite, same

__all__ = ["RefusedAccessTests"]

CALLS: dict[str, Callable[[ObjectStore], Any]] = {
    "get": lambda store: store.get("object"),
    "get of what is not there": lambda store: store.get("missing"),
    "open": lambda store: store.open("object").read(),
    "head": lambda store: store.head("object"),
    "put": lambda store: store.put("object", b"new"),
    "create": lambda store: store.put("missing", b"new", if_absent=True),
    "list": lambda store: [*store.list()],
    "delete": lambda store: store.delete("object"),
}


class RefusedAccessTests(StoreSuite):
    """Tests of refused credentials; a subclass also has the fixture ``denied``.

    ``denied`` is a store of the same place whose credentials the backend refuses.
    """

    @pytest.mark.parametrize("call", CALLS)
    def test_refused_credentials_are_access_denied(
        self, store: ObjectStore, denied: ObjectStore, call: str
    ) -> None:
        store.put("object", b"old")
        with pytest.raises(AccessDeniedError) as caught:
            CALLS[call](denied)
        assert isinstance(caught.value, PermissionError)
        same(store.get("object"), b"old", "the object after calls that were refused")
        with pytest.raises(FileNotFoundError):
            store.head("missing")
