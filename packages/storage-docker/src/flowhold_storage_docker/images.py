"""Flows in an image: how it comes to be, and how they are found in it again."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from platform import python_version_tuple
from typing import TYPE_CHECKING, Any

from flowhold import environment, settings
from flowhold.errors import ConfigurationError, IntegrityError
from flowhold.selection import split_target
from flowhold.storage.packed import PackedStorage
from flowhold.storage.records import Record
from flowhold.unpacking import kind_of
from flowhold_storage_docker import naming
from flowhold_storage_docker.building import build_image, check_whole, pull_base
from flowhold_storage_docker.context import write_context
from flowhold_storage_docker.engine import Engine, open_engine
from flowhold_storage_docker.image import Image, check_pushed, find_image
from flowhold_storage_docker.inside import references_inside, same_flow
from flowhold_storage_docker.recipes import fingerprint_of, patterns_of, recipe_of, reference_file

if TYPE_CHECKING:
    from typing_extensions import Self

    from flowhold_storage_docker.containers import ContainerRunner
    from flowhold_storage_docker.dockerfile import Recipe

__all__ = ["ImageStorage"]


class ImageStorage(PackedStorage):
    """Builds an image of the flows, pushes it, and runs or takes flows out of it by its digest.

    Its options are those of :class:`~flowhold_storage_docker.Docker`, which checks them.
    """

    registry_url: str | None
    base_image: str | None
    dockerfile: str | None
    dockerignore: str | None
    python_dependencies: list[str] | None
    image_name: str | None
    image_tag: str | None
    env_vars: dict[str, str] | None
    files: dict[str, str] | None
    flowhold_version: str | None
    local_image: bool
    ignore_healthchecks: bool
    base_url: str | None
    tls_config: Any
    build_kwargs: dict[str, Any] | None
    flowhold_directory: str
    path: str | None
    extra_dockerfile_commands: list[str] | None
    platform: str | None
    run_kwargs: dict[str, Any] | None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._image: Image | None = None
        self._push = True

    # What is in the image.

    @property
    def base(self) -> str:
        """Name of the image to build on."""
        python = ".".join(python_version_tuple()[:2])
        return self.base_image or f"python:{python}-slim"

    @property
    def flows_directory(self) -> str:
        """Folder of the flows in the image."""
        return posixpath.join(self.flowhold_directory, "flows")

    @property
    def image(self) -> str | None:
        """Repository and tag of the image, None before it is built."""
        return str(self._image) if self._image else None

    def _stores(self) -> bool:
        given = self.local_script_path or self.include is not None
        return not self.stored_as_script or bool(given) or self.path is None

    def fingerprint(self, flow: Any) -> str | None:
        """Return a hash of the flow and of all else that goes into the image."""
        text = f"{super().fingerprint(flow)} {fingerprint_of(self)} {self.path}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _add(self, flow: Any) -> Record:
        if not self._stores():
            return Record(self.path or "", "image", environment=environment.record())
        payload = self._packing().pack(flow)
        ending = ".py" if payload.kind == "script" else ".flow"
        location = self._free_location(flow.name, payload.sha256, ending)
        self._pending[flow.name] = payload
        return Record(
            location, "image", payload.sha256, payload.size, environment=payload.environment
        )

    def _free_location(self, name: str, sha256: str, ending: str = ".flow") -> str:
        location = self.path or posixpath.join(
            self.flows_directory, f"{naming.file_of(name)}{ending}"
        )
        if location in self.flows.values():
            raise ConfigurationError(
                f"two flows of this Docker storage have the path {location}",
                hint="leave path= out, and each gets a file of its own",
            )
        return location

    def adopt(self, name: str, data: bytes, record: Record) -> str:
        """Add a flow as another storage holds it; :meth:`build` puts exactly it into the image."""
        location = super().adopt(name, data, record)
        self._records[name].kind = "image"
        return location

    def emptied(self) -> Self:
        """Return a storage like this one, without flows and without an image."""
        check_whole(self, self._image)
        storage = super().emptied()
        storage._image = None
        return storage

    def _recipe(self) -> Recipe:
        check_whole(self, self._image)
        contents = {}
        for name, record in self._records.items():
            if name in self._pending:
                payload = self._pending[name]
                contents[name] = payload.kind, b"".join(payload.parts)
            elif record.sha256:
                data = self.read(record)
                contents[name] = kind_of(data), data
        return recipe_of(self, self._records, contents)

    def create_dockerfile_object(self, directory: str | os.PathLike[str] = ".") -> str:
        """Write the build context; no engine is needed, and the bytes are the same each time.

        Args:
            directory: A new or empty folder.

        Returns:
            The absolute path of the Dockerfile in it, for ``docker build``.

        Raises:
            ConfigurationError: An option cannot be in a Dockerfile, or the folder is not empty.
        """
        return str(write_context(self._recipe(), Path(directory), patterns_of(self)))

    # Building.

    @property
    def engine(self) -> Engine:
        """The engine of `base_url`; see :func:`open_engine` for the errors."""
        return open_engine(self.base_url, self.tls_config)

    def build(self, push: bool = True) -> Self:
        """Build the image with every flow that was added, and push it.

        Nothing is built where nothing was added since the last build.

        Args:
            push: Whether to push it, where there is a `registry_url`.

        Raises:
            BuildError: It could not be built; the text has the output of the step that failed.
            TransferError: The image to build on could not be pulled, or the image not pushed.
        """
        self._push = push
        super().build()
        return self

    def _build(self) -> None:
        if any(record.revision is None for record in self._records.values()):
            self.build_image(push=self._push)
        elif self._push:
            self._push_built()
        # Not before: what could not be pushed is not stored.
        self._pending.clear()

    def build_image(self, push: bool = True) -> tuple[str, str]:
        """Build the image, whether or not flows were added, and return its repository and tag.

        Arguments and errors are those of :meth:`build`.
        """
        self._image, digest = build_image(self, self._recipe())
        self._pin(digest)
        if push:
            self._push_built()
        return self._image.repository, self._image.tag

    def _push_built(self) -> None:
        image = self._image
        if image and self.registry_url and not image.pushed:
            digest = self.push_image(image.repository, image.tag)
            for built in {record.revision for record in self._records.values()}:
                check_pushed(self.engine, image, str(built), digest)
            self._pin(digest)
            self._image = replace(image, pushed=True)

    def _pin(self, digest: str) -> None:
        for record in self._records.values():
            record.revision = digest

    def pull_image(self) -> None:
        """Pull the image to build on; raise TransferError where that fails."""
        pull_base(self)

    def push_image(self, image_name: str, image_tag: str) -> str:
        """Push an image, which stays on the engine too, and return its digest.

        Args:
            image_name: Its repository, with the registry.
            image_tag: Its tag.

        Raises:
            TransferError: It could not be pushed.
        """
        return self.engine.push(image_name, image_tag)

    # Finding flows in the image again.

    def _find_image(self, record: Record) -> str:
        return find_image(self.engine, self._image, record.revision, self.platform)

    def _bare(self, location: str, *, allow_unverified: bool) -> Record | None:
        for found in references_inside(self.flows_directory):
            if found.location == location and found.sha256:
                return Record(location, "image", found.sha256, found.size)
        return None

    def _load(self, name: str | None, record: Record, *, allow_unverified: bool) -> Any:
        if inner := same_flow(self.flows_directory, name, record):
            return inner.open_storage().get_flow(inner.flow)
        return super()._load(name, record, allow_unverified=allow_unverified)

    def _kind(self, record: Record, data: bytes) -> str:
        return kind_of(data)

    def _read(self, record: Record) -> bytes:
        limit = record.size if record.size is not None else settings.current().max_tree_bytes
        path, _ = split_target(record.location)
        data = self.engine.read_file(self._find_image(record), path, limit, self.platform)
        if record.sha256 is not None and hashlib.sha256(data).hexdigest() != record.sha256:
            raise IntegrityError(
                f"{record.location} in the image is not what was recorded; nothing of it was run",
                storage=self.name,
                location=record.location,
                hint="find out who made the reference; `flowhold register --force` makes a new one",
            )
        return data

    def _check(self, record: Record) -> str:
        data = self._read(record)
        pinned = f"{self._image.repository if self._image else 'image'}@{record.revision}"
        return f"{record.location} in {pinned}: {len(data):,} bytes, as recorded"

    def get_env_runner(self, name_or_location: str | None = None) -> ContainerRunner | None:
        """Return what runs a flow in a container; None in a container of the image itself.

        Args:
            name_or_location: Name or location of a flow; None takes the only one.

        Raises:
            FlowNotFoundError: It is not here.
            StorageError: The image is not built, or cannot be had.
        """
        from flowhold_storage_docker.containers import ContainerRunner

        name, record = self._find(name_or_location, allow_unverified=False)
        if name is None or same_flow(self.flows_directory, name, record):
            return None
        return ContainerRunner(
            self.engine,
            self._find_image(record),
            name,
            reference_file(self, name),
            secrets=self.secrets,
            options=self.run_kwargs,
            platform=self.platform,
        )

    def _describe(self) -> dict[str, Any]:
        built = {"image": self._image.to_json()} if self._image else {}
        return {**super()._describe(), **built}

    def _restore(self, document: Mapping[str, Any]) -> None:
        super()._restore(document)
        self._image = Image.from_json(document.get("image"))
