"""Secrets from HashiCorp Vault, or a server with its API: version 2 of the key-value engine.

``flowhold.secret("team/db#password")`` is the key ``password`` at ``team/db``; without ``#`` the
key is ``value``. Where ``VAULT_ADDR`` is not set, nothing is asked.
"""

from __future__ import annotations

import json
import os
import ssl
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from flowhold import hookimpl
from flowhold.errors import ConfigurationError, FlowholdError, PluginError
from flowhold.redaction import remember

__all__ = ["flowhold_secret"]

_SECONDS = 10.0
_LARGEST = 4 << 20
_HINTS = {
    403: "check the token in VAULT_TOKEN, whether it has expired, and its policies",
    503: "Vault is sealed or in maintenance",
}


@hookimpl
def flowhold_secret(name: str) -> str | None:
    """Return a secret, None where Vault has none of that name, so that others are asked."""
    address = os.environ.get("VAULT_ADDR", "").rstrip("/")
    path, _, key = name.partition("#")
    # A path must not lead to another of Vault's APIs.
    if not address or any(part in ("", ".", "..") for part in path.split("/")):
        return None
    mount = os.environ.get("VAULT_MOUNT", "secret").strip("/")
    answer = _ask(address, f"/v1/{quote(mount)}/data/{quote(path)}")
    # An error is raised here, where no frame of its traceback knows the token.
    if isinstance(answer, FlowholdError):
        raise answer
    value = answer.get(key or "value")
    if value is None or isinstance(value, str):
        return value
    del value, answer
    raise PluginError(f"the key {key or 'value'} of {path} in Vault is not text")


def _ask(address: str, path: str) -> dict[str, Any] | FlowholdError:
    """Return the keys at a path, none where there is no such path, or the error to raise."""
    if urlsplit(address).scheme != "https" and urlsplit(address).hostname not in _LOOPBACK:
        return ConfigurationError(f"VAULT_ADDR is not https://…, so {address} gets no token")
    try:
        token = os.environ.get("VAULT_TOKEN") or _token_file().read_text(encoding="utf-8")
        token = token.strip()
        tls = ssl.create_default_context(cafile=os.environ.get("VAULT_CACERT") or None)
    except (OSError, UnicodeDecodeError) as error:
        return ConfigurationError(
            f"no token or no certificate for Vault: {type(error).__name__}",
            hint=f"set VAULT_TOKEN, or write it to {_token_file()}; VAULT_CACERT is a file",
        )
    remember(token)
    if not (token.isascii() and token.isprintable()):
        return ConfigurationError("the token for Vault is not one line of ASCII")
    headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}
    if namespace := os.environ.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = namespace
    opener = build_opener(HTTPSHandler(context=tls), _NoRedirect)
    try:
        with opener.open(Request(address + path, headers=headers), timeout=_SECONDS) as answer:
            found = json.loads(answer.read(_LARGEST))["data"]["data"]
    except HTTPError as error:
        error.close()
        if error.code == 404:
            return {}
        hint = _HINTS.get(error.code, "ask who runs it")
        return PluginError(f"Vault at {address} answers HTTP {error.code} to {path}", hint=hint)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        hint = "check VAULT_ADDR, the network, and VAULT_CACERT for a CA of your own"
        return PluginError(f"Vault at {address} cannot be reached: {reason}", hint=hint)
    except (ValueError, LookupError, TypeError):
        found = None
    if isinstance(found, dict):
        return found
    hint = "VAULT_MOUNT has to be a key-value engine of version 2"
    return PluginError(f"Vault at {address} does not answer as it should to {path}", hint=hint)


_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _token_file() -> Path:
    return Path(os.environ.get("VAULT_TOKEN_FILE") or Path.home() / ".vault-token")


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirect: the token would go along, to whatever host it leads to."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None
