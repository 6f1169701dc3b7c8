"""What changes with environment variables, told fast enough to be asked at each call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

__all__ = ["beginning_with", "is_any_named", "named"]


def named(names: tuple[str, ...]) -> tuple[Any, ...]:
    """Return what changes with the values of these variables."""
    held, keys = _held(names)
    return tuple(map(held.get, keys))


def beginning_with(prefixes: tuple[str, ...]) -> tuple[tuple[Any, Any], ...]:
    """Return what changes with the variables whose names begin with one of these."""
    held, beginnings = _held(prefixes)
    # Of a copy, as other threads may set one meanwhile.
    names = sorted([name for name in [*held] if name.startswith(beginnings)])
    return tuple([(name, held.get(name)) for name in names])


def is_any_named(ending: str, besides: str) -> bool:
    """Whether there is a variable whose name ends so, in upper or lower case, besides that one."""
    # No name has this sign, so that one look at all of them together tells.
    held, (signs, end, other) = _held(("==", f"{ending}=", f"={besides}="))
    names = signs.join([signs[:0], *held, signs[:0]]).lower()
    # Windows has them in upper case.
    return bool(names.count(end.lower()) > names.count(other.lower()))


def _held(names: tuple[str, ...]) -> tuple[Mapping[Any, Any], tuple[Any, ...]]:
    # os.environ converts each name and value, which takes thirty times as long as to look it up.
    raw = getattr(os.environ, "_data", None)
    return (os.environ, names) if raw is None else (raw, _encoded(names))


@lru_cache(maxsize=64)
def _encoded(names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(map(os.environ.encodekey, names))
