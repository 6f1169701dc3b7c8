"""The way to a Docker engine: its address, TLS, and errors that are ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from flowhold.clients import shared_client
from flowhold.errors import ConfigurationError, FlowholdError
from flowhold_storage_docker.errors import failure

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["connect", "sdk_errors"]

_TIMEOUT = 300


def connect(base_url: str | None, tls: Any) -> tuple[APIClient, str]:
    """Return a client of the engine at an address, and the address for messages.

    Args:
        base_url: Its address; None for ``DOCKER_HOST``, else the platform's socket.
        tls: A ``docker.tls.TLSConfig``, its arguments as a mapping, True for TLS that is not
            verified by a certificate of one's own, or False for what the environment says.

    Raises:
        StorageUnavailableError: None answers there.
        AccessDeniedError: It is there, but not for this user.
    """
    place = base_url or os.environ.get("DOCKER_HOST") or "the platform's socket"
    with sdk_errors(lambda error: failure(error, place)):
        client = shared_client(_client, ("DOCKER_", "HOME"), base_url=base_url, tls=tls)
    return client, place


def _client(base_url: str | None, tls: Any) -> APIClient:
    from docker.constants import MINIMUM_DOCKER_API_VERSION
    from docker.tls import TLSConfig
    from docker.utils import kwargs_from_env

    options = kwargs_from_env()
    if base_url is not None:
        options["base_url"] = base_url
    if isinstance(tls, Mapping):
        try:
            options["tls"] = TLSConfig(**tls)
        except TypeError as error:
            raise ConfigurationError(
                f"wrong tls_config: {error}", hint="it takes client_cert, ca_cert and verify"
            ) from error
    elif tls:
        options["tls"] = tls
    options["timeout"] = _TIMEOUT
    if not options.get("tls"):
        return _made(version="auto", **options)
    # Else requests would take what REQUESTS_CA_BUNDLE names for the CA of the engine.
    first = _made(version=MINIMUM_DOCKER_API_VERSION, **options)
    first.trust_env = False
    with closing(first):
        client = _made(version=first.version(api_version=False)["ApiVersion"], **options)
    client.trust_env = False
    return client


def _made(**options: Any) -> APIClient:
    """Return a client of the SDK, which reads docker's config.json as if that were always right."""
    from docker import APIClient
    from requests.exceptions import RequestException

    try:
        return APIClient(**options)
    except RequestException:
        raise  # some are ValueErrors too
    except (AttributeError, TypeError, ValueError, RecursionError):
        pass  # these may hold credentials of the file
    raise ConfigurationError(
        "docker's config.json holds what docker does not write",
        hint="correct that file, or remove it and `docker login` again",
    )


@contextmanager
def sdk_errors(make: Callable[[Exception], FlowholdError]) -> Iterator[None]:
    """Raise our errors, which a function makes, in place of the SDK's."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except FlowholdError:
        raise
    except (DockerException, RequestException, HTTPError, OSError) as error:
        raise make(error) from error
