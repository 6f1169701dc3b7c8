"""Requests to git servers over https, ssh and the git protocol, by dulwich's clients."""

from __future__ import annotations

import io
import logging
import socket
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import IO, Any, TypeVar, cast

import requests
from dulwich.client import (
    AbstractHttpGitClient,
    GitClient,
    HTTPUnauthorized,
    SSHGitClient,
    TraditionalGitClient,
)
from dulwich.errors import GitProtocolError, NotGitRepository
from dulwich.protocol import Protocol

from flowhold.errors import FlowholdError, StorageUnavailableError
from flowhold_storage_git.address import Address
from flowhold_storage_git.failures import Refused, asked_wait, ours
from flowhold_storage_git.ssh import Ssh, agent_with
from flowhold_storage_git.web import ask

__all__ = ["Transport", "login_of"]

_LOGGER = logging.getLogger("flowhold.storage.git")

_T = TypeVar("_T")
_LONGEST_WAIT = 60.0


class Transport:
    """The connection to one repository; to be used in a ``with`` block.

    Args:
        address: Of the repository.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again where that can help.
    """

    def __init__(self, address: Address, *, timeout: float, retries: int) -> None:
        address.check_login()
        self.address = address
        self.timeout = timeout
        self.retries = retries
        self._open = ExitStack()
        self._client: GitClient | None = None
        self._ssh = Ssh(timeout)

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._close()

    def refs(self, *prefixes: str) -> dict[str, str]:
        """Return SHAs by the full names of refs that begin so; what tags lead to as ``NAME^{}``."""
        wanted = [prefix.encode() for prefix in prefixes]

        def once() -> dict[str, str]:
            found = self._connected().get_refs(self._path, ref_prefix=wanted)
            return {
                name.decode("utf-8", "surrogateescape"): sha.decode()
                for name, sha in found.refs.items()
                if sha and name.startswith(tuple(wanted))
            }

        return self._tried(once)

    def fetch(
        self, wants: Sequence[str], *, depth: int | None = None, without: str | None = None
    ) -> IO[bytes]:
        """Return a temporary file with a pack of objects.

        Args:
            wants: Their SHAs.
            depth: How many commits of history; None: all of it.
            without: What to leave out, where the server can do that: a filter of git's.
        """
        shas = [sha.encode() for sha in wants]

        def once() -> IO[bytes]:
            file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
            try:
                self._connected().fetch_pack(
                    self._path,
                    lambda refs, depth=None: cast("list[Any]", shas),  # noqa: ARG005
                    cast("Any", _Nothing()),
                    file.write,
                    depth=depth,
                    ref_prefix=[b"HEAD"],
                    filter_spec=without.encode() if without else None,
                )
                file.flush()
            except BaseException:
                file.close()
                raise
            return file

        return self._tried(once)

    @property
    def _path(self) -> Any:
        return "" if self.address.scheme.startswith("http") else self.address.path

    def _connected(self) -> GitClient:
        if self._client is None:
            self._client = self._make()
        return self._client

    def _make(self) -> GitClient:
        client = self._of_scheme()
        # It works all the same, so this is nothing that everybody has to read at each load.
        cast("Any", client)._warn_filter_objects = lambda: _LOGGER.info(
            "%s cannot leave out files: all are fetched", self.address.url
        )
        return client

    def _of_scheme(self) -> GitClient:
        address = self.address
        if address.scheme == "ssh":
            agent = None
            if address.ssh_key:
                agent = self._open.enter_context(agent_with(address.ssh_key))
            self._ssh = Ssh(self.timeout, agent)
            return _ByShell(
                address.host,
                address.port,
                address.username or "git",
                vendor=self._ssh,
                thin_packs=False,
            )
        if address.scheme == "git":
            return _Daemon(address, self.timeout)
        return _Http(address, self.timeout)

    def _tried(self, once: Callable[[], _T]) -> _T:
        """Do what can be tried again, some times where that can help."""
        for attempt in range(self.retries + 1):
            wait = 0.25 * 2**attempt
            try:
                return once()
            except FlowholdError as error:
                # Without the frames, which know the credentials.
                problem = error.with_traceback(None)
            except Exception as error:  # noqa: BLE001 (whatever a server can bring dulwich to raise)
                wait = max(wait, asked_wait(error))
                problem = ours(error, self.address, self._ssh.said())
            self._close()
            if not isinstance(problem, StorageUnavailableError) or attempt == self.retries:
                break
            if wait > _LONGEST_WAIT:
                problem.hint = f"it asks for {wait:.0f} seconds of patience: try again then"
                break
            time.sleep(wait)
        raise problem

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._open.close()


def _checked(data: bytes) -> bytes:
    """Return what was read of a server; raise what it says instead, which dulwich overlooks."""
    if data.startswith(b"ERR "):
        raise GitProtocolError(data.decode("utf-8", "replace"))
    return data


class _Nothing:
    """Has no objects yet: everything is to be sent."""

    def __next__(self) -> None:
        return None

    def nak(self) -> None: ...

    def ack(self, sha: bytes) -> None: ...


class _ByShell(SSHGitClient):
    """Git over ssh, whose connections are closed also where dulwich leaves them open."""

    _last: Protocol | None = None

    def _connect(self, *args: Any, **kwargs: Any) -> Any:
        connection = super()._connect(*args, **kwargs)
        proto = self._last = connection[0]
        read = proto.read
        proto.read = lambda size: _checked(read(size))
        return connection

    def close(self) -> None:
        if self._last is not None:
            self._last.close()


class _Daemon(TraditionalGitClient):
    """The git protocol, whose answers have to come in time."""

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(thin_packs=False)
        self._address = address
        self._timeout = timeout
        self._last: Protocol | None = None

    def close(self) -> None:
        if self._last is not None:
            self._last.close()

    def _connect(
        self, cmd: bytes, path: str | bytes, protocol_version: int | None = None
    ) -> tuple[Protocol, Callable[[], bool], None]:
        address = self._address
        connection = socket.create_connection(
            (address.host, address.port or 9418), timeout=self._timeout
        )
        output, own = connection.makefile("rb"), connection.makefile("wb")

        # A server that refuses hangs up in the midst of a request: its answer says why.
        def write(data: bytes) -> None:
            with suppress(ConnectionError):
                own.write(data)

        def read(size: int) -> bytes:
            with suppress(ConnectionError):
                own.flush()
            return _checked(output.read(size))

        def close() -> None:
            for each in (output, own, connection):
                with suppress(OSError):
                    each.close()

        proto = self._last = Protocol(read, write, close)
        self.protocol_version = 2
        host = f"host={address.host}".encode("idna")
        place = path if isinstance(path, bytes) else path.encode()
        proto.send_cmd(b"git-" + cmd, place, host + b"\0\0version=2\0")
        return proto, lambda: False, None


class _Response:
    """What dulwich asks a response for."""

    def __init__(self, response: requests.Response, moved: str) -> None:
        self.content_type = response.headers.get("Content-Type")
        self.redirect_location = moved
        self.close = response.close


class _Http(AbstractHttpGitClient):
    """Git over http, whose login is sent to the host that it is for, and to no other."""

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(address.url, thin_packs=False)
        self._address = address
        self._timeout = timeout
        self._known: Any = None

    def _discover_references(self, *args: Any, **kwargs: Any) -> Any:
        # What the server can do does not change between two requests.
        if self._known is None or kwargs.get("ref_prefix") != [b"HEAD"]:
            self._known = super()._discover_references(*args, **kwargs)
        return self._known

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,
    ) -> Any:
        response = ask(
            "GET" if data is None else "POST",
            url,
            login=login_of(self._address),
            origin=self._address.origin,
            timeout=self._timeout,
            headers={**(headers or {}), "User-Agent": "git/flowhold"},
            data=data,
        )
        self._check(response)
        kind = response.headers.get("Content-Type", "")
        if not kind.startswith("application/x-git-"):
            response.close()
            raise GitProtocolError(f"it answers with {kind or 'nothing'} to what git asks")
        response.raw.decode_content = True
        response.raw.auto_close = False  # so that there is an end to be read
        reader = io.BufferedReader(cast("Any", response.raw), 1 << 16)
        moved = response.url if response.url != url else ""
        return _Response(response, moved), lambda size: _checked(reader.read(size))

    def _check(self, response: requests.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        response.close()
        if status == 401:
            raise HTTPUnauthorized(None, self._address.url)
        if status == 404:
            raise NotGitRepository
        raise Refused(status, response.reason or "", response.headers.get("Retry-After"))


def login_of(address: Address) -> dict[str, str]:
    """Return the header with the credentials of an address, if it has some."""
    if not (address.username or address.password):
        return {}
    text = f"{address.username or ''}:{address.password or ''}"
    return {"Authorization": f"Basic {b64encode(text.encode()).decode()}"}
