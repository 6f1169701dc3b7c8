"""Flows in a container of Azure Blob Storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from flowhold.clients import check_options
from flowhold.errors import ConfigurationError
from flowhold.storage.objects import ObjectStorage
from flowhold_storage_azure.client import check_account_url
from flowhold_storage_azure.results import CREDENTIALS, AzureResult
from flowhold_storage_azure.store import AzureStore

if TYPE_CHECKING:
    from flowhold.results import Result

__all__ = ["Azure"]


class Azure(ObjectStorage):
    """Keeps flows in a container of Azure Blob Storage.

    The account and the credentials come from the first that is given of: `connection_string`, the
    secret that `connection_string_secret` names, the variable AZURE_STORAGE_CONNECTION_STRING,
    `account_url`. They are looked for when first used, and none of them is serialized.

    Args:
        container: Its name.
        connection_string_secret: Name of a secret that is a connection string.
        blob_name: Name of the blob, or a template of it, as `key` of
            :class:`~flowhold.storage.objects.ObjectStorage`.
        overwrite: Replace a blob of that name.
        stored_as_script: Keep scripts instead of pickles.
        local_script_path: The script to upload; default: the one being registered.
        connection_string: Used, but never serialized.
        account_url: As ``https://ACCOUNT.blob.core.windows.net``, without credentials.
        credential: For `account_url`, or a connection string without a key: a credential of
            azure-identity, a SAS token or a key. Used, but never serialized; None is the default
            credential of azure-identity.
        client_options: Arguments of ``BlobServiceClient``, for example ``connection_verify``.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again where that can help.
        key: Another name for `blob_name`.
        **options: See :class:`~flowhold.storage.objects.ObjectStorage`.

    Raises:
        ConfigurationError: ``blob_name`` and ``key`` are both given, or ``account_url`` holds a SAS
            token.
    """

    not_serialized: ClassVar[frozenset[str]] = ObjectStorage.not_serialized | {*CREDENTIALS, "key"}
    shown: ClassVar[tuple[str, ...]] = ("container", "blob_name")

    def __init__(
        self,
        container: str,
        connection_string_secret: str | None = None,
        blob_name: str | None = None,
        overwrite: bool = False,
        stored_as_script: bool = False,
        local_script_path: str | None = None,
        *,
        connection_string: str | None = None,
        account_url: str | None = None,
        credential: Any = None,
        client_options: Mapping[str, Any] | None = None,
        timeout: float = 30,
        retries: int = 3,
        key: str | None = None,
        **options: Any,
    ) -> None:
        if blob_name is not None and key is not None:
            raise ConfigurationError("blob_name= and key= are the same; give one", storage="Azure")
        super().__init__(
            key=key if blob_name is None else blob_name,
            overwrite=overwrite,
            stored_as_script=stored_as_script,
            local_script_path=local_script_path,
            **options,
        )
        self.container = container
        self.connection_string_secret = connection_string_secret
        if connection_string_secret and not connection_string:
            # So that it is looked for, and missed, with the others.
            self.secrets = list(dict.fromkeys([*self.secrets, connection_string_secret]))
        self.connection_string = connection_string
        self.account_url = check_account_url(account_url)
        self.credential = credential
        self.client_options = check_options("client_options", client_options) or None
        self.timeout = timeout
        self.retries = retries

    @property
    def blob_name(self) -> str | None:
        """Name of the blob, or a template of it."""
        return self.key

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "key": self.key}

    def open_store(self) -> AzureStore:
        """Return the store of the container."""
        return AzureStore(self.container, **self._of_store())

    def _default_result(self) -> Result:
        return AzureResult(self.container, prefix="results", **self._of_store())

    def _of_store(self) -> dict[str, Any]:
        return {
            "connection_string": self.connection_string,
            "connection_string_secret": self.connection_string_secret,
            "account_url": self.account_url,
            "credential": self.credential,
            "client_options": self.client_options,
            "timeout": self.timeout,
            "retries": self.retries,
        }
