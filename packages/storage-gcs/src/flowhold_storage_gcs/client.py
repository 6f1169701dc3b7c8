"""Clients of Google Cloud Storage, made once for each configuration."""

# Google's libraries have no types.
# mypy: allow-untyped-calls

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from flowhold.clients import shared_client
from flowhold.errors import ConfigurationError

__all__ = ["SECRET", "Client", "make_client"]

SECRET = "GCP_CREDENTIALS"  # noqa: S105 (its name)
_VARIABLES = ("GOOGLE_", "STORAGE_EMULATOR_HOST", "CLOUDSDK_", "GCE_")
_CONNECTIONS = 32

Client = Any
"""A ``google.cloud.storage.Client``, which has no types."""


def make_client(
    options: Mapping[str, Any], *, project: str | None, account: dict[str, Any] | None
) -> Client:
    """Return the client of these options.

    Args:
        options: Client options of ``google.cloud.storage.Client``.
        project: Its project; default: that of the service account, or none.
        account: Key of a service account; without, the application default credentials are looked
            for.

    Raises:
        ConfigurationError: An option or the key is wrong.
    """
    return shared_client(_make, _VARIABLES, options=options, project=project, account=account)


def _make(options: dict[str, Any], project: str | None, account: dict[str, Any] | None) -> Client:
    with warnings.catch_warnings():
        # Until when Google supports this Python is no news of every run of a flow.
        warnings.filterwarnings("ignore", "You are using a .*Python version", FutureWarning)
        from google.api_core.exceptions import GoogleAPIError
        from google.cloud import storage
        from google.oauth2 import service_account

        from flowhold.proxies import quicken

    credentials = None
    try:
        if account is not None:
            project = project or account.get("project_id")
            credentials = service_account.Credentials.from_service_account_info(
                account, scopes=storage.Client.SCOPE
            )
        client = storage.Client(project, credentials, client_options=options or None)
    except (GoogleAPIError, AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"no client of Google Cloud Storage can be made: {error}",
            hint=f"check client_options{'' if account is None else ' and the secret'}",
        ) from error
    # Recent clients would ask for the bucket's metadata in the background, which costs a request
    # and needs a permission.
    client._bucket_metadata_cache = None
    quicken(client._http)
    for adapter in client._http.adapters.values():
        adapter.init_poolmanager(_CONNECTIONS, _CONNECTIONS)
    return client
