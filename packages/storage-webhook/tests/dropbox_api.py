"""A server with the API of Dropbox as far as files go: POST, with arguments as JSON in a header."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "canary-token-5e1f0c"
UPLOAD, DOWNLOAD = "/2/files/upload", "/2/files/download"


class DropboxServer(ThreadingHTTPServer):
    """Keeps files in memory for those who have its token.

    Attributes:
        files: Bytes by path.
        token: What clients have to have.
        requests: Path and headers of what was asked so far.
    """

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.token = token
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: DropboxServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.path, dict(self.headers)))
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self.answer(401, {"error_summary": "invalid_access_token/...", "error": {}})
            return
        wanted = json.loads(self.headers["Dropbox-API-Arg"])
        path = wanted["path"]
        if self.path == UPLOAD:
            if wanted.get("mode", "add") == "add" and self.server.files.get(path, body) != body:
                self.answer(409, {"error_summary": "path/conflict/file/...", "error": {}})
                return
            self.server.files[path] = body
            self.answer(200, {"path_lower": path.lower(), "size": len(body)})
        elif path in self.server.files:
            data = self.server.files[path]
            self.answer(200, {"size": len(data)}, data)
        else:
            self.answer(409, {"error_summary": "path/not_found/..", "error": {".tag": "path"}})

    def do_GET(self) -> None:
        self.answer(405, {"error_summary": "POST is wanted"})

    do_PUT = do_PATCH = do_GET

    def answer(self, status: int, document: dict, data: bytes | None = None) -> None:
        text = json.dumps(document)
        self.send_response(status)
        kind = "application/json" if data is None else "application/octet-stream"
        self.send_header("Content-Type", kind)
        if data is not None:
            self.send_header("Dropbox-API-Result", text)
        body = text.encode() if data is None else data
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing: what was asked is kept."""


def dropbox_arguments(base, path="/flows/{slug}-{sha256}.flow", **argument):
    """Return the arguments of the requests that store and load, as the seeds of this have them."""

    def call(address, **more):
        headers = {"Dropbox-API-Arg": json.dumps({"path": path, **more})}
        headers["Authorization"] = "Bearer ${DBOX_OAUTH2_TOKEN}"
        return {"url": base + address, "headers": headers}

    store = call(UPLOAD, mode="overwrite", autorename=False, strict_conflict=True, **argument)
    store["headers"]["Content-Type"] = "application/octet-stream"
    return store, "POST", call(DOWNLOAD), "POST"


@contextlib.contextmanager
def serving_dropbox(token: str) -> Iterator[DropboxServer]:
    """Run a server."""
    with DropboxServer(token) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
