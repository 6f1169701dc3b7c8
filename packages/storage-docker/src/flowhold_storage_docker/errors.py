"""Which error of Flowhold stands for what an engine, a registry or the SDK says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowholdError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.redaction import mask
from flowhold.rules import Rule

__all__ = [
    "BuildError",
    "TransferDeniedError",
    "TransferError",
    "TransferNotFoundError",
    "TransferUnavailableError",
    "failure",
    "of_command",
    "start_failure",
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


_START = (
    "start Docker, or name the engine by base_url= or DOCKER_HOST; where `docker` finds one, "
    "`docker context inspect` shows its address"
)
_LOGIN = "log in with `docker login`; credentials are those of docker's config.json and helpers"
_REGISTRY = "check registry_url and the network; `docker pull` and `docker push` say more"
_ENGINE_TLS = "give tls_config=, or set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"
_RUN = "check run_kwargs= and platform="

# Where no engine answered: what the SDK and the system say, with the types of their errors.
_UNANSWERED: tuple[tuple[str, Rule], ...] = (
    (
        "credentials store|credential helper",
        Rule(
            AccessDeniedError,
            "the program that keeps the login for {place} failed: {reason}",
            "see credsStore and credHelpers in docker's config.json, or `docker login` again",
        ),
    ),
    (
        "PermissionError|permission denied",
        Rule(
            AccessDeniedError,
            "no permission for the Docker engine at {engine}: {reason}",
            "join the group docker (sudo usermod -aG docker $USER, then log in anew), or use a "
            "rootless engine",
        ),
    ),
    (
        "certificate.required|bad.certificate|handshake.failure|unknown.ca",
        Rule(
            AccessDeniedError,
            "the Docker engine at {engine} wants TLS with a certificate that it knows: {reason}",
            _ENGINE_TLS,
        ),
    ),
    (
        "WRONG.VERSION.NUMBER|record layer failure",
        Rule(
            StorageUnavailableError,
            "the Docker engine at {engine} speaks no TLS: {reason}",
            "leave tls_config= and DOCKER_TLS_VERIFY out, or name its port for TLS",
        ),
    ),
    (
        r"certificate.verify.failed|SSLError|TLSParameterError|TLS configuration|"
        r"Path to a certificate",
        Rule(
            StorageUnavailableError,
            "no trusted connection to the Docker engine at {engine}: {reason}",
            "give the CA's certificate, and your own: by tls_config=, or in DOCKER_CERT_PATH as "
            "ca.pem, cert.pem and key.pem",
        ),
    ),
    (
        r"InvalidVersion|API versions? below",
        Rule(
            StorageError,
            "the Docker engine at {engine} and the SDK have no version in common: {reason}",
            "update Docker, or the package docker",
        ),
    ),
    (
        "timed? ?out",
        Rule(
            StorageUnavailableError,
            "the Docker engine at {engine} did not answer in time: {reason}",
            "see whether it is busy: `docker info`",
        ),
    ),
    (
        "",
        Rule(StorageUnavailableError, "no Docker engine answers at {engine}: {reason}", _START),
    ),
)
# What an engine says, also of registries.
_SAID: tuple[tuple[str, Rule], ...] = (
    (
        "no space left on device",
        Rule(
            StorageError,
            "the disk of the Docker engine is full, at {place}: {reason}",
            "`docker system df` shows what takes the space, `docker system prune` frees some",
        ),
    ),
    (
        "HTTP request to an HTTPS server",
        Rule(AccessDeniedError, "{place} wants TLS with a certificate: {reason}", _ENGINE_TLS),
    ),
    (
        "HTTP response to HTTPS client",
        Rule(
            StorageUnavailableError,
            "the registry of {place} speaks no TLS: {reason}",
            "name it in insecure-registries of the engine's daemon.json, if it is to be trusted",
        ),
    ),
    (
        "x509|tls: ",
        Rule(
            StorageUnavailableError,
            "the engine does not trust the registry of {place}: {reason}",
            "give the engine the certificate of the registry's CA: "
            "/etc/docker/certs.d/HOST:PORT/ca.crt",
        ),
    ),
    (
        r"unable to find user|no matching entries in passwd|network \S+ not found",
        Rule(ConfigurationError, "no container of {place} can be started: {reason}", _RUN),
    ),
    (
        "does not match the specified platform|no match for platform|"
        "no matching manifest|unknown operating system or architecture",
        Rule(
            ConfigurationError,
            "{place} is not there for this platform: {reason}",
            "check platform=, as linux/arm64",
        ),
    ),
    (
        r"toomanyrequests|rate limit|HTTP( response)? (status: )?429",
        Rule(
            StorageUnavailableError,
            "the registry of {place} has had too many requests: {reason}",
            "wait, or log in with `docker login`",
        ),
    ),
    (
        r"unauthorized|no basic auth credentials|\bdenied\b|authentication required|forbidden|"
        r"HTTP( response)? (status: )?40[13]",
        Rule(AccessDeniedError, "no permission for {place}: {reason}", _LOGIN),
    ),
    (
        r"manifest unknown|manifest for .* not found|no such image|name unknown|"
        r"repository does not exist|\S+: not found$|does not exist locally|"
        r"repository .* not found|HTTP( response)? (status: )?404",
        Rule(
            ObjectNotFoundError,
            "there is no image {place}: {reason}",
            "check its name; of a private one, log in with `docker login`",
        ),
    ),
    (
        r"connection refused|no such host|i/o timeout|timed? ?out|network is unreachable|"
        r"connection reset|no route to host|unexpected HTTP|error parsing HTTP|"
        r"HTTP response|invalid character|\bEOF\b|dial tcp|request canceled|told no digest|"
        r"server misbehaving|invalid checksum digest|Content-Type header",
        Rule(
            StorageUnavailableError,
            "the registry of {place} did not answer as it should: {reason}",
            _REGISTRY,
        ),
    ),
)
_OTHER = Rule(StorageError, "{place}: {reason}")
_START_FAILED = Rule(ConfigurationError, "no container of {place} can be started: {reason}", _RUN)
_TRANSFERS: dict[type[FlowholdError], type[FlowholdError]] = {
    AccessDeniedError: TransferDeniedError,
    ObjectNotFoundError: TransferNotFoundError,
    StorageUnavailableError: TransferUnavailableError,
}


def failure(error: BaseException | str, place: str, engine: str | None = None) -> FlowholdError:
    """Return the error to raise in place of the SDK's.

    Args:
        error: The SDK's error, or what an engine says of one.
        place: What it concerns: the engine's address or an image's name.
        engine: The engine's address, by default the same.
    """
    (kind, message, hint), reason = _rule(error)
    return kind(_text(message, place, engine, reason), storage="Docker", hint=hint)


def transfer_failure(
    error: BaseException | str, place: str, engine: str | None = None
) -> FlowholdError:
    """Return the error to raise where a pull or push failed; it is an InterruptedError too."""
    (kind, message, hint), reason = _rule(error)
    text = _text(message, place, engine, reason)
    return _TRANSFERS.get(kind, TransferError)(text, storage="Docker", hint=hint)


def start_failure(error: BaseException, image: str, engine: str) -> FlowholdError:
    """Return the error to raise where a container of an image could not be started."""
    (kind, message, hint), reason = _rule(error, _START_FAILED)
    return kind(_text(message, image, engine, reason), storage="Docker", hint=hint)


def of_command(text: str) -> bool:
    """Say whether an engine tells of a command that failed: its own words are in its output."""
    return "returned a non-zero code" in text


def _text(message: str, place: str, engine: str | None, reason: str) -> str:
    text = message.format(place=place, engine=engine or place, reason=reason)
    # What is in URLs before an @ may be a login.
    return re.sub(r"//[^/@\s]*@", "//", text)


def _rule(error: BaseException | str, other: Rule = _OTHER) -> tuple[Rule, str]:
    if isinstance(error, str):
        rules, told, reason = _SAID, error, error
    else:
        chain = [*_chain(error)]
        said = next((it for it in chain if getattr(it, "response", None) is not None), None)
        rules = _UNANSWERED if said is None else _SAID
        told = " ".join(f"{type(it).__name__}: {_reason(it)}" for it in chain)
        reason = _reason(error if said is None else said)
        told = told if said is None else reason
    rule = next((r for pattern, r in rules if re.search(pattern, told, re.IGNORECASE)), other)
    return rule, " ".join(mask(reason).split())[:600]


def _reason(error: BaseException) -> str:
    explanation = getattr(error, "explanation", None)
    return explanation if isinstance(explanation, str) and explanation else str(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
