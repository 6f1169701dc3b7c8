"""Times in the answers of services."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.utils import parse_timestamp

__all__ = ["time_of"]

_IN_LISTS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)
_IN_HEADERS = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", re.ASCII
)


def time_of(value: Any) -> datetime:
    """Return the time that botocore reads in a value of an answer.

    It does so by trying many formats, for each object that is loaded or listed. What S3 writes is
    read at once.

    Args:
        value: Text, or seconds since 1970.

    Raises:
        ValueError: It is no time.
    """
    if isinstance(value, str):
        with suppress(ValueError):
            if _IN_LISTS.fullmatch(value):
                return datetime.fromisoformat(f"{value[:-1]}+00:00")
            if _IN_HEADERS.fullmatch(value):
                return parsedate_to_datetime(value)
    found: datetime = parse_timestamp(value)
    return found
