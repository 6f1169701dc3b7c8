"""Clients of azure-storage-blob, made once for each configuration."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from flowhold.clients import shared_client
from flowhold.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.storage.blob import BlobServiceClient, ContainerClient

__all__ = ["VARIABLE", "check_account_url", "make_client"]

VARIABLE = "AZURE_STORAGE_CONNECTION_STRING"
_CONNECTIONS = 32
_SIGNED = re.compile(
    r"(^|;)\s*(AccountKey|SharedAccessSignature|UseDevelopmentStorage)\s*=", re.IGNORECASE
)

_COMPLETE = re.compile(
    r"(^|;)\s*(AccountName|BlobEndpoint|UseDevelopmentStorage)\s*=", re.IGNORECASE
)


def make_client(
    container: str,
    options: Mapping[str, Any],
    *,
    connection_string: str | None,
    account_url: str | None,
    credential: Any,
    timeout: float,
    retries: int,
) -> ContainerClient:
    """Return the client of a container, which shares the connections of its account.

    The account is that of the first that is given of: the connection string, the variable
    AZURE_STORAGE_CONNECTION_STRING, the URL.

    Args:
        container: Its name.
        options: Arguments of ``BlobServiceClient``.
        connection_string: With a key or signature, or without for `credential`.
        account_url: As ``https://ACCOUNT.blob.core.windows.net``.
        credential: For a URL, or a connection string without a key: one of azure-identity's, a key,
            and so on. None is azure-identity's default.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again.

    Raises:
        ConfigurationError: None of them is given, or an option is wrong.
    """
    found = connection_string or os.environ.get(VARIABLE)
    if not found and not account_url:
        raise ConfigurationError(
            "nothing says which Azure account to use: connection_string, "
            f"connection_string_secret, the variable {VARIABLE} or account_url",
            hint=f"set {VARIABLE}, or give one of the others",
        )
    account = shared_client(
        _make,
        "AZURE_",
        options=dict(options),
        connection_string=found,
        account_url=None if found else account_url,
        credential=credential,
        timeout=timeout,
        retries=retries,
    )
    return shared_client(_of_account, (), account=account, container=container)


def _of_account(account: BlobServiceClient, container: str) -> ContainerClient:
    return account.get_container_client(container)


def check_account_url(url: str | None) -> str | None:
    """Return a URL that holds no credentials; it is written down with what is stored.

    Raises:
        ConfigurationError: It holds some.
    """
    if url and re.search(r"[?#@]", url):
        del url
        raise ConfigurationError(
            "account_url has more than a host and a path",
            hint="give a SAS token as credential=, or in a connection string",
        )
    return url


def _make(
    options: dict[str, Any],
    connection_string: str | None,
    account_url: str | None,
    credential: Any,
    timeout: float,
    retries: int,
) -> BlobServiceClient:
    from azure.core.exceptions import AzureError
    from azure.storage.blob import BlobServiceClient

    from flowhold_storage_azure.errors import mask
    from flowhold_storage_azure.retry import Retry

    own = {"connection_timeout": timeout, "read_timeout": timeout, "retry_policy": Retry(retries)}
    try:
        settings = {**own, **options}
        settings.setdefault("transport", _transport(settings))
        if connection_string is None:
            return BlobServiceClient(account_url or "", credential or _default(), **settings)
        if not _COMPLETE.search(connection_string):
            raise ValueError("the connection string names no account")
        if not _SIGNED.search(connection_string):
            settings["credential"] = credential or _default()
        return BlobServiceClient.from_connection_string(connection_string, **settings)
    except ConfigurationError:
        raise
    except (AzureError, AttributeError, TypeError, ValueError) as error:
        reason = mask(str(error))
    # Not as the cause: its frames hold the connection string.
    raise ConfigurationError(
        f"no client of Azure can be made: {reason}",
        hint="check the connection string or account_url, and client_options",
    )


def _transport(settings: dict[str, Any]) -> Any:
    """Return what sends requests, open: threads must not each open a session of their own."""
    from azure.core.pipeline.transport import RequestsTransport
    from requests.adapters import HTTPAdapter

    from flowhold.proxies import quicken

    transport = RequestsTransport(**settings)
    transport.open()
    if settings.get("use_env_settings", True):
        quicken(transport.session)
    for scheme in ("https://", "http://"):
        adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS)
        transport.session.mount(scheme, adapter)
    return transport


def _default() -> Any:
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise ConfigurationError(
            "without a key, a SAS token or credential=, azure-identity is needed",
            hint='pip install "flowhold-storage-azure[identity]"',
        ) from error
    return DefaultAzureCredential()
