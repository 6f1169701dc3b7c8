"""Registries of images, with and without a login: the program that also serves others."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import servers

__all__ = ["Answer", "DockerRegistry", "serving_registry"]

USERNAME = "flowhold"
PASSWORD = "only for tests"
# By bcrypt, which is the only way that the registry knows and that Python has not.
LOGIN = f"{USERNAME}:$2y$05$kfXvqTAUhSnOHmU1yxzx7.akLhhcuwXvyFsBAiIdQEE0fRE1sTQuC\n"

MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "docker.distribution.manifest.v2",
        "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1",
        "oci.image.index.v1",
    )
)


class Answer(NamedTuple):
    """What a registry said."""

    status: int
    headers: HTTPMessage
    body: bytes


@dataclass(frozen=True)
class DockerRegistry:
    """A registry: an image in it is named `{host}/name:tag`."""

    host: str
    """With its port."""
    folder: Path
    """Where it keeps what it has, and its log."""
    username: str | None = None
    password: str | None = None

    def send(
        self, method: str, path: str, *, body: bytes | None = None, login: bool = True
    ) -> Answer:
        """Send a request, with its login if it has one, and return the answer whatever it says.

        Args:
            method: Such as `HEAD`.
            path: Such as `/v2/name/manifests/latest`.
            body: What is sent along.
            login: Whether to log in where that is needed.
        """
        headers = {"Accept": f"{MANIFESTS}, */*"}
        if login and self.username is not None:
            words = f"{self.username}:{self.password}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(words).decode()}"
        request = Request(f"http://{self.host}{path}", body, headers, method=method)
        opener = build_opener(ProxyHandler({}))
        try:
            with opener.open(request, timeout=servers.STARTS_WITHIN) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())


@contextlib.contextmanager
def serving_registry(folder: Path, *, private: bool = False) -> Iterator[DockerRegistry]:
    """Run a registry that keeps its images in a folder, and if it is private wants a login."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    if program is None:
        servers.lacking(
            "docker-registry is not installed: `make services` does that on Debian and Ubuntu"
        )
    (folder / "login").write_text(LOGIN)

    def command(port: int) -> list[str]:
        config: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(folder / "images")},
                "delete": {"enabled": True},
            },
            "http": {"addr": f"127.0.0.1:{port}", "secret": "of nobody"},
        }
        if private:
            config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "login")}}
        # JSON is YAML.
        (folder / "config.yml").write_text(json.dumps(config))
        return [program, "serve", str(folder / "config.yml")]

    with servers.running(folder, command) as port:
        login = (USERNAME, PASSWORD) if private else (None, None)
        yield DockerRegistry(f"127.0.0.1:{port}", folder, *login)
