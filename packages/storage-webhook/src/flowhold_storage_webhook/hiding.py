"""Leaving the values of variables and secrets out of what a server says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

from flowhold.web import basic

__all__ = ["left_out_of"]

_SHORTEST = 4
_BETWEEN = re.compile(r"[\s/?&=@:#,;]+")


def left_out_of(text: str, values: Iterable[str], auth: Any = None) -> str:
    """Return a text without values, as they are or as URLs, JSON and HTTP have them.

    Args:
        text: What a server says.
        values: What was filled in.
        auth: The pair of bytes that was logged in with, if one was.
    """
    hidden = {form for value in values for form in _forms(value)}
    if isinstance(auth, tuple):
        user, password = (part.decode(errors="replace") for part in auth)
        hidden |= {*_forms(basic(user, password)), *_forms(password)}
    # The longest first, so that nothing of them is left.
    for form in sorted(hidden, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def _forms(value: str) -> set[str]:
    # A value can be a whole URL, of which a message names the host, or a word with the token.
    parts = {part for part in _BETWEEN.split(value) if len(part) >= _SHORTEST}
    found = {value, value.strip(), value.strip().rstrip("="), *parts}
    for each in list(found):
        found |= {quote(each, safe="", errors="replace"), quote_plus(each, errors="replace")}
        found |= {json.dumps(each)[1:-1], quote(each, errors="replace"), repr(each)[1:-1]}
    return found - {""}
