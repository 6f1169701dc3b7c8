"""When a request to Azure is sent again, and how long after."""

from __future__ import annotations

import random
from typing import Any

from azure.core.exceptions import ClientAuthenticationError
from azure.storage.blob import ExponentialRetry

__all__ = ["Retry"]


class Retry(ExponentialRetry):
    """The SDK's own retries, which wait 15 seconds and more, with waits of a second or two.

    Args:
        retries: How often a request is sent again after a 408, 500, 502, 503 or 504, or a lost
            connection.
    """

    def __init__(self, retries: int) -> None:
        super().__init__(
            retry_total=retries,
            retry_connect=retries,
            retry_read=retries,
            retry_status=retries,
        )

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """Return the seconds to wait: up to 1/2, 1, 2, 4 and so on."""
        longest: float = 2.0 ** (settings["count"] - 2)
        return random.uniform(longest / 2, longest)  # noqa: S311

    def increment(
        self, settings: dict[str, Any], request: Any, response: Any = None, error: Any = None
    ) -> bool:
        """Count a failure; return whether to try again, which credentials do not get better by."""
        if isinstance(error, ClientAuthenticationError):
            return False
        again = bool(super().increment(settings, request, response, error))
        if again and response is not None:
            # Nobody reads this answer, so nobody else gives its connection back.
            response.internal_response.close()
        return again
