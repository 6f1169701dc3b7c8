"""What all kit classes share: their marks, and the rule that replacing a test needs a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

__all__ = ["Suite", "replaces"]

_REASON = "_flowhold_replaces"
_Test = TypeVar("_Test", bound=Callable[..., Any])


def replaces(*, reason: str) -> Callable[[_Test], _Test]:
    """Mark a test that replaces one of the kit; the summary of the run shows the reason.

    Args:
        reason: Why the kit's own test cannot hold for this storage, in a sentence.

    Raises:
        TypeError: There is no reason.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise TypeError("replaces() needs a reason: @replaces(reason='why the test cannot hold')")

    def mark(test: _Test) -> _Test:
        setattr(test, _REASON, " ".join(reason.split()))
        return test

    return mark


@pytest.mark.conformance
@pytest.mark.usefixtures("flowhold_isolated")
class Suite:
    """Base of the kit's classes: isolated, marked, and no test of theirs replaced by accident.

    Raises:
        TypeError: A subclass replaces a test without :func:`replaces`, or marks one as replacing
            that the kit does not have.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        kit = {name for base in cls.__mro__ if _is_kit(base) for name in _tests(base)}
        seen: set[str] = set()
        for base in cls.__mro__:
            for name, test in _tests(base).items():
                if name in seen or _is_kit(base):
                    seen.add(name)
                    continue
                seen.add(name)
                reason = getattr(test, _REASON, None)
                if name in kit and reason is None:
                    raise TypeError(
                        f"{base.__qualname__}.{name} replaces a test of the conformance kit "
                        f"without saying why; put @flowhold.testing.replaces(reason='…') on it"
                    )
                if name not in kit and reason is not None:
                    raise TypeError(
                        f"{base.__qualname__}.{name} is marked as replacing a test of the "
                        f"conformance kit, which has none of that name"
                    )


def _is_kit(cls: type) -> bool:
    return cls.__module__.startswith("flowhold.testing.")


def _tests(cls: type) -> dict[str, Any]:
    return {name: value for name, value in vars(cls).items() if name.startswith("test_")}
