"""Flows that are run where they are stored, and images that are pinned by their digest."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import pytest

import flowhold
from flowhold import Capability, FlowholdError, Reference
from flowhold.errors import FlowNotFoundError
from flowhold.testing.storages.suite import Keep, StorageSuite, claimed, make_flow

__all__ = ["RunnersTests"]

DIGEST = f"sha256:{'0' * 64}"


class RunnersTests(StorageSuite):
    """``get_env_runner``, and references of kind ``image``."""

    def test_a_flow_is_run_where_it_is_stored(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        runner = keep("etl").get_env_runner("etl")
        if Capability.ENV_RUNNER not in powers:
            assert runner is None, "declare ENV_RUNNER in `capabilities`"
            return
        assert runner is not None
        run = runner.run(env={"KIT_VARIABLE": "1"}, parameters={"x": [2, "two"]})
        assert (run.flow, run.state, run.error) == ("etl", "success", None)
        assert run.result == ["etl", "ran", [2, "two"]]

    def test_variables_and_failures_of_a_run_elsewhere_are_told(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        if Capability.ENV_RUNNER not in powers or Capability.PICKLE not in powers:
            assert keep("etl").get_env_runner("etl") is None or Capability.ENV_RUNNER in powers
            return

        def etl() -> None:
            import os

            raise ValueError(os.environ["KIT_VARIABLE"])

        storage = keep.make_storage()
        storage.add_flow(flowhold.flow(etl))
        runner = storage.build().get_env_runner("etl")
        assert runner is not None
        run = runner.run(env={"KIT_VARIABLE": "größe of 1"})
        assert run.state == "failed"
        assert run.tasks["etl"].state == "failed"
        assert "größe of 1" in str(run.error)

    def test_nothing_runs_a_flow_that_is_not_there(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        storage = keep("etl")
        if Capability.ENV_RUNNER in powers:
            with pytest.raises(FlowNotFoundError):
                storage.get_env_runner("other")
        else:
            assert storage.get_env_runner("other") is None

    def test_an_image_is_pinned_by_its_digest(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        storage = keep("etl")
        if Capability.IMAGE not in powers:
            with pytest.raises(FlowholdError):
                claimed(storage, "etl", kind="image", revision=DIGEST).get_flow("etl")
            return
        (reference,) = storage.references()
        assert (reference.kind, reference.pinned) == ("image", True)
        assert str(reference.revision).startswith("sha256:")
        other = Reference.from_dict({**reference.to_dict(), "revision": DIGEST})
        with pytest.raises(FlowholdError):
            other.open_storage().get_env_runner("etl")

    def test_a_registered_image_is_of_the_flow_as_it_was(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        if Capability.IMAGE in powers:
            first = keep("etl", value="first").references()
            keep("etl", value="second")
            runner: Any = first[0].open_storage().get_env_runner("etl")
            assert runner.run().result == ["etl", "first", 1]
        else:
            keep("etl", value="first")
            assert keep.make_storage().get_env_runner(make_flow("etl").name) is None
