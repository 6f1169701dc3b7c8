"""Trying again what can go well the next time."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

from flowhold.errors import FlowholdError, StorageUnavailableError
from flowhold_storage_git.address import Address
from flowhold_storage_git.failures import asked_wait, bare, ours

__all__ = ["tried"]

_T = TypeVar("_T")
_LONGEST_WAIT = 60.0
_OWN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
"""What is wrong with this machine's files, and not on the way."""


def tried(
    once: Callable[[], _T],
    address: Address,
    retries: int,
    *,
    said: Callable[[], str] = str,
    between: Callable[[], None] = lambda: None,
) -> _T:
    """Return what a function returns, called again where that can help.

    Args:
        once: Asks the repository; may raise what the libraries raise.
        address: Of the repository.
        retries: How often it is called again.
        said: Returns what ssh wrote for people.
        between: Called after each failure.

    Raises:
        FlowholdError: It failed to the last, or in a way that will stay.
    """
    for attempt in range(retries + 1):
        wait = 0.25 * 2**attempt
        try:
            return once()
        except FlowholdError as error:
            problem = bare(error)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _OWN:
                raise
            wait = max(wait, asked_wait(error))
            problem = ours(error, address, said())
        between()
        if not isinstance(problem, StorageUnavailableError) or attempt == retries:
            break
        if wait > _LONGEST_WAIT:
            problem.hint = f"it asks for {wait:.0f} seconds of patience: try again then"
            break
        time.sleep(wait)
    raise problem
