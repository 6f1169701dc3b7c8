"""The Docker engine and the registries behind it: images by name and digest."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from flowhold.errors import ConfigurationError, FlowholdError, ObjectNotFoundError, StorageError
from flowhold_storage_docker.buildlog import BuildLog
from flowhold_storage_docker.connecting import connect, sdk_errors
from flowhold_storage_docker.errors import BuildError, failure, start_failure, transfer_failure
from flowhold_storage_docker.extraction import only_file
from flowhold_storage_docker.progress import Display, display

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["Engine", "open_engine"]

_log = logging.getLogger("flowhold.docker")


def open_engine(base_url: str | None, tls: Any) -> Engine:
    """Return the engine at an address; see :func:`connect` for arguments and errors."""
    return Engine(*connect(base_url, tls))


class Engine:
    """What is asked of an engine; its errors are ours.

    Args:
        client: Of the SDK.
        place: Its address, for messages.
    """

    def __init__(self, client: APIClient, place: str) -> None:
        self.client = client
        self.place = place

    @contextmanager
    def errors(self, what: str | None = None) -> Iterator[None]:
        """Raise our errors in place of the SDK's; `what` is what they concern."""
        with sdk_errors(lambda error: failure(error, what or self.place, self.place)):
            yield

    @contextmanager
    def start_errors(self, image: str) -> Iterator[None]:
        """Do the same where a container of an image is made and started."""
        with sdk_errors(lambda error: start_failure(error, image, self.place)):
            yield

    def inspect(self, image: str) -> dict[str, Any] | None:
        """Return what the engine knows of an image, None where it has it not."""
        from docker.errors import NotFound

        with self.errors(image):
            try:
                found: dict[str, Any] = self.client.inspect_image(image)
            except NotFound:
                return None
        return found

    def pull(self, repository: str, tag: str, platform: str | None = None) -> None:
        """Pull an image by tag or digest.

        Raises:
            TransferError: It could not be pulled.
        """
        place = f"{repository}{'@' if ':' in tag else ':'}{tag}"
        self._transfer(
            place,
            lambda: self.client.pull(repository, tag, stream=True, decode=True, platform=platform),
        )

    def push(self, repository: str, tag: str) -> str:
        """Push an image and return its digest in the registry.

        Raises:
            TransferError: It could not be pushed.
        """
        place = f"{repository}:{tag}"
        told = self._transfer(
            place, lambda: self.client.push(repository, tag, stream=True, decode=True)
        )
        digest = next((aux["Digest"] for aux in told if aux.get("Digest")), None)
        if digest is None:
            raise transfer_failure("the registry told no digest of what was pushed", place)
        return str(digest)

    def _transfer(self, place: str, begin: Callable[[], Any]) -> list[dict[str, Any]]:
        """Pull or push, and return the facts that came with it."""
        facts: list[dict[str, Any]] = []
        problem = None
        # A login meanwhile is of another process.
        self.client.reload_config()
        ours = sdk_errors(lambda error: transfer_failure(error, place, self.place))
        with ours, display() as shown:
            for told in begin():
                if isinstance(told.get("aux"), dict):
                    facts.append(told["aux"])
                problem = problem or _problem(told)
                _show(told, shown)
        if problem:
            raise transfer_failure(problem, place)
        return facts

    def build(
        self, context: IO[bytes], name: str, heard: Callable[[str], None], **options: Any
    ) -> str:
        """Build an image and return its ID.

        Args:
            context: The archive of the build context.
            name: Repository and tag of the image.
            heard: Gets each line of the output of steps.
            options: Further arguments of the SDK's ``build``.

        Raises:
            BuildError: It could not be built; the text has the output of the step that failed.
            ConfigurationError: The SDK does not know an argument.
        """
        given = options.get("buildargs")
        log = BuildLog(name, given.values() if isinstance(given, Mapping) else ())
        options = {"rm": True, "forcerm": True, **options}
        image = problem = None
        self.client.reload_config()
        ours = sdk_errors(lambda error: self._build_failure(log, error))
        with ours, display() as shown:
            try:
                stream = self.client.build(
                    fileobj=context, custom_context=True, tag=name, decode=True, **options
                )
            except TypeError as error:
                raise ConfigurationError(f"wrong build_kwargs: {error}") from error

            def show(lines: Iterator[str]) -> None:
                for line in lines:
                    heard(line)
                    shown.line(line)

            for told in stream:
                problem = problem or _problem(told)
                image = (told.get("aux") or {}).get("ID", image)
                if told.get("stream"):
                    show(log.hear(str(told["stream"])))
                else:
                    _show(told, shown)
            show(log.end())
        if problem:
            raise log.error(problem)
        if image is None:
            raise BuildError(
                f"the engine told no ID of the image {name} it built", storage="Docker"
            )
        return str(image)

    def _build_failure(self, log: BuildLog, error: Exception) -> FlowholdError:
        """Return the error to raise for one of the SDK's, such as for a wrong Dockerfile."""
        found = failure(error, self.place, self.place)
        return log.error(error) if type(found) in (StorageError, ObjectNotFoundError) else found

    def read_file(self, image: str, path: str, limit: int, platform: str | None = None) -> bytes:
        """Return the bytes of a file in an image, of which nothing is run.

        Raises:
            ObjectNotFoundError: It is not there.
            IntegrityError: It is larger than `limit` bytes.
        """
        from docker.errors import NotFound

        # Never started; an engine wants a command all the same.
        never = self.container(image, entrypoint=["python"], platform=platform)
        with never as container, self.errors(image):
            try:
                chunks, _ = self.client.get_archive(container, path)
            except NotFound as error:
                raise ObjectNotFoundError(
                    f"there is no file {path} in the image {image}",
                    storage="Docker",
                    location=path,
                ) from error
            return only_file(chunks, path, limit)

    @contextmanager
    def container(self, image: str, **options: Any) -> Iterator[str]:
        """Give the name of a new container, which is removed with the block, whatever it does."""
        # A name of ours, so that one is removed whose making is interrupted.
        name = f"flowhold-{uuid.uuid4().hex}"
        try:
            with self.start_errors(image):
                self.client.create_container(image, name=name, **options)
            yield name
        finally:
            self._remove(name)

    def _remove(self, container: str) -> None:
        """Remove a container, if it was made; where that fails, what it did counts all the same."""
        from docker.errors import NotFound

        try:
            with self.errors(), suppress(NotFound):
                self.client.remove_container(container, force=True, v=True)
        except FlowholdError as error:
            _log.warning("the container %s was not removed: %s", container, error)


def _problem(told: Mapping[str, Any]) -> str | None:
    detail = told.get("errorDetail")
    problem = told.get("error") or (detail.get("message") if isinstance(detail, dict) else None)
    return str(problem) if problem else None


def _show(told: Mapping[str, Any], shown: Display) -> None:
    status = told.get("status")
    if status and told.get("id"):
        detail = told.get("progressDetail") or {}
        shown.layer(str(told["id"]), str(status), detail.get("current"), detail.get("total"))
    elif status:
        shown.line(str(status))
