"""What versions are called: in keys of a catalog, and as ``NAME@VERSION`` by people.

The key of an entry is ``<flow name, percent-encoded>/<version, ten digits>.json``.
"""

from __future__ import annotations

import urllib.parse

from flowhold.errors import ConfigurationError

__all__ = ["DIGITS", "folder_of", "key_of", "name_in", "number_in", "split_name"]

DIGITS = 10
"""Of a version."""

_MAX_NAME = 255


def folder_of(name: str) -> str:
    """Return what the keys of a flow's entries begin with.

    Raises:
        ConfigurationError: A flow of that name cannot be in a catalog.
    """
    # A name of dots only would be a path of its own.
    try:
        encoded = urllib.parse.quote(name, safe="").replace(".", "%2E")
    except UnicodeEncodeError:
        encoded = ""
    if not 1 <= len(encoded) <= _MAX_NAME:
        raise ConfigurationError(
            f"the flow name {name[:60]!r} cannot be in a catalog",
            hint=f"its percent-encoded form must have 1 to {_MAX_NAME} characters",
        )
    return encoded


def key_of(name: str, version: int) -> str:
    """Return the key of a version; raises as :func:`folder_of`."""
    return f"{folder_of(name)}/{version:0{DIGITS}}.json"


def name_in(key: str) -> str:
    """Return the name of the flow that a key is of."""
    return urllib.parse.unquote(key.partition("/")[0])


def number_in(key: str) -> int:
    """Return the version that a key is of; 0 for a key that is none."""
    stem = key.rpartition("/")[2].removesuffix(".json")
    valid = key.count("/") == 1 and key.endswith(".json") and stem.isascii() and stem.isdigit()
    return int(stem) if valid and len(stem) == DIGITS else 0


def split_name(text: str) -> tuple[str, int | None]:
    """Split ``NAME`` or ``NAME@VERSION``.

    Raises:
        ConfigurationError: What is behind the last ``@`` is not a version.
    """
    name, at, version = text.rpartition("@")
    if not at:
        return text, None
    if (
        not name
        or not version.isascii()
        or not version.isdigit()
        or len(version) > DIGITS
        or not int(version)
    ):
        raise ConfigurationError(
            f"{text!r} is not NAME or NAME@VERSION", hint="versions are whole numbers from 1"
        )
    return name, int(version)
