"""Times in the answers of services."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.utils import parse_timestamp

__all__ = ["time_of"]


def time_of(value: Any) -> datetime:
    """Return the time that botocore reads in a value of an answer.

    It does so by trying many formats, each time: once for each object that is loaded or listed.

    Args:
        value: Text in ISO 8601, as of a header, or seconds since 1970.

    Raises:
        ValueError: It is no time.
    """
    with suppress(ValueError):
        if isinstance(value, str) and value.endswith("Z"):
            return datetime.fromisoformat(f"{value[:-1]}+00:00")
        if isinstance(value, str) and value.endswith(" GMT"):
            return parsedate_to_datetime(value)
    found: datetime = parse_timestamp(value)
    return found
