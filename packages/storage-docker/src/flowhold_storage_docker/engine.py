"""The Docker engine and the registries behind it: images by name and digest."""

from __future__ import annotations

import io
import os
import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from flowhold.clients import shared_client
from flowhold.errors import ConfigurationError, FlowholdError, IntegrityError, ObjectNotFoundError
from flowhold_storage_docker.errors import BuildError, failure, transfer_failure
from flowhold_storage_docker.progress import Display, display

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["Engine", "open_engine"]

_TIMEOUT = 300
_TAIL = 30
_HINTS = (
    (
        ("No matching distribution", "Could not find a version", "NewConnectionError"),
        "check python_dependencies; PIP_INDEX_URL and the like can be given by env_vars, and "
        "build_kwargs={'network_mode': 'host'} gives the build this machine's network",
    ),
    (
        ('"python": executable file not found', "No module named pip"),
        "the image to build on needs `python` with pip on its PATH, as python:3.11-slim has",
    ),
    (
        ("externally-managed-environment",),
        "the Python of this image is its distribution's: set PIP_BREAK_SYSTEM_PACKAGES=1 by "
        "env_vars, or build on an image such as python:3.11-slim",
    ),
)


def open_engine(base_url: str | None, tls: Any) -> Engine:
    """Return the engine at an address.

    Args:
        base_url: Its address; None for ``DOCKER_HOST``, else the platform's socket.
        tls: A ``docker.tls.TLSConfig``, its arguments as a mapping, True for TLS that is not
            verified by a certificate of one's own, or False for what the environment says.

    Raises:
        StorageUnavailableError: None answers there.
        AccessDeniedError: It is there, but not for this user.
    """
    place = base_url or os.environ.get("DOCKER_HOST") or "the platform's socket"
    with _ours(lambda error: failure(error, place)):
        client = shared_client(_client, ("DOCKER_", "HOME"), base_url=base_url, tls=tls)
    return Engine(client, place)


def _client(base_url: str | None, tls: Any) -> APIClient:
    from docker import APIClient
    from docker.constants import MINIMUM_DOCKER_API_VERSION
    from docker.tls import TLSConfig
    from docker.utils import kwargs_from_env

    options = kwargs_from_env()
    if base_url is not None:
        options["base_url"] = base_url
    if isinstance(tls, Mapping):
        try:
            options["tls"] = TLSConfig(**tls)
        except TypeError as error:
            raise ConfigurationError(
                f"wrong tls_config: {error}", hint="it takes client_cert, ca_cert and verify"
            ) from error
    elif tls:
        options["tls"] = tls
    options["timeout"] = _TIMEOUT
    if not options.get("tls"):
        return APIClient(version="auto", **options)
    # Else requests would take what REQUESTS_CA_BUNDLE names for the CA of the engine.
    first = APIClient(version=MINIMUM_DOCKER_API_VERSION, **options)
    first.trust_env = False
    with closing(first):
        client = APIClient(version=first.version(api_version=False)["ApiVersion"], **options)
    client.trust_env = False
    return client


@contextmanager
def _ours(make: Callable[[Exception], FlowholdError]) -> Iterator[None]:
    """Raise our errors in place of the SDK's."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except FlowholdError:
        raise
    except (DockerException, RequestException, HTTPError, OSError) as error:
        raise make(error) from error


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
        with _ours(lambda error: failure(error, what or self.place)):
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

    def in_registry(self, image: str) -> str:
        """Return the digest that an image has in its registry.

        Raises:
            ObjectNotFoundError: It is not there.
        """
        self.client.reload_config()
        with self.errors(image):
            return str(self.client.inspect_distribution(image)["Descriptor"]["digest"])

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
        with _ours(lambda error: transfer_failure(error, place)), display() as shown:
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
        """
        hidden = [text for text in (options.get("buildargs") or {}).values() if text]
        image = problem = None
        step, tail = "", deque[str](maxlen=_TAIL)
        options = {"rm": True, "forcerm": True, **options}
        with self.errors(), display() as shown:
            for told in self.client.build(
                fileobj=context, custom_context=True, tag=name, decode=True, **options
            ):
                told = _masked(told, hidden)
                problem = problem or _problem(told)
                image = (told.get("aux") or {}).get("ID", image)
                for line in str(told.get("stream", "")).splitlines():
                    if line.startswith("Step "):
                        step = line
                        tail.clear()
                    elif line.strip() and not line.startswith(" --->"):
                        tail.append(line.rstrip())
                        heard(line)
                _show(told, shown)
        if problem:
            raise _build_error(name, step, problem, tail)
        if image is None:
            raise BuildError(
                f"the engine told no ID of the image {name} it built", storage="Docker"
            )
        return str(image)

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
            return _only_file(chunks, path, limit)

    @contextmanager
    def container(self, image: str, **options: Any) -> Iterator[str]:
        """Give the ID of a new container, which is removed with the block, whatever it does."""
        container = ""
        try:
            with self.errors(image):
                container = self.client.create_container(image, **options)["Id"]
            yield container
        finally:
            if container:
                with suppress(FlowholdError), self.errors():
                    self.client.remove_container(container, force=True, v=True)


def _problem(told: Mapping[str, Any]) -> str | None:
    detail = told.get("errorDetail")
    problem = told.get("error") or (detail.get("message") if isinstance(detail, dict) else None)
    return str(problem) if problem else None


def _show(told: Mapping[str, Any], shown: Display) -> None:
    status = told.get("status")
    if told.get("stream"):
        shown.line(str(told["stream"]))
    elif status and told.get("id"):
        detail = told.get("progressDetail") or {}
        shown.layer(str(told["id"]), str(status), detail.get("current"), detail.get("total"))
    elif status:
        shown.line(str(status))


def _masked(told: dict[str, Any], hidden: Iterable[str]) -> dict[str, Any]:
    """Return what an engine told without the values of build arguments, which may be secrets."""
    for name in ("stream", "error"):
        for text in hidden:
            if told.get(name):
                told[name] = str(told[name]).replace(str(text), "***")
    if "error" in told:
        told.pop("errorDetail", None)
    return told


def _build_error(name: str, step: str, problem: str, tail: Iterable[str]) -> BuildError:
    output = "\n".join([f"{problem}", *tail])
    hint = next((hint for marks, hint in _HINTS if any(mark in output for mark in marks)), None)
    where = f" at {step}" if step else ""
    known = failure(problem, name).hint
    return BuildError(
        f"the image {name} could not be built{where}: {output}",
        storage="Docker",
        hint=hint or known or "the output above says what failed",
    )


def _only_file(chunks: Iterable[bytes], path: str, limit: int) -> bytes:
    with tarfile.open(fileobj=io.BufferedReader(_Chunks(chunks)), mode="r|") as archive:
        entry = archive.next()
        file = archive.extractfile(entry) if entry is not None and entry.isreg() else None
        if file is None:
            raise IntegrityError(f"{path} in the image is not a file", location=path)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise IntegrityError(
            f"{path} in the image is larger than {limit:,} bytes", storage="Docker", location=path
        )
    return data


class _Chunks(io.RawIOBase):
    """Chunks as a file that is read once."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
