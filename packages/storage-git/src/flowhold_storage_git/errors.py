"""Which error of Flowhold stands for which answer of a forge."""

from __future__ import annotations

from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowholdError,
    FlowNotFoundError,
    IntegrityError,
    RevisionNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.rules import Rule, Rules, ours

__all__ = ["CODECOMMIT", "RULES", "failure"]

_REPOSITORY = Rule(
    StorageError,
    "there is no repository {place}, or not for this login",
    "check its name; to those who may not read it, a private repository is not there",
)
_REVISION = Rule(
    RevisionNotFoundError,
    "there is no branch, tag or commit {reason} in {place}",
    "check its name; a short SHA has at least 4 digits, and only one commit may begin with it",
)
_FILE = Rule(
    FlowNotFoundError,
    "there is no file {reason} in {place}",
    "check the path: it is relative to the root of the repository",
)
_LINK = Rule(
    StorageError,
    "{reason} in {place} is a symbolic link",
    "name the file that it leads to; or use whole_repo=True, where there is such an option",
)
_LIMITED = Rule(
    StorageUnavailableError,
    "{place} answers no more requests for now: {reason}",
    "try again then; with a token more are answered",
)
_DOWN = Rule(
    StorageUnavailableError, "{place} did not answer as it should: {reason}", "try again later"
)
_REFUSED = Rule(
    AccessDeniedError,
    "the login for {place} was refused: {reason}",
    "check the secret: the kind of token, and whether it has expired",
)
_FORBIDDEN = Rule(
    AccessDeniedError,
    "no permission for {place}: {reason}",
    "the token has to allow reading the repository's content",
)

RULES: Rules = {
    "repository": _REPOSITORY,
    "revision": _REVISION,
    "file": _FILE,
    "empty": Rule(
        RevisionNotFoundError, "{place} has no default branch", "it may be empty; or name a ref"
    ),
    "directory": Rule(
        FlowNotFoundError,
        "{reason} in {place} is a folder or a submodule, and no file",
        "name the script",
    ),
    "link": _LINK,
    "lfs": Rule(
        StorageError,
        "{reason} in {place} is kept by Git LFS",
        "use Git storage with lfs=True, or keep the script in the repository itself",
    ),
    "size": Rule(
        IntegrityError,
        "a file in {place} holds more than {reason} bytes",
        "allow more: the setting max_tree_bytes",
    ),
    "anonymous": Rule(
        AccessDeniedError,
        "{place} is not for everybody: {reason}",
        "name a secret with a token, see the options of the storage",
    ),
    401: _REFUSED,
    403: _FORBIDDEN,
    "limited": _LIMITED,
    "unavailable": _DOWN,
    "unreachable": Rule(
        StorageUnavailableError,
        "{place} cannot be reached: {reason}",
        "check the network, the proxy, and the address of the host",
    ),
    "tls": Rule(
        StorageUnavailableError,
        "no trusted connection to {place}: {reason}",
        "for a private CA set REQUESTS_CA_BUNDLE to its certificate",
    ),
    "certificates": Rule(
        ConfigurationError, "no connection to {place}: {reason}", "check REQUESTS_CA_BUNDLE"
    ),
    "url": Rule(ConfigurationError, "{place} cannot be asked: {reason}", "check the host"),
    "redirect": Rule(
        StorageError, "{place} leads elsewhere: {reason}", "check the host and the repository"
    ),
    "foreign": Rule(
        ConfigurationError,
        "{place} did not answer as the API of such a host: {reason}",
        "check the address: for GitHub Enterprise it is https://HOST/api/v3, for others the host",
    ),
}
"""By what went wrong, and by HTTP status."""

CODECOMMIT: Rules = {
    "RepositoryDoesNotExistException": Rule(
        StorageError,
        "there is no repository {place}",
        "check its name, and region_name in client_options",
    ),
    "InvalidRepositoryNameException": _REPOSITORY,
    "FileTooLargeException": Rule(
        StorageError,
        "a file in {place} is larger than CodeCommit gives out: {reason}",
        "use Git storage with the repository's clone URL",
    ),
    **dict.fromkeys(
        (
            "EncryptionKeyAccessDeniedException",
            "AccessDeniedException",
            "AccessDenied",
            "NotAuthorized",
            "UnauthorizedOperation",
            403,
        ),
        Rule(
            AccessDeniedError,
            "no permission for {place}: {reason}",
            "it takes codecommit:GetRepository, GetBranch and GetFile",
        ),
    ),
    **dict.fromkeys(
        (
            "UnrecognizedClientException",
            "InvalidSignatureException",
            "InvalidClientTokenId",
            "ExpiredTokenException",
            "ExpiredToken",
            "IncompleteSignature",
            401,
        ),
        Rule(
            AccessDeniedError,
            "the credentials for {place} were refused: {reason}",
            "check the access key and its secret, and whether the session has expired",
        ),
    ),
    **dict.fromkeys(
        ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
        Rule(
            AccessDeniedError,
            "no credentials for {place}: {reason}",
            "list the secret AWS_CREDENTIALS in secrets=, or configure them as boto3 finds them",
        ),
    ),
    **dict.fromkeys(("ThrottlingException", "TooManyRequestsException", 429), _LIMITED),
    "SSLError": Rule(
        StorageUnavailableError,
        "no trusted connection to {place}: {reason}",
        "for a private CA give client_options={'verify': '/path/to/ca.pem'} or AWS_CA_BUNDLE",
    ),
    **dict.fromkeys(
        ("HTTPClientError", "ConnectionError"),
        Rule(
            StorageUnavailableError,
            "{place} cannot be reached: {reason}",
            "check the network, and region_name and endpoint_url in client_options",
        ),
    ),
    **dict.fromkeys((500, 502, 503, 504), _DOWN),
    "partial": Rule(
        StorageUnavailableError,
        "{place} did not answer as CodeCommit does, or its answer was cut off: {reason}",
        "try again, and check endpoint_url in client_options",
    ),
    "BotoCoreError": Rule(ConfigurationError, "{place}: {reason}", "check client_options"),
}
"""By the code of the service, by HTTP status, and by class of botocore's exceptions."""


def failure(
    *codes: int | str, reason: str = "", place: str, storage: str, rules: Rules = RULES
) -> FlowholdError:
    """Return the error to raise.

    Args:
        codes: What went wrong, the most telling first.
        reason: The words that go with it, without credentials.
        place: The repository, perhaps with a commit.
        storage: Name of the storage's class.
        rules: The table.
    """
    error = ours({**RULES, **rules}, codes, reason, place=place, key="")
    error.storage = storage
    return error
