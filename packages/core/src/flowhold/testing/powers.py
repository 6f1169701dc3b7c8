"""What is declared must work, what is not must be refused: one block says both."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager

import pytest

from flowhold import Capability, FlowholdError

__all__ = ["needs"]


@contextmanager
def needs(
    declared: Container[Capability],
    *powers: Capability,
    refusals: tuple[type[Exception], ...] = (FlowholdError,),
) -> Iterator[None]:
    """Run a block that works where all ``powers`` are declared, and is refused where one is not.

    The block begins with what is to be refused; the refusal ends it, not the test.

    Args:
        declared: What the storage or object store declares.
        powers: What the block needs.
        refusals: Errors that are a proper refusal.
    """
    missing = ", ".join(power.name for power in powers if power not in declared)
    if not missing:
        yield
        return
    try:
        yield
    except refusals:
        return
    except AssertionError as error:
        pytest.fail(f"{missing} is not declared, so this must be refused, and was not: {error}")
    except Exception as error:  # noqa: BLE001
        pytest.fail(
            f"{missing} is not declared, so this must be refused with an error of flowhold.errors; "
            f"it was a {type(error).__name__}: {error}"
        )
    pytest.fail(f"{missing} is not declared, yet it works: declare it in `capabilities`")
