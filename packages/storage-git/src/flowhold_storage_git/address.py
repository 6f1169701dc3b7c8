"""Where a repository is, and the login for it, which is never part of what is shown."""

from __future__ import annotations

import ipaddress
import os
import re
import urllib.parse
from dataclasses import dataclass, field

from flowhold.errors import ConfigurationError

__all__ = ["Address", "check_encrypted"]

_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}
_SCP = re.compile(r"(?:(?P<user>[^@/:\s]+)@)?(?P<host>[^@/:\s]+):(?P<path>[^:\s].*)")
_HOST = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:\-]*")


@dataclass(frozen=True)
class Address:
    """A repository's URL without credentials, and the credentials."""

    url: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    ssh_key: str | None = field(default=None, repr=False)
    """Text of a private key, to be used instead of the user's own."""

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        ssh_key: str | None = None,
    ) -> Address:
        """Return the address of a clone URL; credentials in it count where none are given.

        Args:
            url: ``https://…``, ``ssh://…``, ``git@host:path``, ``git://…``, ``file://…`` or the
                path of a folder.
            username: User to log in as; with ssh the part before the ``@``.
            password: Password or token.
            ssh_key: Text of a private key for ssh.

        Raises:
            ConfigurationError: It is no such URL; the text does not show credentials.
        """
        try:
            return cls._parse(url, username, password, ssh_key)
        except ConfigurationError as error:
            problem = error.with_traceback(None)
        # No frame of the error holds what is, or may hold, credentials.
        del url, username, password, ssh_key
        raise problem

    @classmethod
    def _parse(
        cls, url: str, username: str | None, password: str | None, ssh_key: str | None
    ) -> Address:
        if not isinstance(url, str) or not url or re.search(r"[\x00-\x20\x7f]", url):
            raise ConfigurationError("this is not a clone URL", hint="it is empty or has spaces")
        if url.startswith("/"):
            return cls(f"file://{urllib.parse.quote(os.path.abspath(url))}")
        if "://" not in url and (match := _SCP.fullmatch(url)):
            user = f"{match['user']}@" if match["user"] else ""
            # Without a slash in front it is relative to the home of that user.
            path = match["path"] if match["path"].startswith("/") else f"/./{match['path']}"
            url = f"ssh://{user}{match['host']}{urllib.parse.quote(path)}"
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urllib.parse.urlsplit(""), None
        scheme, host = parts.scheme.lower(), parts.hostname or ""
        if scheme == "file" and not host and parts.path.startswith("/"):
            return cls(f"file://{parts.path}")
        if scheme not in _PORTS or not _HOST.fullmatch(host) or len(parts.path) < 2:
            raise ConfigurationError(
                "this is not a clone URL",
                hint="write https://HOST/PATH, ssh://git@HOST/PATH, git@HOST:PATH, git://HOST/PATH "
                "or file:///PATH",
            )
        if parts.query or parts.fragment:
            raise ConfigurationError("a clone URL has no ? and no #", hint="percent-encode them")
        found = [text and urllib.parse.unquote(text) for text in (parts.username, parts.password)]
        username, password = username or found[0], password or found[1]
        if scheme == "ssh" and (username or "").startswith("-"):
            raise ConfigurationError("a user name of ssh cannot begin with '-'")
        place = f"[{host}]" if ":" in host else host
        if port is not None and port != _PORTS[scheme]:
            place += f":{port}"
        path = "/" + parts.path.strip("/")
        if path.startswith(("/./-", "/./%2")):
            raise ConfigurationError("a relative path of ssh cannot begin with '-'")
        return cls(f"{scheme}://{place}{path}", username, password, ssh_key)

    @property
    def scheme(self) -> str:
        """``https``, ``http``, ``ssh``, ``git`` or ``file``."""
        return self.url.partition("://")[0]

    @property
    def origin(self) -> str:
        """Scheme, host and port: whom the credentials are for."""
        return "/".join(self.url.split("/", 3)[:3])

    @property
    def host(self) -> str:
        """Name of the host."""
        return urllib.parse.urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int | None:
        """Port, None for the usual one."""
        return urllib.parse.urlsplit(self.url).port

    @property
    def path(self) -> str:
        """Path on the host, or of a folder, as it is."""
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.url).path)
        return path[3:] if self.scheme == "ssh" and path.startswith("/./") else path

    def check_login(self) -> None:
        """Raise ConfigurationError where a password would travel in clear text."""
        if self.username or self.password:
            check_encrypted(self.origin)

    def related(self, url: str) -> Address:
        """Return the address that a submodule names, with this one's credentials on its host."""
        if url.startswith(("./", "../")):
            base = self.url.split("/", 3)
            parts = base[3].split("/")
            while url.startswith(("./", "../")):
                step, _, url = url.partition("/")
                if step == "..":
                    if not parts:
                        raise ConfigurationError("a submodule's URL leads out of its host")
                    parts.pop()
            url = "/".join([*base[:3], *parts, url])
        other = Address.parse(url)
        if other.scheme == "file" and self.scheme != "file":
            raise ConfigurationError("a submodule's URL leads to a folder of this machine")
        if other.origin == self.origin:
            return Address.parse(
                other.url, username=self.username, password=self.password, ssh_key=self.ssh_key
            )
        # Others than this host get no credentials, not even those that the repository names.
        return Address.parse(other.url, username=other.username if other.scheme == "ssh" else None)


def check_encrypted(url: str) -> None:
    """Raise ConfigurationError where a login for a URL would travel in clear text."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "http" and not _is_local(parts.hostname or ""):
        raise ConfigurationError(
            f"a token for {url} would travel in clear text", hint="use https://"
        )


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
