"""Which error of Flowhold stands for which of azure-storage-blob."""

from __future__ import annotations

import re

from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    IntegrityError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.rules import Rule, Rules

__all__ = ["RULES", "codes", "mask"]

_REFUSED = Rule(
    AccessDeniedError,
    "the credentials for {place} were refused: {reason}",
    "check the key or SAS token, whether it has expired, and this machine's clock",
)
_NO_CREDENTIALS = Rule(
    AccessDeniedError,
    "no credentials for {place}: {reason}",
    "give a connection string with a key, or sign in as azure-identity expects: `az login`, a "
    "managed identity, or AZURE_CLIENT_ID and its companions",
)
_NOT_ALLOWED = Rule(
    AccessDeniedError,
    "no permission for {place}: {reason}",
    "the role Storage Blob Data Contributor, or a SAS token with the permissions rcwdl, has "
    "what is needed; the account's firewall must let this machine in",
)
_EXISTS = Rule(ObjectExistsError, "{place} exists already")
_UNREACHABLE = Rule(
    StorageUnavailableError,
    "{place} cannot be reached: {reason}",
    "check the network, and the account in the connection string or account_url",
)
_BUSY = Rule(
    StorageUnavailableError,
    "{place} did not answer as it should: {reason}",
    "try again later",
)
_TLS = Rule(
    StorageUnavailableError,
    "no TLS connection to {place} that can be trusted: {reason}",
    "for a private CA give client_options={'connection_verify': '/path/to/ca.pem'}",
)
_LEASED = Rule(
    StorageError, "{place} is leased by somebody: {reason}", "break the lease, or wait for its end"
)
_KEPT = Rule(
    StorageError,
    "{place} cannot be changed or removed: {reason}",
    "snapshots, a legal hold or an immutability policy keep it",
)

RULES: Rules = {
    # What the server says.
    "BlobNotFound": Rule(ObjectNotFoundError, "there is no object {place}"),
    **dict.fromkeys(
        ("ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"),
        Rule(
            StorageError, "the container of {place} does not exist", "create it, or check its name"
        ),
    ),
    **dict.fromkeys(
        ("InvalidResourceName", "InvalidUri", "OutOfRangeInput"),
        Rule(
            ConfigurationError, "{place} cannot be in Azure: {reason}", "check the container's name"
        ),
    ),
    **dict.fromkeys(
        (
            "AuthenticationFailed",
            "InvalidAuthenticationInfo",
            "AccountIsDisabled",
            "KeyBasedAuthenticationNotPermitted",
            401,
        ),
        _REFUSED,
    ),
    "NoAuthenticationInformation": _NO_CREDENTIALS,
    **dict.fromkeys(
        (
            "AuthorizationFailure",
            "AuthorizationPermissionMismatch",
            "AuthorizationProtocolMismatch",
            "AuthorizationResourceTypeMismatch",
            "AuthorizationServiceMismatch",
            "AuthorizationSourceIPMismatch",
            "InsufficientAccountPermissions",
        ),
        _NOT_ALLOWED,
    ),
    "BlobAlreadyExists": _EXISTS,
    "PUT ConditionNotMet": _EXISTS,
    **dict.fromkeys(
        ("GET ConditionNotMet", "GET 412"),
        Rule(StorageUnavailableError, "{place} was replaced while it was read", "try again"),
    ),
    "BlobArchived": Rule(
        StorageError, "{place} is archived: {reason}", "move it to the hot or cool tier first"
    ),
    **dict.fromkeys(("LeaseIdMissing", "LeaseIdMismatchWithBlobOperation"), _LEASED),
    **dict.fromkeys(
        ("SnapshotsPresent", "BlobImmutableDueToPolicy", "BlobOverwriteNotAllowed"), _KEPT
    ),
    **dict.fromkeys(("ServerBusy", "InternalError", "OperationTimedOut"), _BUSY),
    "Md5Mismatch": Rule(IntegrityError, "{place} arrived damaged: {reason}", "try again"),
    # What never reached a server, or whose answer broke off.
    "SSLError": _TLS,
    "ClientAuthenticationError": _NO_CREDENTIALS,
    **dict.fromkeys(("ServiceRequestError", "ServiceResponseError"), _UNREACHABLE),
    **dict.fromkeys(("HttpResponseError", "AttributeError", "ValueError"), _BUSY),
}
"""By the server's code (perhaps with the method), by HTTP status, and by class of the SDK's
exceptions."""

_SIGNATURE = re.compile(r"\b(sig=|AccountKey=)[^&;\s'\")]*", re.IGNORECASE)


def mask(text: str) -> str:
    """Return text without the signatures and keys that are in it."""
    return _SIGNATURE.sub(r"\1***", text)


def codes(error: Exception) -> tuple[list[int | str], str] | None:
    """Return the codes of an error of the SDK, the most telling first, and its words.

    A signature in its text, which may have the URL, is made unreadable there too.
    """
    from azure.core.exceptions import AzureError

    # The last two are what comes of an answer that makes no sense.
    if not isinstance(error, (AzureError, AttributeError, ValueError)):
        return None
    text = mask(str(error))
    if text != str(error):
        error.args, error.__cause__, error.__context__ = (text,), None, None
    reason = text.strip().partition("\n")[0]
    response = getattr(error, "response", None)
    if response is None:
        inner = type(getattr(error, "inner_exception", None))
        return [kind.__name__ for kind in (*inner.__mro__, *type(error).__mro__)], reason
    code = getattr(error, "error_code", None)
    name = str(getattr(code, "value", code) or "")
    method, status = response.request.method, response.status_code
    found: list[int | str] = [f"{method} {name}", name, f"{method} {status}", status]
    return found, f"{name}: {reason}" if name else reason
