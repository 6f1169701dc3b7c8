"""Every test runs as a user of its own, beside nginx with WebDAV and a server like Dropbox."""

from __future__ import annotations

import http.server
import threading

import pytest
from webdav_server import PASSWORD, USER

from flowhold.testing.faults import FaultProxy
from flowhold_storage_webhook import Webhook

from .dropbox_api import TOKEN, serving_dropbox


@pytest.fixture(autouse=True)
def _isolated(as_new_user, without_proxies):
    pass


@pytest.fixture
def dropbox(monkeypatch):
    """A server like Dropbox, whose token is in the environment."""
    monkeypatch.setenv("DBOX_OAUTH2_TOKEN", TOKEN)
    with serving_dropbox(TOKEN) as server:
        yield server


@pytest.fixture
def login(monkeypatch):
    """The arguments with which nginx lets in; the password is in the environment."""
    monkeypatch.setenv("DAV_PASSWORD", PASSWORD)
    return {"auth": [USER, "${DAV_PASSWORD}"]}


@pytest.fixture
def dav(webdav_server, webdav_folder):
    """Return a function that makes a storage of a folder of nginx, by this or another URL."""

    def dav(base=None, *, path="{slug}/{sha256}", arguments=None, **options):
        url = f"{base or webdav_server.url}/{webdav_folder}/{path}"
        both = {"url": url, **(arguments or {})}
        return Webhook(both, "PUT", both, "GET", **options)

    return dav


@pytest.fixture
def waits(monkeypatch):
    """Let tries follow each other at once; the seconds for which they would have waited."""
    waits = []
    monkeypatch.setattr("flowhold_storage_webhook.exchange.pause", waits.append)
    return waits


@pytest.fixture
def proxy(webdav_server, waits):
    """Stand in front of nginx."""
    with FaultProxy(webdav_server.url) as proxy:
        yield proxy


class Answering(http.server.ThreadingHTTPServer):
    """Gives the answers that it is told to, and keeps what it was asked.

    Attributes:
        answers: A function of the path by path, which gives status, headers and body; or these.
        requests: Method, path, headers and body of what was asked so far.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.requests = {}, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        answer = self.server.answers.get(self.path.partition("?")[0], (404, {}, b""))
        status, headers, data = answer(self) if callable(answer) else answer
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_PATCH = do_GET

    def log_message(self, *words):
        pass


@pytest.fixture
def answering():
    """Return a function that starts a server of answers."""
    running = []

    def answering():
        server = Answering()
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        running.append((server, thread))
        return server

    yield answering
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()
