"""Every test runs as a user of its own; a repository whose commits tell themselves apart."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from types import SimpleNamespace

import pytest
import servers
from git_repositories import make_repository

SCRIPT = """
from flowhold import Flow, task
{imports}

@task
def value():
    return {value}


with Flow("{name}") as flow:
    value()
"""


@pytest.fixture(autouse=True)
def _isolated(as_new_user, without_proxies, monkeypatch):
    for name in os.environ:
        if name.startswith(("GIT_", "SSH_")):
            monkeypatch.delenv(name)


def scripts(number):
    """Return the files of a commit: flows of several layouts, each with this value."""
    reads = "int(Path(__file__).with_name('data').joinpath('value.txt').read_text())"
    told = f"VALUE = {number}\n"
    flows = {
        "single.py": ("single", told, "VALUE"),
        "siblings.py": ("siblings", "import neighbour", "neighbour.VALUE"),
        "company/flows/relative.py": ("relative", "from ..values import VALUE", "VALUE"),
        "reads.py": ("reads", "from pathlib import Path", reads),
        "two.py": ("one", told, "VALUE"),
    }
    files = {
        path: SCRIPT.format(name=name, imports=imports, value=value)
        for path, (name, imports, value) in flows.items()
    }
    files["two.py"] += '\n\nwith Flow("other") as other:\n    value()\n'
    return files | {
        "neighbour.py": told,
        "company/__init__.py": "",
        "company/flows/__init__.py": "",
        "company/values.py": told,
        "data/value.txt": str(number),
    }


@pytest.fixture(scope="session")
def scripts_of():
    """Return a function that gives the files of a commit, whose flows all have one value."""
    return scripts


@pytest.fixture(scope="session")
def history(git_folder):
    """The repository `team/flows.git`, where the value of each commit's flows is its number.

    Its `shas` are by number: 0 to 6 on the default branch, `trunk`, where the last is the tip and 3
    and 4 are named by nothing; 7 is the branch `feature/one`; 8 and 9 are branches that are the
    default elsewhere.
    """
    repository = make_repository(git_folder / "team" / "flows.git")
    branches = [*["trunk"] * 7, "feature/one", "main", "master"]
    shas = [
        repository.commit(scripts(number), f"Value {number}", branch)
        for number, branch in enumerate(branches)
    ]
    repository.tag("light", shas[0])
    repository.tag("annotated", shas[1], annotated=True)
    inner = repository.tag("inner", shas[2], annotated=True)
    text = f"object {inner}\ntype tag\ntag outer\ntagger {repository.tick()}\n\nA tag of a tag\n"
    repository.tag("outer", repository.git("mktag", stdin=text.encode()))
    return SimpleNamespace(repository=repository, name="team/flows.git", shas=shas)


@pytest.fixture
def url(request, git_folder, monkeypatch):
    """Return a function that gives the URL of a repository by http, ssh, git or file."""

    def url(transport, name):
        if transport == "http":
            return f"{request.getfixturevalue('git_http').url}/{name}"
        if transport == "git":
            return f"{request.getfixturevalue('git_daemon').url}/{name}"
        if transport == "file":
            return (git_folder / name).as_uri()
        server = request.getfixturevalue("git_ssh_server")
        monkeypatch.setenv("GIT_SSH_COMMAND", server.command())
        return server.url(name)

    return url


@pytest.fixture
def waits(monkeypatch):
    """Let tries follow each other at once; the seconds for which they would have waited."""
    waits = []
    patient = SimpleNamespace(sleep=waits.append)
    monkeypatch.setattr("flowhold_storage_git.tries.time", patient)
    return waits


@pytest.fixture
def unused():
    """A port on which nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


class Tunnel(socketserver.ThreadingTCPServer):
    """Passes connections on to a port; what is answered can be cut off, or encrypted.

    Attributes:
        port: Its own.
        cut: Number of bytes of each connection after which it breaks off.
        connections: What was passed on so far.
    """

    def __init__(self, to, context):
        super().__init__(("127.0.0.1", 0), None)
        self.to, self.context, self.port = to, context, self.server_address[1]
        self.cut, self.connections = None, []

    def finish_request(self, client, address):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
            ends = [client, socket.create_connection(("127.0.0.1", self.to))]
            self.connections.append(ends)
            for end in ends:
                stack.enter_context(end)
            forth = threading.Thread(target=pump, args=ends)
            forth.start()
            pump(*reversed(ends), self.cut)
            part(ends)
            forth.join()


def pump(source, target, most=None):
    """Pass on what comes, to its end or as many bytes."""
    with contextlib.suppress(OSError):
        while most != 0 and (block := source.recv(most or 1 << 16)):
            target.sendall(block)
            most = None if most is None else most - len(block)
        target.shutdown(socket.SHUT_WR)


def part(ends):
    """End connections for whoever reads from them."""
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def tunnel():
    """Return a function that makes a tunnel to a port, with a context by TLS."""
    with contextlib.ExitStack() as stack:

        def tunnel(port, context=None):
            server = stack.enter_context(Tunnel(port, context))
            stack.callback(lambda: [part(ends) for ends in server.connections])
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server

        yield tunnel


@pytest.fixture
def silent():
    """A port that takes connections, and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def answering():
    """A server by HTTP that gives one answer to all, as set; what it was asked is in `requests`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.server.requests.append((self.path, dict(self.headers)))
            self.send_response(self.server.status, self.server.reason)
            for name, text in self.server.headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(self.server.body)))
            self.end_headers()
            self.wfile.write(self.server.body)

        do_POST = do_GET

        def log_message(self, *words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.status, server.headers, server.body, server.requests = 200, {}, b"", []
        server.reason = None
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 that is its own CA: a file with its key, and one without."""
    if shutil.which("openssl") is None:
        servers.lacking("openssl is not installed: it comes with OpenSSH's packages")
    folder = tmp_path_factory.mktemp("certificate")
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    words += " -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out ca.pem"
    subprocess.run(words.split(), cwd=folder, check=True, capture_output=True)
    (folder / "both.pem").write_bytes(
        (folder / "key.pem").read_bytes() + (folder / "ca.pem").read_bytes()
    )
    return folder / "both.pem", folder / "ca.pem"


@pytest.fixture
def secured(tunnel, certificate):
    """Return a function that makes a port with TLS in front of a port without."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[0])
    return lambda port: tunnel(port, context).port
