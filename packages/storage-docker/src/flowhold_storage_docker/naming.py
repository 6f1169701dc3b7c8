"""Names of images, as registries and engines take them, and of flows' files in them."""

from __future__ import annotations

import hashlib
import re

from flowhold.errors import ConfigurationError
from flowhold.storage.keys import slug

__all__ = ["check_base", "check_tag", "file_of", "repository_of", "split_base"]

# Without a dot, a port or this one name, it is the first part of a name on Docker Hub.
_HOST = (
    r"(?=localhost/|[^/]*[.:])"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?"
)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_BASE = re.compile(
    rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::{_TAG.pattern})?(?:@sha256:[0-9a-f]{{64}})?"
)
# Engines take it for the ID of an image.
_ID = re.compile("[0-9a-f]{64}")
_LONGEST = 255


def repository_of(registry_url: str | None, name: str) -> str:
    """Return the repository of an image: ``registry.example.com:5000/team/etl``.

    Args:
        registry_url: Host of a registry, perhaps with a port and a path; of Docker Hub the user's
            name alone, or ``docker.io/user``. ``https://`` before it is left out.
        name: Of the image.

    Raises:
        ConfigurationError: They make no name of a repository. The text shows no credentials.
    """
    if not isinstance(registry_url or "", str) or not isinstance(name, str):
        raise ConfigurationError("registry_url and image_name must be text")
    registry = re.sub(r"^https?://", "", registry_url or "", flags=re.IGNORECASE).strip("/")
    if "@" in registry:
        raise ConfigurationError(
            "registry_url has a login in it, which would be written down with each flow",
            hint="log in with `docker login`",
        )
    repository = f"{registry}/{name}" if registry else name
    fits = _REPOSITORY.fullmatch(repository) and not _ID.fullmatch(repository)
    if not fits or len(repository) > _LONGEST:
        raise ConfigurationError(
            f"{repository[:80]!r} cannot be the name of an image",
            hint="names have lower-case letters, digits and single . _ - in them, parts by /",
        )
    return repository


def check_tag(tag: str) -> str:
    """Return a tag; raise ConfigurationError if it cannot be one."""
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        raise ConfigurationError(
            f"{tag!r:.60} cannot be the tag of an image",
            hint="tags have letters, digits, and . _ - in them, 128 at most",
        )
    return tag


def check_base(image: str) -> str:
    """Return the name of an image to build on; raise ConfigurationError if it cannot be one."""
    if not isinstance(image, str) or not _BASE.fullmatch(image):
        raise ConfigurationError(
            f"base_image {image!r:.60} is not the name of an image", hint="as python:3.11-slim"
        )
    return image


def split_base(image: str) -> tuple[str, str]:
    """Return the repository of an image, and its digest or tag, ``latest`` where it has none."""
    repository, at, digest = image.partition("@")
    if at:
        return re.sub(r":[^:/]*$", "", repository), digest
    head, colon, tag = repository.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (repository, "latest")


def file_of(name: str) -> str:
    """Return the name of a flow's file, without an ending; other flows have other ones."""
    short = slug(name)
    if short == name:
        return short
    # No slug has the character in the middle.
    return f"{short}_{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:12]}"
