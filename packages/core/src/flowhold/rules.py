"""Which error of ours stands for which of an SDK's, by its codes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowholdError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.redaction import mask

__all__ = ["COMMON", "PYTHON", "Rule", "Rules", "ours"]


class Rule(NamedTuple):
    """Which error of ours stands for one of an SDK's."""

    error: type[FlowholdError]
    message: str
    """With ``{place}``, the URL of the object, and ``{reason}``, the SDK's own words."""
    hint: str | None = None


Rules = Mapping[int | str, Rule]

_UNAVAILABLE = Rule(
    StorageUnavailableError, "{place} did not answer as it should: {reason}", "try again later"
)
COMMON: Rules = {
    401: Rule(AccessDeniedError, "the credentials for {place} were refused: {reason}"),
    403: Rule(AccessDeniedError, "no permission for {place}: {reason}"),
    404: Rule(ObjectNotFoundError, "there is no object {place}"),
    412: Rule(ObjectExistsError, "{place} exists already"),
    **dict.fromkeys((408, 429, 500, 502, 503, 504), _UNAVAILABLE),
    "file": Rule(
        ConfigurationError,
        "a file that is needed for {place} cannot be read: {reason}",
        "check the files of credentials and certificates that the environment and options name",
    ),
}
"""What every service has."""

PYTHON: Rules = {
    **dict.fromkeys(("FileNotFoundError", "IsADirectoryError", "NotADirectoryError"), COMMON[404]),
    "FileExistsError": COMMON[412],
    "PermissionError": COMMON[403],
    **dict.fromkeys(
        ("ConnectionError", "TimeoutError", "gaierror", "EOFError"),
        Rule(StorageUnavailableError, "{place} cannot be reached: {reason}", "try again"),
    ),
    **dict.fromkeys(
        ("TypeError", "ValueError"),
        Rule(ConfigurationError, "{place} cannot be opened: {reason}", "check the options"),
    ),
}
"""Python's own errors by class, for what raises these."""


def ours(
    rules: Rules, codes: Iterable[int | str], reason: str, *, place: str, key: str
) -> FlowholdError:
    """Return the error to raise in place of an SDK's.

    Args:
        rules: Those of the store, which come before `COMMON`.
        codes: Codes of the SDK's error, the most telling first.
        reason: Its words; credentials in URLs are left out of them.
        place: URL of the object.
        key: Its key.
    """
    known = {**COMMON, **rules}
    unknown = Rule(StorageError, "{place}: {reason}")
    kind, message, hint = next((known[code] for code in codes if code in known), unknown)
    # Before it is cut, which could leave a part of a value.
    reason = re.sub(r"//[^/@\s]*@", "//", " ".join(mask(reason).split()))[:300]
    scheme = place.partition("://")[0]
    text = message.format(place=place, reason=reason)
    return kind(text, storage=scheme, location=key or None, hint=hint)
