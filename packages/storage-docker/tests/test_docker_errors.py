"""What goes wrong with engines and registries is said in our words, with the next step."""

from __future__ import annotations

import gc
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import closing, contextmanager

import docker_daemon
import docker_engine as docker_engine_plugin
import pytest
from docker.errors import APIError, DockerException, TLSParameterError
from docker_images import small_archive
from requests import ConnectionError as RequestsConnectionError
from requests import ReadTimeout, Response

from flowhold import Flow, task
from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowholdError,
    IntegrityError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold_storage_docker import Docker
from flowhold_storage_docker.connecting import connect
from flowhold_storage_docker.errors import (
    BuildError,
    TransferDeniedError,
    TransferError,
    TransferNotFoundError,
    TransferUnavailableError,
    failure,
    start_failure,
    transfer_failure,
)

# Texts of engines and of registries as they are.
SAID = [
    (
        "write /var/lib/docker/tmp/x: no space left on device",
        StorageError,
        "disk of the Docker engine is full",
        "docker system prune",
    ),
    (
        "Client sent an HTTP request to an HTTPS server.",
        AccessDeniedError,
        "wants TLS with a certificate",
        "DOCKER_CERT_PATH",
    ),
    (
        'Get "https://r:5000/v2/": http: server gave HTTP response to HTTPS client',
        StorageUnavailableError,
        "speaks no TLS",
        "insecure-registries",
    ),
    (
        'Get "https://r/v2/": x509: certificate signed by unknown authority',
        StorageUnavailableError,
        "does not trust the registry",
        "/etc/docker/certs.d",
    ),
    (
        'Get "https://r/v2/": tls: failed to verify certificate: x509: certificate has expired',
        StorageUnavailableError,
        "does not trust the registry",
        "/etc/docker/certs.d",
    ),
    (
        "unable to find user app: no matching entries in passwd file",
        ConfigurationError,
        "no container of PLACE can be started",
        "run_kwargs",
    ),
    ("network abc not found", ConfigurationError, "can be started", "run_kwargs"),
    (
        "image with reference x was found but does not match the specified platform: wanted "
        "linux/arm64, actual: linux/amd64",
        ConfigurationError,
        "not there for this platform",
        "platform=",
    ),
    (
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        ConfigurationError,
        "not there for this platform",
        "platform=",
    ),
    (
        "toomanyrequests: You have reached your pull rate limit. You may increase the limit by "
        "authenticating and upgrading: https://www.docker.com/increase-rate-limit",
        StorageUnavailableError,
        "too many requests",
        "docker login",
    ),
    (
        "received unexpected HTTP status: 429 Too Many Requests",
        StorageUnavailableError,
        "too many requests",
        "docker login",
    ),
    (
        "pull access denied for x, repository does not exist or may require 'docker login': "
        "denied: requested access to the resource is denied",
        AccessDeniedError,
        "no permission for PLACE",
        "docker login",
    ),
    ("no basic auth credentials", AccessDeniedError, "no permission", "docker login"),
    ("unauthorized: authentication required", AccessDeniedError, "no permission", "docker login"),
    (
        "denied: Your authorization token has expired. Reauthenticate and try again.",
        AccessDeniedError,
        "no permission",
        "docker login",
    ),
    (
        "error parsing HTTP 403 response body: unexpected end of JSON input: ''",
        AccessDeniedError,
        "no permission",
        "docker login",
    ),
    (
        "manifest for python:9.9 not found: manifest unknown: manifest unknown",
        ObjectNotFoundError,
        "there is no image PLACE",
        "check its name",
    ),
    ("No such image: x:latest", ObjectNotFoundError, "there is no image", "check its name"),
    (
        "An image does not exist locally with the tag: r/x",
        ObjectNotFoundError,
        "there is no image",
        "check its name",
    ),
    (
        'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
        StorageUnavailableError,
        "registry of PLACE did not answer",
        "registry_url",
    ),
    (
        'Get "https://r.invalid/v2/": dial tcp: lookup r.invalid on 10.0.0.1:53: no such host',
        StorageUnavailableError,
        "did not answer",
        "registry_url",
    ),
    (
        "net/http: request canceled while waiting for connection (Client.Timeout exceeded while "
        "awaiting headers)",
        StorageUnavailableError,
        "did not answer",
        "registry_url",
    ),
    (
        "received unexpected HTTP status: 503 Service Unavailable",
        StorageUnavailableError,
        "did not answer",
        "registry_url",
    ),
    (
        "error parsing HTTP 200 response body: invalid character '<' looking for beginning of "
        'value: "<html>"',
        StorageUnavailableError,
        "did not answer",
        "registry_url",
    ),
    ("unexpected EOF", StorageUnavailableError, "did not answer", "registry_url"),
    ("something that nobody knows", StorageError, "PLACE: something that nobody knows", None),
]


def api_error(text, status=500):
    response = Response()
    response.status_code = status
    return APIError(f"{status} Server Error", response=response, explanation=text)


@pytest.mark.parametrize(("text", "kind", "message", "hint"), SAID)
def test_what_an_engine_says_has_an_error_of_ours(text, kind, message, hint):
    for told in (text, api_error(text)):
        error = failure(told, "PLACE")
        assert type(error) is kind
        assert message in str(error)
        assert text[:200] in str(error)
        assert (error.hint is None) if hint is None else (hint in error.hint)
        transfer = transfer_failure(told, "PLACE")
        assert isinstance(transfer, TransferError)
        assert isinstance(transfer, InterruptedError)
        assert str(transfer) == str(error)
        assert not issubclass(kind, OSError) or isinstance(transfer, kind)


def caused(error, cause):
    error.__cause__ = cause
    return error


UNANSWERED = [
    (
        caused(DockerException("Error while fetching"), PermissionError(13, "Permission denied")),
        AccessDeniedError,
        "no permission for the Docker engine at ENGINE",
        "group docker",
    ),
    (
        caused(DockerException("Error while fetching"), FileNotFoundError(2, "No such file")),
        StorageUnavailableError,
        "no Docker engine answers at ENGINE",
        "start Docker",
    ),
    (
        DockerException("Credentials store error: StoreError('docker-credential-x not installed')"),
        AccessDeniedError,
        "program that keeps the login for PLACE",
        "credHelpers",
    ),
    (
        caused(RequestsConnectionError("aborted"), ConnectionResetError(104, "reset by peer")),
        StorageUnavailableError,
        "no Docker engine answers at ENGINE",
        "start Docker",
    ),
    (ReadTimeout("Read timed out."), StorageUnavailableError, "in time", "docker info"),
    (
        TLSParameterError("Path to a certificate and key files must be provided"),
        StorageUnavailableError,
        "no trusted connection to the Docker engine at ENGINE",
        "ca.pem, cert.pem and key.pem",
    ),
    (
        DockerException("API versions below 1.24 are no longer supported by this library."),
        StorageError,
        "no version in common",
        "update Docker",
    ),
]


@pytest.mark.parametrize(("told", "kind", "message", "hint"), UNANSWERED)
def test_an_engine_that_does_not_answer_is_not_taken_for_a_registry(told, kind, message, hint):
    error = failure(told, "PLACE", "ENGINE")
    assert type(error) is kind
    assert message in str(error)
    assert hint in error.hint
    assert isinstance(transfer_failure(told, "PLACE", "ENGINE"), TransferError)


def test_a_container_that_cannot_be_started_is_a_matter_of_its_options():
    error = start_failure(api_error("invalid mode: zzz", 400), "IMAGE", "ENGINE")
    assert type(error) is ConfigurationError
    assert "run_kwargs" in error.hint
    full = start_failure(api_error("no space left on device"), "IMAGE", "ENGINE")
    assert type(full) is StorageError


def test_a_login_in_a_url_is_left_out():
    told = 'Get "https://user:canary@r/v2/": dial tcp: refused'
    assert "canary" not in str(failure(told, "tcp://user:canary@host:1"))
    assert "canary" not in str(transfer_failure(told, "PLACE"))


@pytest.mark.parametrize(
    "kind",
    [
        BuildError,
        TransferDeniedError,
        TransferError,
        TransferNotFoundError,
        TransferUnavailableError,
    ],
)
def test_errors_survive_the_way_from_a_process(kind):
    error = pickle.loads(pickle.dumps(kind("what", hint="do")))
    assert (type(error), str(error), error.hint) == (kind, "what", "do")


# Engines that are not there, or not for us.


@task
def say(text):
    return text


def attempt(**options):
    """Build, and return the error."""
    options = {"base_image": docker_engine_plugin.BASE, "local_image": True} | options
    storage = Docker(**options)
    with Flow("etl") as flow:
        say("one")
    storage.add_flow(flow)
    with pytest.raises(FlowholdError) as caught:
        storage.build()
    error = caught.value
    # The SDK leaves a socket open that finds nobody, here in the frames of what it raised.
    error.__cause__ = error.__context__ = error.__traceback__ = None
    del caught
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return error


@pytest.fixture
def nowhere(monkeypatch):
    """A port at which nobody listens; no engine is named by the environment."""
    for name in os.environ:
        if name.startswith("DOCKER_"):
            monkeypatch.delenv(name)
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.mark.parametrize("by", ["base_url", "DOCKER_HOST"])
@pytest.mark.parametrize("kind", ["socket", "port", "nonsense"])
def test_an_engine_that_is_not_there_is_told_of(nowhere, monkeypatch, tmp_path, kind, by):
    url = {
        "socket": f"unix://{tmp_path}/no.sock",
        "port": f"tcp://127.0.0.1:{nowhere}",
        "nonsense": "gopher://127.0.0.1",
    }[kind]
    if by == "DOCKER_HOST":
        monkeypatch.setenv("DOCKER_HOST", url)
    error = attempt(**({"base_url": url} if by == "base_url" else {}))
    assert type(error) is StorageUnavailableError
    assert f"no Docker engine answers at {url}: " in str(error)
    assert "start Docker, or name the engine by base_url= or DOCKER_HOST" in error.hint
    assert "docker context inspect" in error.hint


AS_ANOTHER = """
import os, sys
import docker, requests, rich.progress, flowhold_storage_docker.storage
from flowhold.errors import FlowholdError
from flowhold_storage_docker.engine import open_engine
sys.argv[1] and os.setuid(1000)
try:
    open_engine(None, False)
except FlowholdError as error:
    print(type(error).__name__, error, error.hint)
"""


def test_a_socket_that_is_not_for_this_user_is_told_of(engine):
    command = [sys.executable, "-c", AS_ANOTHER, "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.startswith("AccessDeniedError no permission for the Docker engine"), done
    assert "group docker" in done.stdout


def test_an_engine_that_wants_tls_is_told_of(engine):
    error = attempt(base_url=engine.tls_url)
    assert type(error) is AccessDeniedError
    assert "wants TLS with a certificate" in str(error)
    assert "tls_config=" in error.hint


def test_an_engine_that_wants_a_certificate_is_told_of(engine):
    error = attempt(base_url=engine.tls_url, tls_config={"ca_cert": str(engine.ca), "verify": True})
    assert type(error) is AccessDeniedError
    assert "certificate" in str(error)
    assert "DOCKER_CERT_PATH" in error.hint


@pytest.mark.parametrize("bundle", [True, False])
def test_an_engine_that_another_ca_vouches_for_is_not_trusted(engine, monkeypatch, bundle):
    if bundle:  # that would vouch for it, but is not for engines
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(engine.ca))
    pair = (str(engine.cert), str(engine.key))
    error = attempt(
        base_url=engine.tls_url,
        tls_config={"client_cert": pair, "ca_cert": str(engine.cert), "verify": True},
    )
    assert type(error) is StorageUnavailableError
    assert f"no trusted connection to the Docker engine at {engine.tls_url}" in str(error)
    assert "CA's certificate" in error.hint


@pytest.mark.parametrize("way", ["environment", "mapping", "object"])
def test_an_engine_by_tls_is_trusted_by_its_ca(engine, monkeypatch, way, tmp_path):
    from docker.tls import TLSConfig

    (tmp_path / "empty.pem").write_text("")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "empty.pem"))
    options = {
        "client_cert": (str(engine.cert), str(engine.key)),
        "ca_cert": str(engine.ca),
        "verify": True,
    }
    if way == "environment":
        monkeypatch.setenv("DOCKER_HOST", engine.tls_url)
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(engine.certificates))
        storage = Docker()
    else:
        tls = options if way == "mapping" else TLSConfig(**options)
        storage = Docker(base_url=engine.tls_url, tls_config=tls)
    assert storage.engine.inspect(docker_engine_plugin.BASE)


def test_certificates_that_are_not_there_are_told_of(engine, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", engine.tls_url)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    error = attempt()
    assert type(error) is StorageUnavailableError
    assert "no trusted connection" in str(error)
    assert "ca.pem, cert.pem and key.pem" in error.hint


@pytest.mark.parametrize("options", [{"no_such": 1}, {"client_cert": "one path"}])
def test_a_wrong_tls_config_is_told_of(engine, options):
    error = attempt(base_url=engine.tls_url, tls_config=options)
    assert "tls_config" in f"{error} {error.hint}"


@contextmanager
def plain_server():
    """Give the port of a server that answers in no known way."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve():
            try:
                while True:
                    with server.accept()[0] as end:
                        end.recv(1000)
                        end.sendall(b"220 welcome\r\n")
            except OSError:  # it is closed
                pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_an_engine_without_tls_is_told_of(engine):
    with plain_server() as port:
        error = attempt(
            base_url=f"tcp://127.0.0.1:{port}",
            tls_config={"ca_cert": str(engine.ca), "verify": True},
        )
    assert type(error) is StorageUnavailableError
    assert "speaks no TLS" in str(error)
    assert "DOCKER_TLS_VERIFY" in error.hint


def test_a_server_that_is_no_engine_is_told_of(nowhere):
    with plain_server() as port:
        error = attempt(base_url=f"tcp://127.0.0.1:{port}")
    assert type(error) is StorageUnavailableError
    assert "no Docker engine answers" in str(error)


# Images that are not there.


def test_an_image_to_build_on_that_is_not_on_the_engine_is_told_of(engine):
    error = attempt(base_image="no-such-base:v1")
    assert type(error) is ObjectNotFoundError
    assert "the image to build on, no-such-base:v1, is not on the engine at" in str(error)
    assert "local_image" in error.hint


def test_an_image_to_build_on_that_cannot_be_pulled_is_told_of(engine):
    error = attempt(base_image="127.0.0.1:1/no-such-base:v1", local_image=False)
    assert isinstance(error, TransferUnavailableError)
    assert isinstance(error, InterruptedError)
    assert "127.0.0.1:1/no-such-base:v1" in str(error)
    assert "local_image" not in error.hint


def test_an_image_that_is_here_and_cannot_be_pulled_can_be_built_on(engine):
    with engine.client() as client:
        client.api.tag(docker_engine_plugin.BASE, "127.0.0.1:1/base", "v1")
    error = attempt(base_image="127.0.0.1:1/base:v1", local_image=False)
    assert isinstance(error, TransferUnavailableError)
    assert error.hint.startswith("local_image=True builds on the one that is here.")


def test_the_image_of_a_dockerfile_that_cannot_be_pulled_is_told_of(engine, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM 127.0.0.1:1/no-such-base:v1\n")
    error = attempt(base_image=None, dockerfile=str(tmp_path / "Dockerfile"))
    assert type(error) is BuildError
    assert "at Step 1/" in str(error)
    assert "connection refused" in str(error)
    assert "start Docker" not in error.hint


def test_an_image_without_python_is_told_of(engine, docker_archive):
    archive = docker_archive("tiny", lambda path: small_archive(path, "true"))
    engine.import_archive(archive, "flowhold-test/tiny:latest")
    error = attempt(base_image="flowhold-test/tiny:latest")
    assert type(error) is BuildError
    assert "needs `python` with pip" in error.hint


def test_a_requirement_that_cannot_be_had_is_told_of(engine):
    error = attempt(python_dependencies=["no-such-package"], env_vars={"PIP_NO_INDEX": "1"})
    assert "No matching distribution found for no-such-package" in str(error)
    assert "python_dependencies" in error.hint


def test_a_file_of_an_image_that_is_too_large_or_no_file_is_not_read(engine):
    found = Docker().engine
    base = docker_engine_plugin.BASE
    assert found.read_file(base, "/etc/nsswitch.conf", 1000).startswith(b"passwd: files")
    with pytest.raises(IntegrityError, match="larger than 10 bytes"):
        found.read_file(base, "/etc/nsswitch.conf", 10)
    with pytest.raises(IntegrityError, match="is not a file"):
        found.read_file(base, "/etc", 10)
    with pytest.raises(ObjectNotFoundError, match="there is no file /nowhere"):
        found.read_file(base, "/nowhere", 10)
    with pytest.raises(ObjectNotFoundError, match="there is no image"):
        found.read_file("no-such-image", "/etc", 10)


@pytest.fixture
def small_engine(tmp_path, monkeypatch):
    """An engine whose disk is small."""
    # Sockets in it have short paths only.
    disk = tempfile.mkdtemp(prefix="fh-", dir="/tmp")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], capture_output=True
    )
    if made.returncode:
        docker_daemon.servers.lacking(f"no tmpfs can be mounted: {made.stderr!r}")
    try:
        monkeypatch.setattr(docker_daemon, "place_of_data", lambda: disk)
        (tmp_path / "small").mkdir()
        with docker_daemon.serving_engine(tmp_path / "small") as engine:
            yield engine
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
        os.rmdir(disk)


def test_a_full_disk_of_the_engine_is_told_of(docker_archive, small_engine, tmp_path):
    archive = docker_archive("tiny", lambda path: small_archive(path, "true"))
    small_engine.import_archive(archive, "tiny:latest")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(32 << 20)
    error = attempt(base_image="tiny", base_url=small_engine.url, files={str(large): "/large"})
    assert isinstance(error, StorageError)
    assert "no space left on device" in str(error)
    assert "docker system prune" in error.hint


@pytest.mark.parametrize(
    "text", ["[]", "null", '{"auths": 1}', '{"auths": {"a": {"auth": "Y2FuYXJ5"}}}', "[" * 100_000]
)
def test_a_configuration_that_docker_did_not_write_is_told_of(text, monkeypatch, tmp_path):
    (tmp_path / "config.json").write_text(text)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"config\.json holds") as caught:
        connect("tcp://127.0.0.1:9", None)
    assert "canary" not in str(caught.value)
