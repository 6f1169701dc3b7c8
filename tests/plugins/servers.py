"""Fixtures that start the servers which tests of object stores talk to: S3, GCS and Azure.

A server starts when a test first asks for it, once per process of pytest, and ends with it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).parents[2]
STARTS_WITHIN = 60

# A server ends with the thread that started it, also where that is killed.
TIED = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""

# As its command, except that of several creates at once one wins.
S3 = """
import sys, threading
from moto.s3.responses import S3Response
from moto.server import main
lock, put = threading.Lock(), S3Response.put_object
def put_object(self):
    with lock:
        return put(self)
S3Response.put_object = put_object
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""

# As its command, except that a burst of connections is not left to wait for retransmission, that it
# does not write a list of all objects at every put, and that it keeps a backslash as it is.
GCS = """
import sys
from http.server import HTTPServer
from urllib.parse import quote
from gcp_storage_emulator.__main__ import main
from gcp_storage_emulator.storage import Storage
HTTPServer.request_queue_size = 128
Storage._write_config_to_file = lambda self: None
Storage._object_path = lambda self, bucket, name: f"{bucket}/{quote(name, safe='')}"
main(["start", "--in-memory", "--quiet", "--host", "127.0.0.1", "--port", sys.argv[1]])
"""


@dataclass(frozen=True)
class S3Server:
    """moto's server: URL of the endpoint, and credentials that it accepts."""

    url: str
    access_key: str = "testing"
    secret_key: str = "testing"
    region: str = "us-east-1"

    def bucket(self) -> str:
        """Make an empty bucket, and return its name."""
        name = f"bucket-{uuid.uuid4().hex}"
        send("PUT", f"{self.url}/{name}")
        return name


@dataclass(frozen=True)
class GCSServer:
    """gcp-storage-emulator: URL for `STORAGE_EMULATOR_HOST`. It knows no credentials."""

    url: str
    project: str = "project"

    def bucket(self) -> str:
        """Make an empty bucket, and return its name."""
        name = f"bucket-{uuid.uuid4().hex}"
        body = json.dumps({"name": name}).encode()
        send("POST", f"{self.url}/storage/v1/b?project={self.project}", body)
        return name


@dataclass(frozen=True)
class AzureServer:
    """azurite: URL of the account, and the credentials that everybody knows."""

    url: str
    account: str = "devstoreaccount1"
    key: str = (
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    )

    @property
    def connection_string(self) -> str:
        """Return the connection string."""
        return self.connection_string_by(self.url)

    def connection_string_by(self, url: str) -> str:
        """Return the connection string by another URL, such as that of a proxy."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account};AccountKey={self.key};"
            f"BlobEndpoint={url};"
        )

    def container(self) -> str:
        """Make an empty container, and return its name."""
        from azure.storage.blob import ContainerClient

        name = f"container-{uuid.uuid4().hex}"
        with ContainerClient.from_connection_string(self.connection_string, name) as client:
            client.create_container()
        return name


def send(method: str, url: str, body: bytes | None = None) -> None:
    """Send a request that must succeed, by no proxy."""
    headers = {"Content-Type": "application/json"} if body else {}
    with urlopen(Request(url, body, headers, method=method), timeout=STARTS_WITHIN) as answer:
        answer.read()


def lacking(what: str) -> NoReturn:
    """Skip the test for want of a server, which in continuous integration fails it."""
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@contextlib.contextmanager
def running(folder: Path, command: Callable[[int], list[str]]) -> Iterator[int]:
    """Run a server on a free port, which this gives once it listens.

    Args:
        folder: Where it works and where its output goes.
        command: Gives the command for a port, the program by its path.
    """
    for _ in range(3):
        # Bound meanwhile, so that nobody else gets the port: two may bind if only one listens.
        with socket.socket() as reserved, (folder / "log").open("wb") as log:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.bind(("127.0.0.1", 0))
            port = reserved.getsockname()[1]
            process = subprocess.Popen(
                [sys.executable, "-c", TIED, *command(port)],
                cwd=folder,
                # Nothing of the user: no settings, no proxy, no measuring of coverage.
                env={"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                if listens(process, port):
                    yield port
                    return
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    said = (folder / "log").read_text(errors="replace")
    pytest.fail(f"{command(port)} did not start:\n{said}", pytrace=False)


def listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server listens; false if it ends, as with a port that is taken, or is slow."""
    deadline = time.monotonic() + STARTS_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return process.poll() is None
        time.sleep(0.05)
    return False


@contextlib.contextmanager
def serving_s3(folder: Path) -> Iterator[S3Server]:
    """Run a server for S3 that works in a folder."""
    if importlib.util.find_spec("moto") is None:
        lacking("moto is not installed: pip install 'moto[server]'")
    program = [sys.executable, "-c", S3]
    with running(folder, lambda port: [*program, str(port)]) as port:
        yield S3Server(f"http://127.0.0.1:{port}")


@contextlib.contextmanager
def serving_gcs(folder: Path) -> Iterator[GCSServer]:
    """Run a server for Google Cloud Storage, which ignores preconditions."""
    if importlib.util.find_spec("gcp_storage_emulator") is None:
        lacking("gcp-storage-emulator is not installed: pip install gcp-storage-emulator")
    program = [sys.executable, "-c", GCS]
    with running(folder, lambda port: [*program, str(port)]) as port:
        yield GCSServer(f"http://127.0.0.1:{port}")


@contextlib.contextmanager
def serving_azure(folder: Path) -> Iterator[AzureServer]:
    """Run a server for Azure's blobs."""
    installed = ROOT / ".venvs" / "azurite" / "node_modules" / ".bin"
    program = os.environ.get("FLOWHOLD_AZURITE") or shutil.which(
        "azurite-blob", path=f"{installed}{os.pathsep}{os.environ['PATH']}"
    )
    if program is None:
        lacking("azurite is not installed: `make services` does that, and needs npm")
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]

    def command(port: int) -> list[str]:
        return [program, *options, "--blobHost", "127.0.0.1", "--blobPort", str(port)]

    with running(folder, command) as port:
        yield AzureServer(f"http://127.0.0.1:{port}/{AzureServer.account}")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory) -> Iterator[S3Server]:
    """A server for S3."""
    with serving_s3(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory) -> Iterator[GCSServer]:
    """A server for Google Cloud Storage. It ignores preconditions."""
    with serving_gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory) -> Iterator[AzureServer]:
    """A server for Azure's blobs."""
    with serving_azure(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def s3_environment(monkeypatch, s3_server) -> None:
    """Credentials that the server accepts, and no others of the user."""
    forget(monkeypatch, "AWS_", "BOTO_")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", s3_server.region)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)


@pytest.fixture
def gcs_environment(monkeypatch, gcs_server) -> None:
    """What makes Google's client use the server without credentials, and none of the user's."""
    forget(monkeypatch, "GOOGLE_", "GCLOUD_", "GCE_", "CLOUDSDK_", "STORAGE_EMULATOR_")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server.url)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", gcs_server.project)
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture
def azure_environment(monkeypatch, azure_server) -> None:
    """None of the credentials of the user."""
    forget(monkeypatch, "AZURE_", "MSI_", "IDENTITY_")


def forget(monkeypatch: pytest.MonkeyPatch, *prefixes: str) -> None:
    """Remove variables from the environment until the test ends."""
    for name in os.environ:
        if name.startswith(prefixes):
            monkeypatch.delenv(name)


@pytest.fixture
def s3_bucket(s3_server, s3_environment) -> str:
    """An empty bucket, and credentials for it in the environment."""
    return s3_server.bucket()


@pytest.fixture
def gcs_bucket(gcs_server, gcs_environment) -> str:
    """An empty bucket, and the server's address in the environment."""
    return gcs_server.bucket()


@pytest.fixture
def azure_container(azure_server, azure_environment) -> str:
    """An empty container."""
    return azure_server.container()
