"""Results in a bucket of Google Cloud Storage."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flowhold.clients import check_options
from flowhold.errors import ConfigurationError
from flowhold.results import DEFAULT_LOCATION, Result
from flowhold.serializers import Serializer

__all__ = ["GCSResult"]


class GCSResult(Result):
    """A result in a bucket.

    Args:
        bucket: Its name.
        prefix: Folder in the bucket.
        location: As of :class:`~flowhold.Result`.
        serializer: As of :class:`~flowhold.Result`.
        **options: Further arguments of :class:`~flowhold_storage_gcs.GCSStore`.

    Raises:
        ConfigurationError: There is no bucket.
    """

    def __init__(
        self,
        bucket: str | None = None,
        *,
        prefix: str = "",
        location: str = DEFAULT_LOCATION,
        serializer: str | Serializer = "pickle",
        **options: Any,
    ) -> None:
        if not bucket:
            raise ConfigurationError(
                "a GCSResult needs a bucket", hint="write GCSResult('my-bucket')"
            )
        check_options("client_options", options.get("client_options"))
        super().__init__(
            f"gs://{bucket}/{quote(prefix)}".rstrip("/"),
            location,
            serializer,
            {name: value for name, value in options.items() if value is not None},
        )
