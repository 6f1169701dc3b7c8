"""Builds the image of a storage: its base, its context, its name, and its way to a registry."""

from __future__ import annotations

import logging
import uuid
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flowhold.errors import ConfigurationError, ObjectNotFoundError
from flowhold.redaction import mask
from flowhold.storage.keys import slug, timestamp
from flowhold_storage_docker import naming
from flowhold_storage_docker.context import archive_of
from flowhold_storage_docker.errors import TransferError
from flowhold_storage_docker.healthcheck import WARNING
from flowhold_storage_docker.image import Image
from flowhold_storage_docker.recipes import patterns_of

if TYPE_CHECKING:
    from flowhold_storage_docker.dockerfile import Recipe
    from flowhold_storage_docker.images import ImageStorage

__all__ = ["UNWRITTEN", "build_image", "check_whole", "pull_base"]

UNWRITTEN = ("build_kwargs", "dockerfile", "dockerignore", "env_vars", "files")
"""Options that make an image what it is, and that are not serialized."""

_log = logging.getLogger("flowhold.docker")


def check_whole(storage: ImageStorage, image: Image | None) -> None:
    """Refuse to build anew without options that an image was built by and that were not written.

    Raises:
        ConfigurationError: The storage was deserialized, and has not got them since.
    """
    lost = [name for name in image.unwritten if getattr(storage, name, 0) is None] if image else []
    if lost:
        raise ConfigurationError(
            f"the image was built with {', '.join(lost)}, which a serialized storage does not have",
            hint=f"make the storage anew with them, or set them first: storage.{lost[0]} = ...",
        )


def build_image(storage: ImageStorage, recipe: Recipe) -> tuple[Image, str]:
    """Build the image of a storage's flows, and return it with its ID.

    Raises:
        BuildError: It could not be built; the text has the output of the step that failed.
        TransferError: The image to build on could not be pulled.
        ObjectNotFoundError: It is not on the engine, and not to be pulled.
    """
    engine = storage.engine
    if storage.dockerfile is None:
        if not storage.local_image:
            pull_base(storage)
        elif engine.inspect(storage.base) is None:
            raise ObjectNotFoundError(
                f"the image to build on, {storage.base}, is not on the engine at {engine.place}",
                storage=storage.name,
                location=storage.base,
                hint="`docker pull` it, or leave local_image out to have it pulled",
            )
    names = [*storage.flows]
    name = storage.image_name or (slug(names[0]) if len(names) == 1 else uuid.uuid4().hex)
    image = Image(
        naming.repository_of(storage.registry_url, name),
        storage.image_tag or timestamp(),
        unwritten=tuple(each for each in UNWRITTEN if getattr(storage, each) is not None),
    )
    given = dict(storage.build_kwargs or {})
    own = given.pop("labels", None) or {}
    if not isinstance(own, Mapping):
        raise ConfigurationError("labels in build_kwargs must be a mapping")
    labels = {"org.opencontainers.image.version": image.tag, **own}
    heard: list[str] = []
    with archive_of(recipe, patterns_of(storage)) as context:
        digest = engine.build(
            context, str(image), heard.append, labels=labels, platform=storage.platform, **given
        )
    # Not before: as an error, a warning would end the build and leave what it has begun.
    for line in heard:
        if line.startswith(WARNING):
            warnings.warn(mask(line.removeprefix(WARNING).strip()), UserWarning, stacklevel=2)
    if storage.registry_url is None:
        _log.info("the image %s stays on this engine: there is no registry_url", image)
    return image, digest


def pull_base(storage: ImageStorage) -> None:
    """Pull the image to build on; raise TransferError where that fails."""
    repository, tag = naming.split_base(storage.base)
    try:
        storage.engine.pull(repository, tag, storage.platform)
    except TransferError as error:
        if storage.engine.inspect(storage.base) is not None:
            error.hint = f"local_image=True builds on the one that is here. {error.hint or ''}"
        raise
