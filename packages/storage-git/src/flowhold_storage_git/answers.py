"""What a server answered, and what it says of itself."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowhold.web import wait_of, words_in

__all__ = ["Answer"]


@dataclass
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    """Empty where it was written to a file."""

    @property
    def kind(self) -> str:
        """The media type."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def document(self) -> Any:
        """The JSON in it, None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def said(self) -> str:
        """The server's own words on what went wrong."""
        return f"HTTP {self.status} {words_in(self.document)}".strip()

    @property
    def wait(self) -> float | None:
        """How many seconds the server asks to wait, None where it does not."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        if after := headers.get("retry-after", "").strip():
            return wait_of(after)
        for prefix in ("x-ratelimit-", "ratelimit-"):
            reset = headers.get(f"{prefix}reset", "")
            if headers.get(f"{prefix}remaining") == "0" and re.fullmatch(r"\d{1,12}", reset):
                return max(0.0, int(reset) - time.time())
        # GitHub's limit for bursts may be told of in words only; it asks to wait a minute then.
        return 60.0 if "secondary rate limit" in self.said.lower() else None
