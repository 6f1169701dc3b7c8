"""Requests to git servers over https, ssh and the git protocol, by dulwich's clients."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import IO, Any, TypeVar, cast

from dulwich.client import GitClient

from flowhold import settings
from flowhold_storage_git.address import Address
from flowhold_storage_git.dulwich_clients import Allowance, DaemonClient, HTTPClient, SSHClient
from flowhold_storage_git.objects import too_large
from flowhold_storage_git.ssh import Ssh, agent_with
from flowhold_storage_git.tries import tried

__all__ = ["Transport"]

_LOGGER = logging.getLogger("flowhold.storage.git")

_TALK = 64 << 20
"""Bytes that a server may say beside the objects: names of refs, and how far it is."""

_T = TypeVar("_T")


class Transport:
    """The connection to one repository; to be used in a ``with`` block.

    Args:
        address: Of the repository.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again where that can help.
        known: What is known of the server; shared by connections that follow one another.
    """

    def __init__(
        self,
        address: Address,
        *,
        timeout: float,
        retries: int,
        known: dict[str, Any] | None = None,
    ) -> None:
        address.check_login()
        self.address = address
        self.timeout = timeout
        self.retries = retries
        self._open = ExitStack()
        self._client: GitClient | None = None
        self._ssh = Ssh(timeout)
        self._known = {} if known is None else known
        self._allowance = Allowance()
        self.version = 2
        """Of the protocol that the server spoke last."""

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._close()

    def refs(self, *prefixes: str) -> dict[str, str]:
        """Return SHAs by the full names of refs that begin so; what tags lead to as ``NAME^{}``."""
        wanted = [prefix.encode() for prefix in prefixes]

        def once() -> dict[str, str]:
            self._allowance.allow(_TALK)
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

        limit = settings.current().max_tree_bytes

        def once() -> IO[bytes]:
            self._allowance.allow(limit + _TALK)
            file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
            try:
                self._connected().fetch_pack(
                    self._path,
                    lambda refs, depth=None: cast("list[Any]", shas),  # noqa: ARG005
                    cast("Any", _Nothing()),
                    lambda data: _write(file, data, limit),
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
            if address.ssh_key is not None:
                agent = self._open.enter_context(agent_with(address.ssh_key))
            self._ssh = Ssh(self.timeout, agent)
            return SSHClient(
                address.host,
                address.port,
                address.username or "git",
                vendor=self._ssh,
                allowance=self._allowance,
                thin_packs=False,
            )
        if address.scheme == "git":
            return DaemonClient(address, self.timeout, self._allowance)
        return HTTPClient(address, self.timeout, self._known, self._allowance)

    def _tried(self, once: Callable[[], _T]) -> _T:
        return tried(
            once, self.address, self.retries, said=lambda: self._ssh.said(), between=self._close
        )

    def _close(self) -> None:
        if self._client is not None:
            self.version = self._client.protocol_version
            self._client.close()
        self._client = None
        self._open.close()


def _write(file: IO[bytes], data: bytes, limit: int) -> int:
    if file.tell() + len(data) > limit:
        raise too_large(limit)
    return file.write(data)


class _Nothing:
    """Has no objects yet: everything is to be sent."""

    def __next__(self) -> None:
        return None

    def nak(self) -> None: ...

    def ack(self, sha: bytes) -> None: ...
