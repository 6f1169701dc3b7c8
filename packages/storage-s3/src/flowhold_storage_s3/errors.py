"""Which error of Flowhold stands for which of boto3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore import exceptions as sdk
from urllib3.exceptions import HTTPError

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

__all__ = ["RULES", "SentOnError", "codes", "refuse_to_be_sent_on"]

# A code of ours, for what has none of its own.
CHECKSUMS = "checksums"

# Those that botocore takes for one of a bucket's region.
_REDIRECTS = (301, 302, 307)

_REFUSED = Rule(
    AccessDeniedError,
    "the credentials for {place} were refused: {reason}",
    "check the access key and its secret, and whether the session has expired",
)
_FORBIDDEN = Rule(
    AccessDeniedError,
    "no permission for {place}: {reason}",
    "storing needs s3:PutObject, loading s3:GetObject, catalogs s3:ListBucket too; without that, "
    "what is not there is forbidden as well",
)
_NO_CREDENTIALS = Rule(
    AccessDeniedError,
    "no credentials for {place}: {reason}",
    "list the secret AWS_CREDENTIALS in secrets=, or configure them as boto3 finds them: "
    "AWS_ACCESS_KEY_ID, a profile, or a role",
)
_UNREACHABLE = Rule(
    StorageUnavailableError,
    "{place} cannot be reached: {reason}",
    "check the network, and endpoint_url in client_options",
)
_TLS = Rule(
    StorageUnavailableError,
    "no trusted connection to {place}: {reason}",
    "for a private CA give client_options={'verify': '/path/to/ca.pem'} or AWS_CA_BUNDLE",
)
_DAMAGED = Rule(IntegrityError, "{place} arrived damaged: {reason}", "try again")
_CHECKSUMS = Rule(
    StorageError,
    "the server of {place} refused the upload, as those do that do not know newer checksums: "
    "{reason}",
    "switch them off: client_options={'config': {'request_checksum_calculation': 'when_required'}}",
)
_UNSUPPORTED = Rule(
    StorageError,
    "the server of {place} does not know what was asked of it: {reason}",
    "it has to know If-None-Match; where it only refuses newer checksums, give client_options="
    "{'config': {'request_checksum_calculation': 'when_required'}}",
)
_WRONG = Rule(
    ConfigurationError, "{place}: {reason}", "check bucket, client_options and upload_options"
)

RULES: Rules = {
    # What the server says.
    "NoSuchKey": Rule(ObjectNotFoundError, "there is no object {place}"),
    "NoSuchBucket": Rule(
        StorageError, "the bucket of {place} does not exist", "create it, or check its name"
    ),
    "NoSuchUpload": Rule(ObjectNotFoundError, "the upload of {place} is not known (any more)"),
    "PreconditionFailed": Rule(ObjectExistsError, "{place} exists already"),
    "InvalidObjectState": Rule(
        StorageError, "{place} is archived: {reason}", "restore it, then try again"
    ),
    **dict.fromkeys(
        (
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "InvalidToken",
            "TokenRefreshRequired",
            401,
        ),
        _REFUSED,
    ),
    "RequestTimeTooSkewed": Rule(
        AccessDeniedError, "{place}: {reason}", "set the clock of this machine"
    ),
    **dict.fromkeys(("AccessDenied", 403), _FORBIDDEN),
    "ConditionalRequestConflict": Rule(
        StorageUnavailableError, "somebody else is writing {place}: {reason}", "try again"
    ),
    **dict.fromkeys(("BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"), _DAMAGED),
    **dict.fromkeys(("NotImplemented", 501), _UNSUPPORTED),
    **dict.fromkeys(
        (
            CHECKSUMS,
            "IncompleteBody",
            "InvalidTrailer",
            "MalformedTrailerError",
            "MissingContentLength",
            "XAmzContentSHA256Mismatch",
        ),
        _CHECKSUMS,
    ),
    **dict.fromkeys(
        ("PermanentRedirect", "AuthorizationHeaderMalformed", 301),
        Rule(
            ConfigurationError,
            "the bucket of {place} is in another region: {reason}",
            "give client_options={'region_name': ...}",
        ),
    ),
    "SentOnError": Rule(
        ConfigurationError,
        "the server of {place} only sends on to another one",
        "check endpoint_url in client_options: perhaps it has to begin with https://",
    ),
    # What never reached a server.
    **dict.fromkeys(
        (
            "NoCredentialsError",
            "PartialCredentialsError",
            "CredentialRetrievalError",
            "TokenRetrievalError",
            "UnauthorizedSSOTokenError",
            "SSOTokenLoadError",
        ),
        _NO_CREDENTIALS,
    ),
    "SSLError": _TLS,
    "FlexibleChecksumError": Rule(IntegrityError, "{place} arrived damaged: {reason}", "try again"),
    **dict.fromkeys(
        ("HTTPClientError", "ConnectionError", "IncompleteReadError", "HTTPError"), _UNREACHABLE
    ),
    "BotoCoreError": _WRONG,
}
"""By the server's code, by HTTP status, and by class of botocore's exceptions."""


class SentOnError(sdk.BotoCoreError):  # type: ignore[misc]
    """A server sends on even the request for a bucket's region, and does not tell the region."""

    fmt = "the server only sends on to another one"


def refuse_to_be_sent_on(
    response: tuple[Any, Mapping[str, Any]] | None = None, **_event: Any
) -> None:
    """Stop botocore, which answers a redirect of HeadBucket with HeadBucket, without end.

    It is a handler of the event ``needs-retry.s3.HeadBucket``.

    Raises:
        SentOnError: The answer to HeadBucket is a redirect without a region.
    """
    about = response[1]["ResponseMetadata"] if response else {}
    if (
        about.get("HTTPStatusCode") in _REDIRECTS
        and "x-amz-bucket-region" not in about["HTTPHeaders"]
    ):
        raise SentOnError


def codes(error: Exception) -> tuple[list[int | str], str] | None:
    """Return the codes of an error of boto3, the most telling first, and its words."""
    if isinstance(error, sdk.ClientError):
        answer = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code, words = answer.get("Code", ""), answer.get("Message") or str(error)
        asked = code in ("InvalidArgument", "InvalidRequest", "NotImplemented")
        special = [CHECKSUMS] if asked and "checksum" in words.lower() else []
        return [*special, code, status], words
    # The connection of a body that is being read is urllib3's.
    if isinstance(error, (sdk.BotoCoreError, HTTPError)):
        return [kind.__name__ for kind in type(error).__mro__], str(error)
    return None
