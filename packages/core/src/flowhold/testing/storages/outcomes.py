"""Results of storages: the storage's own by default, the user's instead, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flowhold import LocalResult, Result, Storage
from flowhold.testing.storages.suite import Keep, StorageSuite, round_trip

__all__ = ["OutcomeTests"]


class OutcomeTests(StorageSuite):
    """Results."""

    def test_the_default_result_is_a_result_or_none(
        self, make_storage: Callable[..., Storage]
    ) -> None:
        result = make_storage().result
        assert result is None or isinstance(result, Result)
        assert make_storage(result=True).result == result

    def test_a_default_result_writes_and_reads(self, make_storage: Callable[..., Storage]) -> None:
        result = make_storage().result
        if result is not None:
            written = result.write({"rows": 3}, flow="etl", task="extract", run_id="1")
            assert written.read().value == {"rows": 3}
            again = Result.deserialize(written.serialize())
            assert again.read().value == {"rows": 3}, "another process must be able to read it"

    def test_results_do_not_disturb_flows(self, keep: Keep) -> None:
        storage = keep("etl")
        if storage.result is not None:
            storage.result.write(1, flow="etl", task="extract", run_id="1")
        assert all(check["ok"] for check in storage.verify())
        assert storage.get_flow("etl").run().state == "success"

    def test_the_default_result_survives_the_round_trip(
        self, make_storage: Callable[..., Storage]
    ) -> None:
        storage = make_storage()
        assert round_trip(storage).result == storage.result

    def test_results_can_be_switched_off(self, keep: Keep) -> None:
        storage = keep("etl", result=False)
        assert storage.result is None
        assert storage.get_flow("etl").result is None
        assert round_trip(storage).result is None

    def test_a_result_of_the_user_replaces_the_default(self, keep: Keep) -> None:
        own = LocalResult(Path("own").absolute(), location="{flow}-{task}", serializer="json")
        storage = keep("etl", result=own)
        assert storage.result == own
        assert round_trip(storage).result == own
        assert storage.get_flow("etl").result == own, "a loaded flow has the storage's result"

    def test_a_loaded_flow_writes_to_the_result(self, keep: Keep) -> None:
        own = LocalResult(Path("own").absolute(), location="{flow}/{task}", serializer="json")
        flow = keep("etl", result=own).get_flow("etl")
        assert flow.run(checkpoint=True).state == "success"
        written = [path for path in Path("own").rglob("*") if path.is_file()]
        assert len(written) == 1, "the value of the flow's task was not written"

    def test_a_flow_that_has_the_result_of_a_storage_is_a_copy(self, keep: Keep) -> None:
        own = LocalResult(Path("own").absolute())
        storage = keep("etl", result=own)
        storage.get_flow("etl")
        other = keep.make_storage(result=False)
        assert other.result is None
        assert storage.get_flow("etl").result == own
