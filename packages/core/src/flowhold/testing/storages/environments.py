"""The environment a flow was stored in: recorded, and told where it differs."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Container
from typing import Any

import pytest

from flowhold import Capability, Flow, FlowholdError, Storage
from flowhold.testing.powers import needs
from flowhold.testing.storages.suite import (
    Keep,
    StorageSuite,
    claimed,
    keeps_bytes,
    make_flow,
    script,
)

__all__ = ["EnvironmentTests"]

OTHER = {"python": "2.7.18", "packages": {"no-such-package": "1.2.3"}}


class _Breaks:
    def __reduce__(self) -> Any:
        return _break, ()


def _break() -> None:
    raise RuntimeError("broken on purpose")


class EnvironmentTests(StorageSuite):
    """The environment."""

    def stored_elsewhere(
        self,
        monkeypatch: pytest.MonkeyPatch,
        keep: Keep,
        flow: Flow,
        powers: Container[Capability],
        before: str = "",
    ) -> Storage:
        """Return a storage with a flow as if another Python, with other packages, had stored it."""
        storage = keep.make_storage()
        if Capability.STORE not in powers:
            keep.place(script(flow.name, before=before))
        with monkeypatch.context() as patch:
            patch.setattr("flowhold.environment.record", lambda modules=(): OTHER)
            storage.add_flow(flow)
            storage.build()
        restored = claimed(storage, flow.name, environment=OTHER)
        if Capability.SERIALIZES_FLOWS not in powers:
            restored.get_flow(flow.name)
        return restored

    def test_python_and_packages_are_recorded(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        for reference in keep("etl").references():
            if keeps_bytes(powers):
                assert reference.environment["python"] == platform.python_version()
                assert "flowhold" in reference.environment["packages"]

    def test_the_same_environment_gives_no_warning(self, keep: Keep) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert keep("etl").get_flow("etl").run().state == "success"

    def test_another_environment_is_a_warning_that_says_what_differs(
        self, keep: Keep, powers: Container[Capability], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with needs(powers, Capability.SERIALIZES_FLOWS):
            storage = self.stored_elsewhere(monkeypatch, keep, make_flow("etl"), powers)
            with pytest.warns(UserWarning, match="2.7.18") as caught:
                assert storage.get_flow("etl").run().result == ["etl", "ran", 1]
            text = " ".join(str(warning.message) for warning in caught)
            for part in (platform.python_version(), "no-such-package", "not installed"):
                assert part in text, f"the warning must name {part}"

    def test_where_loading_fails_the_error_says_what_differs(
        self, keep: Keep, powers: Container[Capability], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with needs(powers, Capability.SERIALIZES_FLOWS):
            flow = make_flow("etl", _Breaks())
            before = "raise RuntimeError('broken on purpose')"
            storage = self.stored_elsewhere(monkeypatch, keep, flow, powers, before)
            with pytest.raises(FlowholdError) as caught:
                storage.get_flow("etl")
            text = f"{caught.value} {caught.value.hint}"
            for part in ("broken on purpose", "2.7.18", "no-such-package"):
                assert part in text, f"the error must name {part}"

    def test_an_environment_that_was_not_recorded_is_no_error(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.SERIALIZES_FLOWS):
            storage = claimed(keep("etl"), "etl", environment={})
            assert storage.get_flow("etl").run().result == ["etl", "ran", 1]
