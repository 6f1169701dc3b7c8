"""Which error of Flowhold stands for what an engine, a registry or the SDK says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowhold.errors import (
    AccessDeniedError,
    FlowholdError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.rules import Rule

__all__ = [
    "BuildError",
    "TransferDeniedError",
    "TransferError",
    "TransferNotFoundError",
    "TransferUnavailableError",
    "failure",
    "transfer_failure",
]


class BuildError(StorageError, ValueError):
    """An image could not be built; the text has the output of the step that failed."""


class TransferError(StorageError, InterruptedError):
    """An image could not be pulled or pushed."""


class TransferDeniedError(AccessDeniedError, TransferError):
    """A registry refused the login, or wants one."""


class TransferNotFoundError(ObjectNotFoundError, TransferError):
    """There is no such image in the registry."""


class TransferUnavailableError(StorageUnavailableError, TransferError):
    """The registry could not be reached or did not answer in time."""


_START = "start Docker, or name the engine by base_url= or DOCKER_HOST"
_LOGIN = "log in with `docker login`; credentials are those of docker's config.json and helpers"
_REGISTRY = "check registry_url and the network; `docker pull` and `docker push` say more"

_RULES: tuple[tuple[str, Rule], ...] = (
    (
        "no space left on device",
        Rule(
            StorageError,
            "{place}: the disk of the engine is full: {reason}",
            "`docker system df` shows what takes the space, `docker system prune` frees some",
        ),
    ),
    (
        r"permission denied.*(docker|\.sock|dial unix)|PermissionError",
        Rule(
            AccessDeniedError,
            "no permission for the Docker engine at {place}: {reason}",
            "join the group docker (sudo usermod -aG docker $USER, then log in anew), or use a "
            "rootless engine",
        ),
    ),
    (
        "HTTP request to an HTTPS server|certificate required|bad certificate|client certificate",
        Rule(
            AccessDeniedError,
            "{place} wants TLS with a certificate: {reason}",
            "give tls_config=, or set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH",
        ),
    ),
    (
        r"x509|certificate verify failed|CERTIFICATE_VERIFY_FAILED|SSLError|TLSParameterError|"
        r"TLS configuration",
        Rule(
            StorageUnavailableError,
            "no trusted connection to {place}: {reason}",
            "give the CA's certificate: of an engine by tls_config= or DOCKER_CERT_PATH, of a "
            "registry in /etc/docker/certs.d of the engine",
        ),
    ),
    (
        "HTTP response to HTTPS client",
        Rule(
            StorageUnavailableError,
            "{place} speaks no TLS: {reason}",
            "name it in insecure-registries of the engine's daemon.json, if it is to be trusted",
        ),
    ),
    (
        r"unauthorized|no basic auth credentials|denied|authentication required|forbidden|"
        r"\b40[13]\b",
        Rule(AccessDeniedError, "no permission for {place}: {reason}", _LOGIN),
    ),
    (
        r"manifest unknown|no such image|not found|name unknown|repository does not exist|\b404\b",
        Rule(
            ObjectNotFoundError,
            "there is no image {place}: {reason}",
            "check its name; of a private one, log in with `docker login`",
        ),
    ),
    (
        r"toomanyrequests|rate limit|\b429\b",
        Rule(
            StorageUnavailableError, "{place} has had too many requests: {reason}", "wait, log in"
        ),
    ),
    (
        r"FileNotFoundError|ConnectionRefusedError|No such file or directory|"
        r"Name or service not known|NameResolutionError|Connection aborted|"
        r"Not supported URL scheme|Invalid bind address",
        Rule(StorageUnavailableError, "no Docker engine answers at {place}: {reason}", _START),
    ),
    (
        r"connection refused|no such host|i/o timeout|timed? ?out|network is unreachable|"
        r"connection reset|unexpected HTTP status|\bEOF\b|dial tcp|"
        r"5\d\d (Server|Internal|Bad|Serv)",
        Rule(StorageUnavailableError, "{place} did not answer as it should: {reason}", _REGISTRY),
    ),
)
_OTHER = Rule(StorageError, "{place}: {reason}")
_TRANSFERS: dict[type[FlowholdError], type[FlowholdError]] = {
    AccessDeniedError: TransferDeniedError,
    ObjectNotFoundError: TransferNotFoundError,
    StorageUnavailableError: TransferUnavailableError,
    StorageError: TransferError,
}


def failure(error: BaseException | str, place: str) -> FlowholdError:
    """Return the error to raise in place of the SDK's.

    Args:
        error: The SDK's error, or what an engine says of one.
        place: What it concerns: the engine's address or an image's name.
    """
    (kind, message, hint), reason = _rule(error)
    return kind(message.format(place=place, reason=reason), storage="Docker", hint=hint)


def transfer_failure(error: BaseException | str, place: str) -> FlowholdError:
    """Return the error to raise where a pull or push failed; it is an InterruptedError too."""
    (kind, message, hint), reason = _rule(error)
    text = message.format(place=place, reason=reason)
    return _TRANSFERS[kind](text, storage="Docker", hint=hint)


def _rule(error: BaseException | str) -> tuple[Rule, str]:
    told = error if isinstance(error, str) else " ".join(_told(error))
    reason = told if isinstance(error, str) else _reason(error)
    rule = next((r for pattern, r in _RULES if re.search(pattern, told, re.IGNORECASE)), _OTHER)
    # What is in URLs before an @ may be a login.
    return rule, re.sub(r"//[^/@\s]*@", "//", " ".join(reason.split()))[:600]


def _reason(error: BaseException) -> str:
    explanation = getattr(error, "explanation", None)
    return explanation if isinstance(explanation, str) and explanation else str(error)


def _told(error: BaseException) -> Iterator[str]:
    """Yield what an error and its causes say, with the names of their types."""
    seen: BaseException | None = error
    while seen is not None:
        yield f"{type(seen).__name__}: {_reason(seen)}"
        response = getattr(seen, "response", None)
        if response is not None:
            yield f"{response.status_code} {response.reason}"
        seen = seen.__cause__ or seen.__context__
