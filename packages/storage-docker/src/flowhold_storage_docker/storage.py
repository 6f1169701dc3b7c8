"""Flows in Docker images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from flowhold.errors import ConfigurationError
from flowhold.storage.arguments import take_old
from flowhold.storage.capabilities import Capability
from flowhold.storage.documents import strings
from flowhold_storage_docker import naming
from flowhold_storage_docker.images import ImageStorage
from flowhold_storage_docker.options import (
    check_build_kwargs,
    check_directory,
    check_files,
    check_requirements,
    check_run_kwargs,
    check_variables,
    check_version,
)

__all__ = ["Docker"]

_VERSION = (
    "it is a release of Flowhold; where the flows need Prefect, add it to python_dependencies"
)
_DIRECTORY = "use that name; flows lie in its folder flows, as they did"


class Docker(ImageStorage):
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
    not_serialized: ClassVar[frozenset[str]] = ImageStorage.not_serialized | {
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
        if None not in (flowhold_version, options.get("prefect_version")):
            raise ConfigurationError("flowhold_version= and prefect_version= are the same option")
        flowhold_version = take_old(
            options, "prefect_version", "flowhold_version", flowhold_version, _VERSION
        )
        flowhold_directory = take_old(
            options, "prefect_directory", "flowhold_directory", flowhold_directory, _DIRECTORY
        )
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
        self.files = check_files(files)
        self.flowhold_version = check_version(flowhold_version)
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
        self.run_kwargs = check_run_kwargs(run_kwargs)
