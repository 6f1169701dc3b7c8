"""Arguments of constructors that have been called otherwise."""

from __future__ import annotations

import sys
import warnings
from typing import Any

__all__ = ["take_old"]


def take_old(arguments: dict[str, Any], old: str, new: str, value: Any, meaning: str) -> Any:
    """Take an argument out of those that a constructor was given by its old name.

    Called in ``__init__``; the warning is for the code that calls the outermost one.

    Args:
        arguments: Keyword arguments that are left.
        old: The old name.
        new: The name of today.
        value: What was given by that name.
        meaning: What there is to do, besides using the other name.

    Returns:
        What was given by the old name; None or nothing given by it: ``value``.
    """
    given = arguments.pop(old, None)
    if given is None:
        return value
    frame, level = sys._getframe(1), 2
    while frame.f_code.co_name == "__init__" and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    text = f"{old}= of Prefect is {new}= here: {meaning}"
    warnings.warn(text, DeprecationWarning, stacklevel=level)
    return given
