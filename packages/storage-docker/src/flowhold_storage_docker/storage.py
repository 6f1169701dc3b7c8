"""Flows in Docker images."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from platform import python_version_tuple
from typing import TYPE_CHECKING, Any, ClassVar

from flowhold import environment, settings
from flowhold.errors import ConfigurationError, IntegrityError
from flowhold.selection import split_target
from flowhold.storage.capabilities import Capability
from flowhold.storage.documents import strings
from flowhold.storage.packed import PackedStorage
from flowhold.storage.records import Record
from flowhold.unpacking import kind_of
from flowhold_storage_docker import naming
from flowhold_storage_docker.building import build_image, pull_base
from flowhold_storage_docker.context import write_context
from flowhold_storage_docker.engine import Engine, open_engine
from flowhold_storage_docker.image import Image, find_image
from flowhold_storage_docker.inside import references_inside, same_flow
from flowhold_storage_docker.options import (
    check_build_kwargs,
    check_directory,
    check_requirements,
    check_variables,
)
from flowhold_storage_docker.recipes import (
    fingerprint_of,
    patterns_of,
    recipe_of,
    reference_file,
)

if TYPE_CHECKING:
    from flowhold_storage_docker.containers import ContainerRunner
    from flowhold_storage_docker.dockerfile import Recipe

__all__ = ["Docker"]

_ENDINGS = {"script": ".py"}


class Docker(PackedStorage):
    """Keeps flows in an image, which is built, pushed to a registry, and run from by its digest.

    ``flowhold run`` runs a flow in a container of its image; :meth:`get_flow` takes the flow out of
    the image, checked, into this process. In a container of the image both take the file there.

    Args:
        registry_url: Registry to push to, perhaps with a path: ``registry.example.com/team``;
            without one the image stays on the engine that builds it.
        base_image: Image to build on, with Python and pip; default: ``python:X.Y-slim`` of the
            Python that runs here.
        dockerfile: Path of a Dockerfile to build on instead; its context is the working directory.
        dockerignore: Path of a file that says what of folders is left out; with `dockerfile` the
            default is ``.dockerignore``.
        python_dependencies: Requirements that pip installs, as ``"pandas[parquet]<3"``.
        image_name: Of the image; default: the slug of the only flow's name, else a UUID.
        image_tag: Of the image; default: the time of the build.
        env_vars: Variables of the image; in them ``$VAR`` and ``${VAR}`` are variables of the
            image, ``$$`` is a dollar. They are no place for secrets.
        files: Absolute paths of files and folders to copy, each with its place in the image.
        flowhold_version: A release, what pip takes for one, or a revision of Flowhold's
            repository; default: what runs here.
        local_image: Do not pull the image to build on.
        ignore_healthchecks: Do not load the flows as the last step of the build.
        base_url: Address of the engine; default: ``DOCKER_HOST``, else the platform's socket.
        tls_config: A ``docker.tls.TLSConfig``, or its arguments as a mapping.
        build_kwargs: Further arguments of the SDK's ``build``: ``network_mode``, ``buildargs``,
            ``labels`` and so on.
        flowhold_directory: Folder of Flowhold in the image.
        path: File of the flow in the image. With ``stored_as_script`` and neither
            ``local_script_path`` nor ``include``, a script that is in the image already, or
            ``pkg.mod`` or ``pkg.mod:attr``.
        stored_as_script: Keep scripts instead of pickles.
        extra_dockerfile_commands: Lines that come before the health checks.
        platform: As ``linux/arm64``, of the image and its containers.
        run_kwargs: For containers: arguments of the SDK's ``create_host_config``
            (``network_mode``, ``mem_limit``, ``binds`` …), ``user``, ``working_dir``, ``hostname``.
        **options: See :class:`~flowhold.storage.packed.PackedStorage`. ``prefect_version`` and
            ``prefect_directory`` are taken for the arguments that they are called now.

    Raises:
        ConfigurationError: `base_image` and `dockerfile` are both given, or an option cannot be.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.PICKLE,
            Capability.SCRIPT,
            Capability.BUNDLE,
            Capability.STORE,
            Capability.MANY_FLOWS,
            Capability.ENV_RUNNER,
            Capability.IMAGE,
            Capability.SERIALIZES_FLOWS,
        }
    )
    not_serialized: ClassVar[frozenset[str]] = PackedStorage.not_serialized | {
        *("dockerfile", "dockerignore", "files", "env_vars"),
        *("base_url", "tls_config", "build_kwargs"),
    }
    shown: ClassVar[tuple[str, ...]] = ("registry_url", "image_name", "image_tag")

    def __init__(
        self,
        registry_url: str | None = None,
        base_image: str | None = None,
        dockerfile: str | None = None,
        dockerignore: str | None = None,
        python_dependencies: Sequence[str] | None = None,
        image_name: str | None = None,
        image_tag: str | None = None,
        env_vars: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        flowhold_version: str | None = None,
        local_image: bool = False,
        ignore_healthchecks: bool = False,
        base_url: str | None = None,
        tls_config: Any = False,
        build_kwargs: Mapping[str, Any] | None = None,
        flowhold_directory: str = "/opt/flowhold",
        path: str | None = None,
        stored_as_script: bool = False,
        extra_dockerfile_commands: Sequence[str] | None = None,
        *,
        platform: str | None = None,
        run_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        flowhold_version = options.pop("prefect_version", None) or flowhold_version
        flowhold_directory = options.pop("prefect_directory", None) or flowhold_directory
        super().__init__(stored_as_script=stored_as_script, **options)
        if base_image is not None and dockerfile is not None:
            raise ConfigurationError("base_image= and dockerfile= exclude each other")
        self.registry_url = registry_url
        self.base_image = None if base_image is None else naming.check_base(base_image)
        self.dockerfile = dockerfile
        self.dockerignore = dockerignore
        self.python_dependencies = check_requirements(python_dependencies)
        naming.repository_of(registry_url, image_name or "image")
        self.image_name = image_name
        self.image_tag = None if image_tag is None else naming.check_tag(image_tag)
        self.env_vars = check_variables(env_vars)
        self.files = dict(files or {}) or None
        self.flowhold_version = flowhold_version
        self.local_image = local_image
        self.ignore_healthchecks = ignore_healthchecks
        self.base_url = base_url
        self.tls_config = tls_config
        self.build_kwargs = check_build_kwargs(build_kwargs)
        self.flowhold_directory = check_directory(flowhold_directory)
        self.path = path
        commands = strings("extra_dockerfile_commands", extra_dockerfile_commands)
        self.extra_dockerfile_commands = commands or None
        self.platform = platform
        self.run_kwargs = dict(run_kwargs or {}) or None
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
        self._pending[flow.name] = payload
        location = self.path or posixpath.join(
            self.flows_directory,
            f"{naming.file_of(flow.name)}{_ENDINGS.get(payload.kind, '.flow')}",
        )
        if location in self.flows.values():
            del self._pending[flow.name]
            raise ConfigurationError(
                f"two flows of this Docker storage have the path {location}",
                hint="leave path= out, and each gets a file of its own",
            )
        return Record(
            location, "image", payload.sha256, payload.size, environment=payload.environment
        )

    def _recipe(self) -> Recipe:
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

    def build(self, push: bool = True) -> Docker:
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
        unbuilt = any(record.revision is None for record in self._records.values())
        if self._records and (self._pending or unbuilt):
            self.build_image(push=self._push)
        elif self._image and self._push:
            self._push_built()

    def build_image(self, push: bool = True) -> tuple[str, str]:
        """Build the image, whether or not flows were added, and return its repository and tag.

        Arguments and errors are those of :meth:`build`.
        """
        self._image, digest = build_image(self, self._recipe())
        self._pending.clear()
        self._pin(digest)
        if push:
            self._push_built()
        return self._image.repository, self._image.tag

    def _push_built(self) -> None:
        image = self._image
        if image and self.registry_url and not image.pushed:
            self._pin(self.push_image(image.repository, image.tag))
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
            if found.location == location:
                return Record(location, "image", found.sha256, found.size)
        return None

    def _load(self, name: str | None, record: Record, *, allow_unverified: bool) -> Any:
        if inner := same_flow(self.flows_directory, name, record):
            return inner.open_storage().get_flow(inner.flow)
        return super()._load(name, record, allow_unverified=allow_unverified)

    def _kind(self, record: Record, data: bytes) -> str:
        return kind_of(data)

    def read(self, record: Record, *, pending: str | None = None) -> bytes:
        """Return the bytes of a flow, out of the image, checked by their digest.

        Raises:
            IntegrityError: They are not the bytes that were recorded.
        """
        if pending in self._pending:
            return b"".join(self._pending[pending].parts)
        if record.sha256 is None:
            return self._read(record)
        from flowhold import cache

        return cache.object_of(record.sha256, lambda: self._read(record))

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

    def _describe(self, names: Iterable[str] = ()) -> dict[str, Any]:
        built = {"image": self._image.to_json()} if self._image else {}
        return {**super()._describe(names), **built}

    def _restore(self, document: Mapping[str, Any]) -> None:
        super()._restore(document)
        self._image = Image.from_json(document.get("image"))
