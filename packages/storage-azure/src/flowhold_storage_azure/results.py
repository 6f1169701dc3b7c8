"""Results in a container of Azure Blob Storage."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flowhold.clients import check_options
from flowhold.results import DEFAULT_LOCATION, Result
from flowhold.serializers import Serializer
from flowhold_storage_azure.client import check_account_url

__all__ = ["CREDENTIALS", "AzureResult"]

CREDENTIALS = ("connection_string", "credential")


class AzureResult(Result):
    """A result in a container.

    Args:
        container: Its name.
        connection_string: Used, but never written down.
        connection_string_secret: Name of a secret that is a connection string.
        account_url: As of :class:`~flowhold_storage_azure.AzureStore`.
        credential: Used, but never written down.
        prefix: Folder in the container.
        location: As of :class:`~flowhold.Result`.
        serializer: As of :class:`~flowhold.Result`.
        **options: Further arguments of :class:`~flowhold_storage_azure.AzureStore`.
    """

    def __init__(
        self,
        container: str,
        connection_string: str | None = None,
        connection_string_secret: str | None = None,
        *,
        account_url: str | None = None,
        credential: Any = None,
        prefix: str = "",
        location: str = DEFAULT_LOCATION,
        serializer: str | Serializer = "pickle",
        **options: Any,
    ) -> None:
        options["connection_string"] = connection_string
        options["connection_string_secret"] = connection_string_secret
        options["account_url"] = check_account_url(account_url)
        options["credential"] = credential
        check_options("client_options", options.get("client_options"))
        super().__init__(
            f"az://{container}/{quote(prefix)}".rstrip("/"),
            location,
            serializer,
            {name: value for name, value in options.items() if value is not None},
        )

    def safe_options(self) -> dict[str, Any]:
        """Return the options without credentials."""
        return {name: value for name, value in self.options.items() if name not in CREDENTIALS}
