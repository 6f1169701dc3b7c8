"""Connections through the user's ``ssh``, or with a key that only a private agent holds."""

from __future__ import annotations

import os
import selectors
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from dulwich.client import SSHVendor

from flowhold.errors import ConfigurationError, StorageUnavailableError

__all__ = ["Ssh", "agent_with"]

_ENOUGH = 64 * 1024
_LONGEST = 70
_VERSION = "GIT_PROTOCOL=version=2"


class Ssh(SSHVendor):
    """Runs commands on a host with the ``ssh`` of this machine.

    The user's keys, agent, configuration and known hosts count, and ``GIT_SSH_COMMAND``.

    Args:
        timeout: Seconds without an answer after which a connection has failed.
        agent: Socket of the agent to be used instead of the user's keys.
    """

    def __init__(self, timeout: float, agent: str | None = None) -> None:
        self.timeout = timeout
        self.agent = agent
        self._last: _Process | None = None

    def said(self) -> str:
        """Return what ``ssh`` wrote for people the last time."""
        return self._last.said if self._last else ""

    def run_command(  # type: ignore[override]
        self,
        host: str,
        command: bytes,
        username: str | None = None,
        port: int | None = None,
        **_others: Any,
    ) -> _Process:
        """Start a command; see :class:`dulwich.client.SSHVendor`."""
        seconds = max(1, round(self.timeout))
        args = shlex.split(os.environ.get("GIT_SSH_COMMAND") or "ssh")
        if self.agent:
            # Not the user's own keys: some hosts know them as another user. Of several, the first
            # option counts.
            own = (f"IdentityAgent={self.agent}", "IdentityFile=none", "IdentitiesOnly=no")
            names = [os.path.basename(word).removesuffix(".exe") for word in args]
            behind = names.index("ssh") + 1 if "ssh" in names else len(args)
            args[behind:behind] = [word for option in own for word in ("-o", option)]
        args.append("-x")
        for option in ("BatchMode=yes", f"ConnectTimeout={seconds}", f"SetEnv={_VERSION}"):
            args += ["-o", option]
        if port:
            args += ["-p", str(port)]
        place = f"{username}@{host}" if username else host
        self._last = _Process([*args, "--", place, os.fsdecode(command)], self.timeout)
        return self._last


class _Process:
    """A command whose output has to come in time."""

    def __init__(self, args: list[str], timeout: float) -> None:
        self._timeout = timeout
        self._process = _start(args, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self._output = cast("Any", self._process.stdout).fileno()
        self._input = cast("IO[bytes]", self._process.stdin)
        self._buffer = b""
        self._said = bytearray()
        self._listener = threading.Thread(
            target=self._listen, args=(self._process.stderr,), daemon=True
        )
        self._listener.start()

    def _listen(self, stream: IO[bytes]) -> None:
        while text := stream.read1(_ENOUGH):  # type: ignore[attr-defined]
            self._said = (self._said + text)[-_ENOUGH:]

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer at the end."""
        with suppress(BrokenPipeError):
            self._input.flush()
        while len(self._buffer) < size:
            if not self._is_ready(self._timeout):
                self._process.kill()
                raise TimeoutError(f"no answer within {self._timeout:g} seconds")
            data = os.read(self._output, max(_ENOUGH, size))
            if not data:
                break
            self._buffer += data
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def write(self, data: bytes) -> None:
        """Send bytes, before the next are read; where nobody listens any more, those say why."""
        with suppress(BrokenPipeError):
            self._input.write(data)

    def can_read(self) -> bool:
        """Whether there is output to be read."""
        return bool(self._buffer) or self._is_ready(0)

    def _is_ready(self, timeout: float) -> bool:
        # Unlike select(), that of the system takes also the numbers of a process with many files.
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            return bool(selector.select(timeout))

    @property
    def said(self) -> str:
        """What the command wrote for people, once it has ended."""
        self._listener.join(timeout=2)
        return self._said.decode("utf-8", "replace")

    def close(self) -> None:
        """End the command."""
        process = self._process
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._listener.join(timeout=2)
        process.stderr.close()  # type: ignore[union-attr]


@contextmanager
def agent_with(key: str) -> Iterator[str]:
    """Yield the socket of an agent that holds a private key, which is never in a file.

    Args:
        key: Its text, as in a file of OpenSSH; not protected by a passphrase.

    Raises:
        ConfigurationError: It is no such key, or OpenSSH is not installed.
        StorageUnavailableError: The agent did not start.
    """
    with _short_folder() as folder:
        socket = os.path.join(folder, "agent")
        command = ["ssh-agent", "-D", "-a", socket]
        agent = _start(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # It writes its socket's name when that is there.
            if not cast("Any", agent.stdout).readline():
                raise StorageUnavailableError("ssh-agent did not start")
            _add_key(socket, key)
            yield socket
        finally:
            agent.terminate()
            agent.wait()
            cast("Any", agent.stdout).close()


def _short_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder whose path leaves room for a socket, which may have some 100 bytes."""
    usual = len(os.fsencode(tempfile.gettempdir())) < _LONGEST
    return tempfile.TemporaryDirectory(prefix="flowhold-", dir=None if usual else "/tmp")  # noqa: S108


def _add_key(socket: str, key: str) -> None:
    environment = {**_environment(), "SSH_AUTH_SOCK": socket, "SSH_ASKPASS_REQUIRE": "never"}
    environment.pop("DISPLAY", None)
    done = subprocess.run(
        ["ssh-add", "-q", "-"],  # noqa: S607
        input=key.replace("\r\n", "\n").strip() + "\n",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    if done.returncode:
        raise ConfigurationError(
            "the secret with the key for ssh does not hold a private key of OpenSSH",
            hint="it is the whole text of the key's file, and has no passphrase",
        )


def _start(args: list[str], *, stdin: int, stderr: int) -> subprocess.Popen[bytes]:
    """Start a program of OpenSSH, whose output is to be read."""
    try:
        return subprocess.Popen(  # noqa: S603
            args, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=_environment()
        )
    except OSError as error:
        raise ConfigurationError(
            f"{args[0]} cannot be started: {error.strerror}", hint="install OpenSSH"
        ) from error


def _environment() -> dict[str, str]:
    """Return this process's environment without the secrets in it."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("FLOWHOLD_SECRET_")
    }
