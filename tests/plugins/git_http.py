"""A real git server by HTTP, whose answers tests can spoil and whose requests they can count."""

from __future__ import annotations

import base64
import contextlib
import gzip
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import servers
from git_repositories import ISOLATED


class Request(NamedTuple):
    """A request and how it was answered; `command` is "fetch", "ls-refs" or empty."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """By names in lower case."""
    status: int
    command: str


class GitHTTPServer(ThreadingHTTPServer):
    """git http-backend behind a server whose answers tests can spoil, by setting attributes.

    Attributes:
        users: Passwords by user, or None if nobody has to log in. The password of the user None is
            a token, which is accepted as the password of any user, and as a user.
        allow_filter: Whether partial clones are offered.
        allow_any: Whether any object may be asked for by its SHA. Version 2 of the protocol does
            not ask.
        protocol_v0: Whether the client's wish for another version of the protocol is ignored.
        refuse_filter: Whether a fetch with a filter fails, also where it is offered.
        redirect_to: URL that all are redirected to, with the path behind it.
        fail: Statuses of the next answers, such as [503, 503].
        retry_after: What those tell in `Retry-After`.
        stall: Seconds that each answer waits.
        truncate: Number of bytes after which the body of an answer ends and the connection closes.
        requests: What was asked so far.
        certificate: File with the key and the certificate for HTTPS, or None for plain HTTP.
    """

    request_queue_size = 128
    daemon_threads = False

    def __init__(
        self,
        folder: Path,
        users: Mapping[str | None, str] | None,
        allow_filter: bool,
        allow_any: bool,
        protocol_v0: bool,
        certificate: Path | None,
    ) -> None:
        self.backend = program("git-http-backend")
        super().__init__(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            # Client and server come to terms in the connection's own thread.
            options = {"server_side": True, "do_handshake_on_connect": False}
            self.socket = context.wrap_socket(self.socket, **options)
        self.folder, self.users, self.certificate = folder, users, certificate
        self.allow_filter, self.allow_any, self.protocol_v0 = allow_filter, allow_any, protocol_v0
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"{'https' if certificate else 'http'}://{self.host}"
        self.stopping = threading.Event()
        self.connections: set[socket.socket] = set()
        self.reset()

    def reset(self) -> None:
        """Forget the requests, and answer as git does."""
        self.requests: list[Request] = []
        self.fail: list[int] = []
        self.retry_after: str | int | None = None
        self.redirect_to = ""
        self.refuse_filter = False
        self.stall = 0.0
        self.truncate: int | None = None

    @property
    def fetches(self) -> int:
        """Return how many requests for objects were answered."""
        return self.count("fetch")

    @property
    def ls_refs(self) -> int:
        """Return how many requests for a list of references were answered."""
        return self.count("ls-refs")

    def count(self, command: str) -> int:
        """Return how many requests of a kind were answered."""
        return sum((it.command, it.status) == (command, 200) for it in list(self.requests))

    def knows(self, authorization: str) -> bool:
        """Return whether somebody may log in."""
        if self.users is None:
            return True
        scheme, _, coded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        user, _, password = base64.b64decode(coded).decode().partition(":")
        token = self.users.get(None)
        return self.users.get(user) == password or (token is not None and token in (user, password))

    def process_request(self, request, client_address) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address) -> None:
        """Say nothing of clients that go away."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """End, with all connections that are open."""
        self.stopping.set()
        self.shutdown()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of a connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: GitHTTPServer

    def do_GET(self) -> None:
        body = self.body()
        self.server.stopping.wait(self.server.stall)
        refused = self.refusal()
        if refused is None:
            self.run(body)
        else:
            self.start(refused[0], refused[1] | {"Content-Length": "0"}, body)

    do_POST = do_GET

    def body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def refusal(self) -> tuple[int, dict[str, str]] | None:
        """Return status and headers of an answer that git does not give."""
        server, after = self.server, self.server.retry_after
        with contextlib.suppress(IndexError):
            return server.fail.pop(0), {} if after is None else {"Retry-After": str(after)}
        if server.redirect_to:
            return 302, {"Location": server.redirect_to + self.path}
        if not server.knows(self.headers.get("Authorization", "")):
            return 401, {"WWW-Authenticate": 'Basic realm="git"'}
        return None

    def start(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Keep the request, before the client can see the answer, and send the headers."""
        path, _, query = self.path.partition("?")
        asked = {name.lower(): text for name, text in self.headers.items()}
        command = command_of(path, query, asked, body, self.server.protocol_v0)
        self.server.requests.append(Request(self.command, path, query, asked, status, command))
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()

    def run(self, body: bytes) -> None:
        """Answer as git http-backend does, which reads a file as this keeps it from blocking."""
        with tempfile.TemporaryFile() as file:
            file.write(body)
            file.seek(0)
            with subprocess.Popen(
                [self.server.backend],
                env=self.environment(len(body)),
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process:
                headers = {}
                while line := process.stdout.readline().decode().strip():
                    name, _, headers[name] = line.partition(": ")
                headers.pop("Content-Length", None)
                status = int(headers.pop("Status", "200" if headers else "500")[:3])
                self.start(status, headers | {"Transfer-Encoding": "chunked"}, body)
                self.copy(process)

    def copy(self, process: subprocess.Popen[bytes]) -> None:
        """Send what a process says, as chunks."""
        left = self.server.truncate
        while part := process.stdout.read1(64 * 1024):
            cut = part[:left]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(cut), cut) if cut else b"")
            if len(cut) < len(part):
                self.close_connection = True
                return
            left = None if left is None else left - len(cut)
        self.wfile.write(b"0\r\n\r\n")

    def environment(self, size: int) -> dict[str, str]:
        """Return what git http-backend is told."""
        server, (path, _, query) = self.server, self.path.partition("?")
        filters = server.allow_filter and not (server.refuse_filter and self.command == "POST")
        told = settings(filters, server.allow_any) | {
            "GIT_PROJECT_ROOT": str(server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": unquote(path),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(size),
            "REMOTE_ADDR": self.client_address[0],
        }
        if "Content-Encoding" in self.headers:
            told["HTTP_CONTENT_ENCODING"] = self.headers["Content-Encoding"]
        if "Git-Protocol" in self.headers and not server.protocol_v0:
            told["HTTP_GIT_PROTOCOL"] = self.headers["Git-Protocol"]
        return told

    def log_message(self, *words: object) -> None:
        """Say nothing: what was asked is kept."""


def command_of(
    path: str, query: str, headers: Mapping[str, str], body: bytes, protocol_v0: bool
) -> str:
    """Return "fetch" if a request asks for objects, "ls-refs" if for references, or nothing."""
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    if path.endswith("/git-upload-pack"):
        found = re.match(rb"[0-9a-f]{4}(?:command=(fetch|ls-refs)|(want) )", body)
        return "" if found is None else (found[1] or b"fetch").decode()
    lists = path.endswith("/info/refs") and query == "service=git-upload-pack"
    newer = "version=2" in headers.get("git-protocol", "") and not protocol_v0
    return "ls-refs" if lists and not newer else ""


def program(name: str) -> str:
    """Return the path of a program that belongs to git."""
    found = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
    path = Path(found.stdout.strip(), name)
    if not path.exists():
        servers.lacking(f"{name} is not installed: it comes with git, or as a package of its own")
    return str(path)


def settings(allow_filter: bool, allow_any: bool) -> dict[str, str]:
    """Return the environment of a server's git, with its settings."""
    values = {"uploadpack.allowFilter": allow_filter, "uploadpack.allowAnySHA1InWant": allow_any}
    told = ISOLATED | {"GIT_CONFIG_COUNT": str(len(values))}
    for number, (name, value) in enumerate(values.items()):
        told[f"GIT_CONFIG_KEY_{number}"] = name
        told[f"GIT_CONFIG_VALUE_{number}"] = str(value).lower()
    return told


@contextlib.contextmanager
def serving_http(
    folder: Path,
    *,
    users: Mapping[str | None, str] | None = None,
    allow_filter: bool = True,
    allow_any: bool = True,
    protocol_v0: bool = False,
    certificate: Path | None = None,
) -> Iterator[GitHTTPServer]:
    """Serve a folder: `owner/name.git` in it has the URL `{url}/owner/name.git`."""
    server = GitHTTPServer(folder, users, allow_filter, allow_any, protocol_v0, certificate)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
