"""dulwich's clients, whose answers come in time and whose logins stay with their host."""

from __future__ import annotations

import io
import math
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import requests
from dulwich.client import (
    AbstractHttpGitClient,
    HTTPUnauthorized,
    SSHGitClient,
    TraditionalGitClient,
)
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.protocol import Protocol

from flowhold.web import Pace, basic
from flowhold_storage_git.address import Address
from flowhold_storage_git.failures import Refused
from flowhold_storage_git.objects import too_large
from flowhold_storage_git.web import ask

__all__ = ["Allowance", "DaemonClient", "HTTPClient", "SSHClient", "login_of"]

_PATIENCE = 1800.0
"""Seconds that a server may prepare an answer in, while all that comes are signs of life."""


class Allowance:
    """How much more a server may answer, and how slowly."""

    def __init__(self) -> None:
        self.allow(0)

    def allow(self, size: int) -> None:
        """Allow so many bytes from now on."""
        self._most, self._pace = size, Pace(_PATIENCE)

    def read(self, read: Callable[[int], bytes], size: int) -> bytes:
        """Return so many bytes of a server, fewer at the end.

        Args:
            read: Reads of the connection; it may wait for all that it is asked for.
            size: Bytes.

        Raises:
            IntegrityError: It is more than was allowed.
            TimeoutError: It comes in drops.
            GitProtocolError: What a server says instead, which dulwich overlooks.
        """
        data = b""
        while len(data) < size and (part := read(min(size - len(data), self._pace.next))):
            data += part
            if self._pace.size + len(part) > self._most:
                raise too_large(self._most)
            self._pace.count(len(part))
        if data.startswith(b"ERR "):
            raise GitProtocolError(data.decode("utf-8", "replace"))
        return data


class SSHClient(SSHGitClient):
    """Git over ssh, whose connections are closed also where dulwich leaves them open."""

    def __init__(self, *args: Any, allowance: Allowance, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._allowance = allowance
        self._last: Protocol | None = None

    def _connect(self, *args: Any, **kwargs: Any) -> Any:
        connection = super()._connect(*args, **kwargs)
        proto = self._last = connection[0]
        read = proto.read
        proto.read = lambda size: self._allowance.read(read, size)
        return connection

    def close(self) -> None:
        """Close the last connection, where that is still open."""
        if self._last is not None:
            self._last.close()


class DaemonClient(TraditionalGitClient):
    """The git protocol, whose answers have to come in time."""

    def __init__(self, address: Address, timeout: float, allowance: Allowance) -> None:
        super().__init__(thin_packs=False)
        self._allowance = allowance
        self._address = address
        self._timeout = timeout
        self._last: Protocol | None = None

    def close(self) -> None:
        """Close the last connection, where that is still open."""
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
            return self._allowance.read(output.read, size)

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


class _Body(io.RawIOBase):
    """The body of a response; a read waits for no more than what came before."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._pace = Pace(math.inf)  # what comes too slowly is refused by who reads of this

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        data = self._raw.read(min(len(target), self._pace.next))
        target[: len(data)] = data
        self._pace.count(len(data))
        return len(data)


class HTTPClient(AbstractHttpGitClient):
    """Git over http, whose login is sent to the host that it is for, and to no other."""

    def __init__(
        self, address: Address, timeout: float, known: dict[str, Any], allowance: Allowance
    ) -> None:
        super().__init__(address.url, thin_packs=False)
        self._address = address
        self._timeout = timeout
        self._known = known
        self._allowance = allowance

    def _discover_references(self, *args: Any, **kwargs: Any) -> Any:
        # What the server can do does not change between two requests; a fetch needs no more.
        if not self._known or kwargs.get("ref_prefix") != [b"HEAD"]:
            found = super()._discover_references(*args, **kwargs)
            self._known.update(found=found, version=self.protocol_version)
        self.protocol_version = self._known["version"]
        return self._known["found"]

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
            headers=headers,
            data=data,
        )
        self._check(response)
        kind = response.headers.get("Content-Type", "")
        if not kind.startswith("application/x-git-"):
            response.close()
            if not kind:
                raise HangupException
            raise GitProtocolError(f"it answers with {kind} to what git asks")
        response.raw.decode_content = True
        response.raw.auto_close = False  # so that there is an end to be read
        reader = io.BufferedReader(_Body(response.raw), 1 << 16)
        moved = response.url if response.url != url else ""
        return _Response(response, moved), lambda size: self._allowance.read(reader.read, size)

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
    return {"Authorization": f"Basic {basic(address.username, address.password)}"}
