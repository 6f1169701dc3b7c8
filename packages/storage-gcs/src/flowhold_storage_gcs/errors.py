"""Which error of Flowhold stands for which of Google's."""

from __future__ import annotations

import re
from typing import Any

from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    IntegrityError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.rules import Rule, Rules

__all__ = ["RULES", "codes"]

_REFUSED = Rule(
    AccessDeniedError,
    "the credentials for {place} were refused: {reason}",
    "check that the account and its key still exist; for your own account run "
    "`gcloud auth application-default login`",
)
_UNREACHABLE = Rule(
    StorageUnavailableError,
    "{place} cannot be reached: {reason}",
    "check the network, and api_endpoint in client_options",
)
_UNCLEAR = Rule(
    StorageUnavailableError, "{place} did not answer as it should: {reason}", "try again later"
)

RULES: Rules = {
    # What the server says.
    "no bucket": Rule(
        StorageError, "the bucket of {place} does not exist", "create it, or check its name"
    ),
    "other bytes": Rule(
        IntegrityError, "{place} did not arrive as it was sent: {reason}", "try again"
    ),
    **dict.fromkeys(("rateLimitExceeded", "userRateLimitExceeded"), _UNCLEAR),
    "policy": Rule(
        StorageError, "{place} was refused: {reason}", "check the policies of the bucket"
    ),
    401: _REFUSED,
    # What never reached a server.
    "DefaultCredentialsError": Rule(
        AccessDeniedError,
        "no credentials for {place}: {reason}",
        "list the secret GCP_CREDENTIALS in secrets=, or set up application default credentials: "
        "GOOGLE_APPLICATION_CREDENTIALS, or `gcloud auth application-default login`",
    ),
    "SSLError": Rule(
        StorageUnavailableError,
        "the certificate of {place} is not trusted: {reason}",
        "for a private CA set REQUESTS_CA_BUNDLE to its file",
    ),
    **dict.fromkeys(("TransportError", "ConnectionError", "Timeout", "HTTPError"), _UNREACHABLE),
    "JSONDecodeError": _UNCLEAR,
    "GoogleAuthError": _REFUSED,
    "RequestException": Rule(ConfigurationError, "{place}: {reason}", "check client_options"),
}
"""By what the server says, by HTTP status, and by class of the libraries' exceptions."""


def codes(error: Exception) -> tuple[list[int | str], str] | None:
    """Return the codes of an error of Google's libraries, the most telling first, and its words."""
    names = [kind.__name__ for kind in type(error).__mro__]
    known = type(error).__module__.startswith(("google.", "requests.", "urllib3."))
    if not known and not isinstance(error, ConnectionError):
        return None
    if "GoogleAPICallError" not in names:
        # Further arguments of an error are what a server sent, or the request with its headers.
        words = str(error.args[0] if error.args else error)
        # Whoever has the id of an upload can write to it.
        return [*names], re.sub(r"(?<=upload_id=)[^&\s)]+", "…", words)
    response = getattr(error, "response", None)
    reasons, words = _answer(response)
    if "bucket does not exist" in words:
        reasons.insert(0, "no bucket")
    elif re.search("provided (crc32c|md5)", words, re.IGNORECASE):
        reasons.insert(0, "other bytes")
    status = int(getattr(error, "code", None) or 0)
    if status == 412 and reasons and "conditionNotMet" not in reasons:
        reasons.insert(0, "policy")
    return [*reasons, status], words


def _answer(response: Any) -> tuple[list[int | str], str]:
    """Return the reasons in an answer that is an error, and its words."""
    if response is None:
        return [], "no answer"
    try:
        error = response.json()["error"]
        return [found["reason"] for found in error.get("errors", ())], error["message"]
    except (ValueError, LookupError, TypeError, AttributeError):
        return [], response.text or f"{response.status_code} {response.reason}"
