"""A small server with the one call of Vault's API that the plugin makes."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class VaultServer(ThreadingHTTPServer):
    """Answers as Vault does, at a free port of this machine."""

    daemon_threads = True

    def __init__(self, token: str, tls=None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.secrets: dict[str, dict] = {}
        """Keys and values by mount and path, as ``secret/team/db``."""
        self.status = 200
        self.body: bytes | None = None
        self.location = ""
        self.requests: list[tuple[str, dict[str, str]]] = []
        scheme = "http" if tls is None else "https"
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{self.server_port}"

    def __enter__(self) -> VaultServer:
        Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address) -> None:
        """Say nothing of clients that hang up, as one does that does not trust it."""


class _Handler(BaseHTTPRequestHandler):
    server: VaultServer

    def do_GET(self) -> None:
        server = self.server
        server.requests.append((self.path, dict(self.headers)))
        _, version, mount, data, *path = self.path.split("/")
        found = server.secrets.get("/".join([mount, *path]))
        status, document = 200, {"data": {"data": found, "metadata": {"version": 1}}}
        if server.status != 200:
            # A server can tell back what it was asked with.
            said = f"no: {self.headers['X-Vault-Token']}"
            status, document = server.status, {"errors": [said]}
        elif self.headers["X-Vault-Token"] != server.token:
            status, document = 403, {"errors": ["permission denied"]}
        elif found is None or (version, data) != ("v1", "data"):
            status, document = 404, {"errors": []}
        body = json.dumps(document).encode() if server.body is None else server.body
        self.send_response(status, f"refused {self.headers['X-Vault-Token']}")
        if server.location:
            self.send_header("Location", server.location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments) -> None:
        pass
