"""Runs a flow in a container of its image; what it prints is handed on as it comes."""

from __future__ import annotations

import builtins
import codecs
import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import flowhold.errors
from flowhold._secrets import resolve
from flowhold.calls import TaskRun
from flowhold.errors import ConfigurationError, FlowholdError, StorageError
from flowhold.running import FlowRun
from flowhold_storage_docker.attaching import attached

if TYPE_CHECKING:
    from flowhold_storage_docker.engine import Engine

__all__ = ["ContainerRun", "ContainerRunner"]

_MOST_OUTPUT = 256 << 20
_ENDS = {
    125: "the engine could not start it",
    126: "its `python` cannot be run",
    127: "it has no `python`",
    137: "it was killed, perhaps as it needed more memory than it may have",
    143: "it was asked to end",
}


@dataclass(frozen=True)
class ContainerRun(FlowRun):
    """What became of a flow in a container."""

    exit_code: int = 0
    """Of the process in the container: 0, or 1 where the flow failed."""


class ContainerRunner:
    """Runs one flow in containers of its image; see :class:`flowhold.running.EnvRunner`.

    Args:
        engine: Where the image is.
        image: By digest.
        flow: Name of the flow.
        reference: Path in the image of the reference that leads to it there.
        secrets: Names of secrets; they are looked up here when it runs.
        options: Arguments of the SDK's ``create_host_config``, and ``user``, ``working_dir`` and
            ``hostname``.
        platform: As ``linux/arm64``.
    """

    def __init__(
        self,
        engine: Engine,
        image: str,
        flow: str,
        reference: str,
        *,
        secrets: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        platform: str | None = None,
    ) -> None:
        self.engine = engine
        self.image = image
        self.flow = flow
        self.reference = reference
        self.secrets = [*secrets]
        self.options = dict(options or {})
        self.platform = platform

    def __call__(self, env: Mapping[str, str] | None = None) -> ContainerRun:
        """Do the same as :meth:`run`."""
        return self.run(env)

    def run(
        self,
        env: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        executor: str | None = None,
    ) -> ContainerRun:
        """Run the flow in a new container, which is removed afterwards, and return its outcome.

        Args:
            env: Variables for the container.
            parameters: Values by parameter name, as JSON types.
            executor: As ``threads:4``; see ``flowhold run --executor``.

        Raises:
            SecretNotFoundError: A secret that the storage names has no value here.
            ConfigurationError: A variable is not text, or a parameter is no JSON.
            StorageError: The container ended before the flow did, or could not be started.
        """
        from docker.errors import DockerException

        variables = {**(env or {})}
        for name, value in variables.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise ConfigurationError(f"the variable {name!r:.60} for the container is not text")
        command = ["python", "-m", "flowhold", "run", self.reference, "--json", "--any-host"]
        command += [word for item in _arguments(parameters) for word in ("-p", item)]
        command += ["--executor", executor] if executor else []
        direct = {
            name: self.options[name]
            for name in ("user", "working_dir", "hostname")
            if name in self.options
        }
        # The container is removed when its end is known, not before.
        host = {it: self.options[it] for it in self.options if it not in (*direct, "auto_remove")}
        try:
            host_config = self.engine.client.create_host_config(**host)
        except (TypeError, ValueError, AttributeError, DockerException) as error:
            raise ConfigurationError(
                f"wrong run_kwargs: {error}",
                hint="they are arguments of the SDK's create_host_config, and user, working_dir "
                "and hostname",
            ) from error
        try:
            values = resolve(self.secrets)
            variables = {f"FLOWHOLD_SECRET_{name}": values[name] for name in values} | variables
            values.clear()
            with self.engine.container(
                self.image,
                entrypoint=command,
                environment=variables,
                host_config=host_config,
                platform=self.platform,
                labels={"flowhold.flow": self.flow},
                **direct,
            ) as container:
                return self._follow(container)
        except BaseException as error:
            _forget(error)
            raise
        finally:
            variables.clear()

    def _follow(self, container: str) -> ContainerRun:
        client, output = self.engine.client, bytearray()
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with self.engine.errors(self.image), attached(client, container) as pieces:
            with self.engine.start_errors(self.image):
                client.start(container)
            for of_errors, data in pieces:
                if of_errors:
                    _hand_on(decoder.decode(data))
                    continue
                output += data
                if len(output) > _MOST_OUTPUT:
                    raise StorageError(
                        f"the outcome of {self.flow!r} has more than {_MOST_OUTPUT:,} bytes",
                        storage="Docker",
                        hint="return less, or write it to a result",
                    )
            _hand_on(decoder.decode(b"", final=True))
        return self._outcome(bytes(output), *self._end(container))

    def _end(self, container: str) -> tuple[int, str | None]:
        """Return the exit code of a container that ended, and what ended it, where that is told."""
        from docker.errors import NotFound

        with self.engine.errors(self.image):
            try:
                code = self.engine.client.wait(container)["StatusCode"]
                state = self.engine.client.inspect_container(container)["State"]
            except NotFound:
                return 137, "it was removed meanwhile"
        if state.get("OOMKilled"):
            return code, "it needed more memory than it may have"
        return code, state.get("Error") or _ENDS.get(code)

    def _read(self, document: dict[str, Any], code: int) -> ContainerRun:
        tasks = {
            str(name): TaskRun(str(name), task["state"], error=_error_of(task.get("error")))
            for name, task in dict(document.get("tasks") or {}).items()
        }
        error = _error_of(document.get("error"))
        # The one of the task is the same one, so that it is told once.
        error = next((t.error for t in tasks.values() if str(t.error) == str(error)), error)
        return ContainerRun(
            self.flow, document["state"], document.get("result"), tasks, error, exit_code=code
        )

    def _outcome(self, output: bytes, code: int, end: str | None) -> ContainerRun:
        try:
            document = json.loads(output)
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict) and code == {"success": 0, "failed": 1}.get(
            str(document.get("state"))
        ):
            # What a container prints may be anything.
            with suppress(AttributeError, KeyError, TypeError, ValueError):
                return self._read(document, code)
        if isinstance(document, dict) and (error := _error_of(document.get("error"))):
            raise error
        raise StorageError(
            f"the container of flow {self.flow!r} ended with {code} before the flow did"
            + (f": {end}" if end else ""),
            storage="Docker",
            location=self.image,
            hint="what it printed says more; memory and the like are in run_kwargs",
        )


def _forget(error: BaseException) -> None:
    """Empty the frames that an error and its causes went through: they held secrets."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__


def _hand_on(text: str) -> None:
    if text and sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _arguments(parameters: Mapping[str, Any] | None) -> list[str]:
    arguments = []
    for name, value in (parameters or {}).items():
        if not isinstance(name, str) or "=" in name:
            raise ConfigurationError(f"{name!r:.60} cannot name a parameter for a container")
        try:
            arguments.append(f"{name}={json.dumps(value, allow_nan=False)}")
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"parameter {name!r} cannot go into a container: {error}",
                hint="give text, numbers, lists and dicts; what is larger goes by a file or URL",
            ) from error
    return arguments


def _error_of(told: Any) -> BaseException | None:
    """Return the error that an outcome tells of, of its own type where that is known here."""
    if not isinstance(told, dict):
        return None
    name, message = str(told.get("type")), str(told.get("message"))
    hint = told.get("hint") if isinstance(told.get("hint"), str) else None
    kind = getattr(flowhold.errors, name, None)
    if isinstance(kind, type) and issubclass(kind, FlowholdError):
        return kind(message, hint=hint)
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(message)
        except TypeError:  # of more than a text
            pass
    return FlowholdError(f"{name}: {message}", hint=hint)
