"""Results over the store: values of tasks written, checked and read."""

from __future__ import annotations

from collections.abc import Container

import pytest

from flowhold import Capability, ObjectStore, Result
from flowhold.errors import IntegrityError, ObjectNotFoundError, UnverifiedError
from flowhold.testing.powers import needs
from flowhold.testing.stores.suite import StoreSuite, content

__all__ = ["ResultTests"]

VALUE = {"rows": [1, 2.5, None, "größe"], "ok": True}


def result_in(store: ObjectStore, location: str = "value", serializer: str = "pickle") -> Result:
    """Return a result that writes to this very store."""
    result = Result("results", location, serializer)
    result._store = store
    return result


class ResultTests(StoreSuite):
    """Results over the store."""

    @pytest.mark.parametrize("serializer", ["pickle", "json", "pickle+zstd", "json+gzip"])
    def test_a_value_comes_back(self, store: ObjectStore, serializer: str) -> None:
        result = result_in(store, location="{flow}/{task}", serializer=serializer)
        written = result.write(VALUE, flow="etl", task="extract")
        assert written.location == "etl/extract"
        assert written.read().value == VALUE

    def test_a_large_value_comes_back(self, store: ObjectStore) -> None:
        value = content(6 << 20)
        written = result_in(store, location="large").write(value)
        assert written.read().value == value

    def test_a_value_is_found_only_where_it_was_written(self, store: ObjectStore) -> None:
        result = result_in(store, location="{task}")
        assert not result.exists(task="extract")
        result.write(1, task="extract")
        assert result.exists(task="extract")
        assert not result.exists(task="load")
        with pytest.raises(ObjectNotFoundError):
            result.read("load", allow_unverified=True)

    def test_a_changed_value_is_not_read(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        written = result_in(store).write(VALUE)
        with needs(powers, Capability.OVERWRITE):
            store.put("value", store.get("value") + b"x")
            with pytest.raises(IntegrityError):
                written.read()

    def test_a_pickled_value_of_unknown_origin_is_not_read(self, store: ObjectStore) -> None:
        result_in(store).write(VALUE)
        with pytest.raises(UnverifiedError):
            result_in(store).read()

    def test_a_value_is_replaced_by_a_later_run(
        self, store: ObjectStore, powers: Container[Capability]
    ) -> None:
        result = result_in(store)
        result.write("first")
        with needs(powers, Capability.OVERWRITE):
            assert result.write("second").read().value == "second"

    def test_names_of_flows_and_tasks_stay_in_their_place(self, store: ObjectStore) -> None:
        result = result_in(store, location="{flow}/{task}")
        for flow, task in [("../a", ".."), ("a/b", "c d"), ("流れ", "100%"), ("a", "b/c")]:
            written = result.write(f"{flow} {task}", flow=flow, task=task)
            assert written.location.count("/") == 1
            assert written.read().value == f"{flow} {task}"
