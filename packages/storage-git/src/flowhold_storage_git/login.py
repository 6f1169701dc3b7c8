"""Credentials for a forge, which nothing shows."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from flowhold._secrets import secret
from flowhold.errors import ConfigurationError, SecretNotFoundError
from flowhold.redaction import forms_of, hide, remember

__all__ = ["Login", "token_of"]


class Login:
    """Credentials, which nothing shows.

    Args:
        headers: What each request to the API gets.
        username: User for git that goes with the password.
        password: Password or token for git.
    """

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self.headers = headers or {}
        self.username = username
        self.password = password

    def left_out_of(self, text: str) -> str:
        """Return a text without the password."""
        shown = [value.rpartition(" ")[2] for value in self.headers.values()]
        hidden = filter(None, (*shown, self.password))
        return hide(text, {form for value in hidden for form in forms_of(value)})

    def __repr__(self) -> str:
        return "<login>" if self.password else "<no login>"


def token_of(option: str | None, default: str) -> str | None:
    """Return the token to log in with, None for nobody's.

    Args:
        option: Name of a secret that has to be there.
        default: Name of a secret, or else of an environment variable, that may be.

    Raises:
        SecretNotFoundError: The secret that is named is not there.
        ConfigurationError: It holds no token; the text does not show it.
    """
    token = (secret(option) if option else _found(default)).strip()
    if re.fullmatch(r"[\x21-\x7e]+", token):
        remember(token)  # of the environment, too
        return token
    is_absent = not token and not option
    del token
    if is_absent:
        return None
    raise ConfigurationError(
        f"the secret {option or default} holds no token", hint="a token is one word of ASCII"
    )


def _found(name: str) -> str:
    try:
        return secret(name)
    except SecretNotFoundError:
        return os.environ.get(name, "")
