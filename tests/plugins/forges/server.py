"""What the servers of all fakes have in common: logins, counting, and failing when told to."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from .repository import Repository


@dataclass
class Reply:
    status: int = 200
    body: object = b""
    kind: str = "application/json; charset=utf-8"
    headers: dict = field(default_factory=dict)

    @property
    def data(self):
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Asked:
    method: str
    path: str
    query: dict
    headers: dict


class Fake:
    """A forge on this machine; ``route`` gives the answers.

    Attributes:
        login: Headers that requests need; empty: everybody may read.
        faults: What the next requests get instead of an answer: Replies, or functions of what was
            asked that return one, or None for the true answer.
    """

    def __init__(self):
        self.repository = Repository()
        self.login = {}
        self.faults = []
        self.asked = []
        handler = type("Handler", (_Handler,), {"fake": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, asked):
        self.asked.append(asked)
        if self.faults:
            fault = self.faults.pop(0)
            reply = fault if isinstance(fault, Reply) else fault(asked)
            if reply is not None:
                return reply
        sent = {name: asked.headers.get(name.lower()) for name in self.login}
        if any(sent.values()) and sent != self.login:
            return self.error(401, "Bad credentials")
        if sent != self.login:
            return self.hidden()
        return self.route(asked)

    def hidden(self):
        """What those who may not read the repository are told."""
        return self.error(404, "Not Found")

    def error(self, status, message):
        return Reply(status, {"message": message})

    def page(self):
        return Reply(200, b"<!doctype html><title>Sign in</title>", "text/html; charset=utf-8")


def slow(_asked):
    time.sleep(1)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: Fake

    def do_GET(self):
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        headers["raw"] = self.path
        size = int(headers.get("content-length", 0))
        headers["body"] = self.rfile.read(size)
        reply = self.fake.answer(Asked(self.command, parts.path, query, headers))
        data = reply.data
        try:
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(reply.headers.pop("length", len(data))))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)
        except OSError:
            self.close_connection = True
        if "close" in reply.headers:
            self.close_connection = True

    do_HEAD = do_POST = do_GET

    def log_message(self, *_):
        pass


def parts_of(path):
    """The decoded parts of a path; where slashes are encoded, parts hold them."""
    return [unquote(part) for part in path.strip("/").split("/")]
