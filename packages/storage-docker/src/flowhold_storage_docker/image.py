"""An image: its repository, tag and digest, and how an engine comes by it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowhold.errors import ConfigurationError, IntegrityError, ObjectNotFoundError, StorageError
from flowhold.storage.documents import strings
from flowhold_storage_docker import naming

if TYPE_CHECKING:
    from flowhold_storage_docker.engine import Engine

__all__ = ["Image", "check_pushed", "find_image"]

_DIGEST = re.compile("sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Image:
    """An image that was built."""

    repository: str
    tag: str
    pushed: bool = False
    unwritten: tuple[str, ...] = ()
    """Names of options that it was built by and that are not serialized."""

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        known = {**vars(self), "unwritten": [*self.unwritten]}
        return {name: value for name, value in known.items() if value != []}

    @classmethod
    def from_json(cls, document: Any) -> Image | None:
        """Return the image of these fields, None where there are none.

        Raises:
            ConfigurationError: They are of no image.
        """
        if document is None:
            return None
        if not isinstance(document, Mapping):
            raise ConfigurationError("this is not a serialized storage: its image is none")
        repository = naming.repository_of(None, str(document.get("repository")))
        tag = naming.check_tag(str(document.get("tag")))
        unwritten = strings("unwritten", document.get("unwritten"))
        return cls(repository, tag, bool(document.get("pushed")), tuple(unwritten))


def check_pushed(engine: Engine, image: Image, built: str, digest: str) -> None:
    """Raise IntegrityError if what was pushed by an image's tag is not what was built.

    Args:
        engine: Where it was built.
        image: The image.
        built: ID of what was built.
        digest: Of what was pushed.
    """
    found = engine.inspect(built) or {}
    if not any(str(each).endswith(f"@{digest}") for each in found.get("RepoDigests") or ()):
        raise IntegrityError(
            f"{image} was given to another image between building and pushing it",
            storage="Docker",
            hint="leave image_tag out, so that each build has a tag of its own, and try again",
        )


def find_image(
    engine: Engine, image: Image | None, digest: str | None, platform: str | None
) -> str:
    """Return by what an engine finds an image; it is pulled where the engine has it not.

    Args:
        engine: Where it is wanted.
        image: The image.
        digest: The one it has in its registry, else its ID.
        platform: As ``linux/arm64``, or None.

    Raises:
        IntegrityError: The digest is none.
        StorageError: It is not built yet.
        ObjectNotFoundError: It is on another engine only.
        TransferError: It could not be pulled.
    """
    if digest is None:
        raise StorageError(
            "the image is not built yet", storage="Docker", hint="call build() before"
        )
    if not _DIGEST.fullmatch(digest):
        raise IntegrityError(f"{digest!r:.80} is not the digest of an image", storage="Docker")
    known = f"{image.repository}@{digest}" if image else digest
    if image and engine.inspect(known):
        return known
    found = engine.inspect(digest)
    # An engine takes the beginning of an ID, and a name that looks like one, too.
    if found and found.get("Id") == digest:
        return digest
    if image and image.pushed:
        engine.pull(image.repository, digest, platform)
        return known
    raise ObjectNotFoundError(
        f"the image {image or ''} with the ID {digest} is not on the engine at {engine.place}",
        storage="Docker",
        location=digest,
        hint="it was built on another engine and not pushed: register the flow with a registry_url",
    )
