"""Leaving the values of variables and secrets out of what a server says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from flowhold.redaction import SHORTEST, forms_of, hide
from flowhold.web import basic

__all__ = ["left_out_of"]

_BETWEEN = re.compile(r"[\s/?&=@:#,;]+")


def left_out_of(text: str, values: Iterable[str], auth: Any = None) -> str:
    """Return a text without values, as they are or as URLs, JSON and HTTP have them.

    Args:
        text: What a server says. More is left out of it than of other texts: what is filled in can
            be a variable of the environment, and short.
        values: What was filled in.
        auth: The pair of bytes that was logged in with, if one was.
    """
    hidden = {form for value in values for form in _forms(value)}
    if isinstance(auth, tuple):
        user, password = (part.decode(errors="replace") for part in auth)
        hidden |= {*_forms(basic(user, password)), *_forms(password)}
    return hide(text, hidden)


def _forms(value: str) -> set[str]:
    # A value can be a whole URL, of which a message names the host, or a word with the token.
    parts = {part for part in _BETWEEN.split(value) if len(part) >= SHORTEST}
    whole = {value, value.strip(), value.strip().rstrip("=")}
    return {form for each in whole | parts for form in forms_of(each)}
