"""A fake LFS server beside a real git server, after the published documents of the batch API.

https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md and basic-transfers.md
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from git_http import GitHTTPServer, Handler, serving_http

KIND = "application/vnd.git-lfs+json"


@dataclass
class Objects:
    """What the server has, and how it answers."""

    contents: dict[str, bytes] = field(default_factory=dict)
    """By their sha256."""
    errors: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Codes and messages for single objects."""
    status: int = 200
    """Of answers to batches."""
    answer: Any = None
    """What batches are answered with instead."""
    href: str = ""
    """Where the contents are; default: here."""
    header: dict[str, str] | None = None
    """What is to be sent for contents, as batches are told."""
    authenticated: bool | None = None
    wanted: dict[str, str] = field(default_factory=dict)
    """What has to be sent for contents, or they are refused; names in lower case."""
    content_status: int = 200
    batches: list[list[str]] = field(default_factory=list)
    """What was asked for in each batch."""

    def add(self, content: bytes) -> str:
        """Keep a content, and return the pointer to it."""
        oid = hashlib.sha256(content).hexdigest()
        self.contents[oid] = content
        return pointer(oid, len(content))


def pointer(oid: str, size: int) -> str:
    """Return the text of a pointer."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"


class LFSHandler(Handler):
    """Answers what is of LFS, and leaves the rest to git."""

    @property
    def lfs(self) -> Objects:
        return self.server.lfs

    def do_GET(self) -> None:
        if not self.path.startswith("/contents/"):
            super().do_GET()
            return
        content = self.lfs.contents.get(self.path.rpartition("/")[2])
        status = 404 if content is None else self.lfs.content_status
        if any(self.headers.get(name) != text for name, text in self.lfs.wanted.items()):
            status = 401
        self.reply(status, (content or b"") if status == 200 else b"{}")

    def do_POST(self) -> None:
        if not self.path.endswith(".git/info/lfs/objects/batch"):
            super().do_POST()
            return
        asked = json.loads(self.body())
        if not self.server.knows(self.headers.get("Authorization", "")):
            # For a private repository; the header is named so that browsers do not ask.
            self.reply(401, told("Credentials needed"), {"LFS-Authenticate": "Basic"})
        elif self.headers.get("Accept") != KIND or self.headers.get("Content-Type") != KIND:
            self.reply(406, told("Not acceptable"))
        elif asked["operation"] != "download" or "basic" not in asked.get("transfers", ["basic"]):
            self.reply(422, told("Validation error"))
        elif self.lfs.status != 200:
            self.reply(self.lfs.status, told("Not now"))
        else:
            self.lfs.batches.append([each["oid"] for each in asked["objects"]])
            objects = [self.object(each["oid"], each["size"]) for each in asked["objects"]]
            answer = self.lfs.answer or json.dumps({"transfer": "basic", "objects": objects})
            self.reply(200, answer.encode())

    def object(self, oid: str, size: int) -> dict[str, Any]:
        found: dict[str, Any] = {"oid": oid, "size": size}
        code, message = self.lfs.errors.get(oid, (404, "Object does not exist"))
        if oid in self.lfs.errors or oid not in self.lfs.contents:
            return found | {"error": {"code": code, "message": message}}
        if self.lfs.authenticated is not None:
            found["authenticated"] = self.lfs.authenticated
        download: dict[str, Any] = {"href": f"{self.lfs.href or self.server.url}/contents/{oid}"}
        if self.lfs.header is not None:
            download |= {"header": self.lfs.header, "expires_in": 3600}
        return found | {"actions": {"download": download}}

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        kind = {"Content-Type": KIND, "Content-Length": str(len(body))}
        self.start(status, kind | (headers or {}), body)
        self.wfile.write(body)


def told(message: str) -> bytes:
    return json.dumps({"message": message, "request_id": "123"}).encode()


@contextlib.contextmanager
def serving_lfs(folder: Path, **options: Any) -> Iterator[GitHTTPServer]:
    """Serve a folder of repositories, as `serving_http` does, and LFS, as its `lfs` tells."""
    with serving_http(folder, **options) as server:
        server.lfs = Objects()
        server.RequestHandlerClass = LFSHandler
        yield server
