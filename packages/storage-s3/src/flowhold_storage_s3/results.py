"""Results in a bucket of S3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flowhold.results import DEFAULT_LOCATION, Result
from flowhold.serializers import Serializer
from flowhold_storage_s3.client import CREDENTIALS, check_upload_options, split_options

__all__ = ["S3Result"]


class S3Result(Result):
    """A result in a bucket.

    Args:
        bucket: Its name.
        client_options: As of :class:`~flowhold_storage_s3.S3Store`; credentials in them are used,
            but never written down.
        upload_options: Arguments of every upload.
        prefix: Folder in the bucket.
        location: As of :class:`~flowhold.Result`.
        serializer: As of :class:`~flowhold.Result`.
        boto3_kwargs: The name that Prefect had for `client_options`.
        **options: Further arguments of :class:`~flowhold_storage_s3.S3Store`, or credentials by the
            names that boto3 has for them.
    """

    def __init__(
        self,
        bucket: str,
        client_options: Mapping[str, Any] | None = None,
        upload_options: Mapping[str, Any] | None = None,
        *,
        prefix: str = "",
        location: str = DEFAULT_LOCATION,
        serializer: str | Serializer = "pickle",
        boto3_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        keys = {name: options.pop(name) for name in CREDENTIALS if name in options}
        rest, given = split_options(client_options or boto3_kwargs)
        options["client_options"] = {**rest, **given, **keys} or None
        options["upload_options"] = check_upload_options(upload_options) or None
        super().__init__(
            f"s3://{bucket}/{quote(prefix)}".rstrip("/"),
            location,
            serializer,
            {name: value for name, value in options.items() if value is not None},
        )

    def safe_options(self) -> dict[str, Any]:
        """Return the options without credentials."""
        given = self.options.get("client_options") or {}
        safe = {name: value for name, value in given.items() if name not in CREDENTIALS}
        return {**self.options, **({"client_options": safe} if given else {})}
