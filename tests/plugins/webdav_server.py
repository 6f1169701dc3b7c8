"""A real server of WebDAV, nginx with files of its own, in clear text and by TLS.

It starts when a test first asks for it, once per process of pytest, and ends with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest
import servers

USER, PASSWORD = "etl", "canary-password/+ é"

CONFIG = """
daemon off;
master_process off;
pid {own}/pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {own}/body;
    proxy_temp_path {own}/proxy;
    fastcgi_temp_path {own}/fastcgi;
    uwsgi_temp_path {own}/uwsgi;
    scgi_temp_path {own}/scgi;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls} ssl;
        ssl_certificate {own}/server.crt;
        ssl_certificate_key {own}/server.key;
        root {own}/root;
        dav_methods PUT DELETE MKCOL;
        create_full_put_path on;
        location / {{ }}
        location /private/ {{
            auth_basic "flows";
            auth_basic_user_file {own}/users;
        }}
        location /small/ {{
            client_max_body_size 1k;
        }}
        location /read-only/ {{
            dav_methods off;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class WebDAVServer:
    """nginx with WebDAV. What is below `/private/` needs `USER` and `PASSWORD`.

    `/small/` takes 1 KiB at most, `/read-only/` nothing.
    """

    root: Path
    port: int
    tls: int
    ca: Path
    """File with the certificate of the authority that vouches for the server's."""

    @property
    def url(self) -> str:
        """Return the URL of its root."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def https(self) -> str:
        """Return the same by TLS."""
        return f"https://127.0.0.1:{self.tls}"

    def path(self, url: str) -> Path:
        """Return the file that a URL is of."""
        return self.root / unquote(url.split("/", 3)[3])


@contextlib.contextmanager
def serving_webdav() -> Iterator[WebDAVServer]:
    """Run nginx, with a certificate of a private authority."""
    paths = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
    nginx = shutil.which("nginx", path=paths)
    if nginx is None or shutil.which("openssl") is None:
        servers.lacking(
            "nginx or openssl is not installed: `make services` does that (on Debian and Ubuntu: "
            "apt install nginx-light openssl)"
        )
    with tempfile.TemporaryDirectory() as folder, socket.socket() as reserved:
        own = Path(folder)
        (own / "root").mkdir()
        new_certificates(own)
        hashed = subprocess.run(
            ["openssl", "passwd", "-apr1", "-stdin"],
            input=PASSWORD.encode(),
            check=True,
            capture_output=True,
        )
        (own / "users").write_text(f"{USER}:{hashed.stdout.decode()}")
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        tls = reserved.getsockname()[1]

        def command(port: int) -> list[str]:
            text = CONFIG.format(own=own, port=port, tls=tls)
            (own / "nginx.conf").write_text(text)
            return [nginx, "-e", "stderr", "-p", str(own), "-c", str(own / "nginx.conf")]

        with servers.running(own, command) as port:
            yield WebDAVServer(own / "root", port, tls, own / "ca.crt")


def new_certificates(folder: Path) -> None:
    """Make a private authority, and a certificate of it for 127.0.0.1."""
    new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for line in (
        f"req -x509 {new} -subj /CN=authority -keyout ca.key -out ca.crt"
        " -addext keyUsage=critical,keyCertSign",
        f"req {new} -subj /CN=127.0.0.1 -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2"
        " -extfile names -out server.crt",
    ):
        subprocess.run(["openssl", *line.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def webdav_server() -> Iterator[WebDAVServer]:
    """A server of WebDAV."""
    with serving_webdav() as server:
        yield server


@pytest.fixture
def webdav_folder(webdav_server) -> str:
    """Name of a folder of the server that nobody else uses."""
    return uuid.uuid4().hex
