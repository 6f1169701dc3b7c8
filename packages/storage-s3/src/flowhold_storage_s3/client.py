"""Clients of boto3, made once for each configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowhold.clients import check_options, secret_mapping, shared_client
from flowhold.errors import ConfigurationError
from flowhold_storage_s3.errors import refuse_to_be_sent_on

__all__ = [
    "CREDENTIALS",
    "SECRET",
    "Client",
    "check_upload_options",
    "credentials_of",
    "make_client",
    "split_options",
]

SECRET = "AWS_CREDENTIALS"  # noqa: S105 (its name)
CREDENTIALS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_OF_SESSION = ("profile_name", "botocore_session", "aws_account_id")
_CONNECTIONS = 32
_LITTLE = 1 << 20

Client = Any
"""A client of S3, which boto3 makes at run time."""


def make_client(
    options: Mapping[str, Any], credentials: Mapping[str, str], *, timeout: float, retries: int
) -> Client:
    """Return the client of these options.

    Args:
        options: Arguments of ``boto3.client`` and ``boto3.Session``; ``config`` may be a mapping.
        credentials: Those of `CREDENTIALS` that are known; without any, boto3 looks for its own.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again, in botocore's standard mode.

    Raises:
        ConfigurationError: An option is wrong.
    """
    return shared_client(
        _make, "AWS_", options={**options, **credentials}, timeout=timeout, retries=retries
    )


def credentials_of(secret_name: str, text: str) -> dict[str, str]:
    """Return the credentials in a secret's value, by the names that boto3 has for them.

    It is JSON with ACCESS_KEY, SECRET_ACCESS_KEY and perhaps SESSION_TOKEN.

    Raises:
        ConfigurationError: It is something else.
    """
    found = secret_mapping(secret_name, text)
    names = dict(
        zip(("ACCESS_KEY", "SECRET_ACCESS_KEY", "SESSION_TOKEN"), CREDENTIALS, strict=True)
    )
    missing = {"ACCESS_KEY", "SECRET_ACCESS_KEY"} - found.keys()
    if missing:
        raise ConfigurationError(
            f"the secret {secret_name} lacks {' and '.join(sorted(missing))}",
            hint='it is JSON: {"ACCESS_KEY": "…", "SECRET_ACCESS_KEY": "…"}',
        )
    return {names[name]: str(value) for name, value in found.items() if name in names and value}


def split_options(options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return client options, which are written down, and the credentials that were among them.

    Raises:
        ConfigurationError: They are no mapping, or hold other credentials.
    """
    keys = {}
    if isinstance(options, Mapping):
        keys = {name: options[name] for name in CREDENTIALS if options.get(name)}
        options = {name: value for name, value in options.items() if name not in CREDENTIALS}
    return check_options("client_options", options), keys


def check_upload_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the arguments of uploads, which references carry, if they hold no key.

    Raises:
        ConfigurationError: One is a key of the customer's own.
    """
    checked = check_options("upload_options", options)
    if keys := [name for name in checked if name.startswith("SSECustomer")]:
        raise ConfigurationError(
            f"{keys[0]} cannot be among upload_options: references carry no keys, and without it "
            f"nobody could read",
            hint="let S3 keep the key: {'ServerSideEncryption': 'aws:kms', 'SSEKMSKeyId': '…'}",
        )
    return checked


def _make(options: dict[str, Any], timeout: float, retries: int) -> Client:
    import boto3
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    from flowhold_storage_s3.times import time_of

    options = dict(options)
    session = {name: options.pop(name) for name in _OF_SESSION if name in options}
    given = options.pop("config", None)
    if session.get("botocore_session") is None:  # and not one that the user has for more
        session["botocore_session"] = own = botocore.session.get_session()
        own.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=time_of)
    try:
        config = Config(
            connect_timeout=timeout,
            read_timeout=timeout,
            retries={"mode": "standard", "total_max_attempts": retries + 1},
            max_pool_connections=_CONNECTIONS,
        ).merge(Config(**given) if isinstance(given, Mapping) else given or Config())
        client = boto3.Session(**session).client("s3", config=config, **options)
    except (BotoCoreError, AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"no S3 client can be made: {error}", hint="check client_options"
        ) from error
    client.meta.events.register_first("needs-retry.s3.HeadBucket", refuse_to_be_sent_on)
    client.meta.events.register_last("before-call.s3", _send_little_at_once)
    return client


def _send_little_at_once(params: dict[str, Any], **_event: Any) -> None:
    """Have a body of up to 1 MiB sent without asking the server first whether it wants it.

    That takes another turn of the network, for which curl finds less not worth it either. It is a
    handler of the event ``before-call.s3``.
    """
    from botocore.utils import determine_content_length

    headers, body = params["headers"], params.get("body")
    # What is wrapped to end with a checksum cannot be measured any more.
    size = headers.get("X-Amz-Decoded-Content-Length") or determine_content_length(body)
    if size is not None and int(size) <= _LITTLE:
        headers.pop("Expect", None)
