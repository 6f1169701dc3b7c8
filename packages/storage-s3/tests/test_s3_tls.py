"""A server with a certificate of a private CA."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import socketserver
import ssl
import threading
from urllib.parse import urlsplit

import pytest

from flowhold.errors import StorageUnavailableError
from flowhold_storage_s3 import S3Store


def pump(source, target):
    """Pass on what comes, to its end."""
    with contextlib.suppress(OSError):
        while block := source.recv(1 << 16):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)


class Tunnel(socketserver.BaseRequestHandler):
    """Passes a connection on to the server, without its encryption."""

    def handle(self):
        wrap = self.server.context.wrap_socket
        with (
            contextlib.suppress(OSError),  # what the client does not trust is one too
            wrap(self.request, server_side=True, do_handshake_on_connect=False) as secured,
            socket.create_connection(self.server.to) as server,
        ):
            secured.do_handshake()
            back = threading.Thread(target=pump, args=(server, secured))
            back.start()
            pump(secured, server)
            back.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 that is its own CA, with its key; and its file without the key."""
    x509 = pytest.importorskip("cryptography.x509", reason="cryptography is not installed")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a private CA")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("ca")
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "both.pem").write_bytes((folder / "ca.pem").read_bytes() + private)
    return folder / "both.pem", folder / "ca.pem"


@pytest.fixture
def secured(s3_server, certificate):
    """URL of the server by TLS."""
    parts = urlsplit(s3_server.url)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as server:
        server.to = parts.hostname, parts.port
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(certificate[0])
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_it_is_trusted_where_verify_names_it(secured, certificate, s3_bucket):
    options = {"endpoint_url": secured, "verify": str(certificate[1])}
    store = S3Store(s3_bucket, client_options=options)
    store.put("key", b"bytes" * 10_000_000, if_absent=True)
    assert store.get("key") == b"bytes" * 10_000_000


def test_it_is_trusted_where_the_environment_names_it(secured, certificate, s3_bucket, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate[1]))
    store = S3Store(s3_bucket, client_options={"endpoint_url": secured})
    store.put("key", b"bytes")
    assert store.get("key") == b"bytes"


def test_a_server_is_asked_whether_it_wants_a_body_only_where_that_is_large(
    secured, certificate, s3_bucket
):
    # By TLS the checksum comes behind the body.
    options = {"endpoint_url": secured, "verify": str(certificate[1])}
    store, sent = S3Store(s3_bucket, client_options=options), []
    store.client.meta.events.register(
        "before-send.s3.PutObject", lambda request, **_: sent.append(dict(request.headers))
    )
    for size in (20_000, 2_000_000):
        store.put("key", bytes(size))
    assert [headers["Content-Encoding"] for headers in sent] == [b"aws-chunked"] * 2
    assert ["Expect" in headers for headers in sent] == [False, True]


def test_otherwise_the_error_says_what_to_do(secured, s3_bucket, no_backoff):
    store = S3Store(s3_bucket, client_options={"endpoint_url": secured})
    with pytest.raises(StorageUnavailableError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        store.put("key", b"bytes")
    assert "'verify': '/path/to/ca.pem'" in caught.value.hint


def test_a_ca_file_that_is_not_there(secured, s3_bucket, no_backoff):
    options = {"endpoint_url": secured, "verify": "/no/such/ca.pem"}
    with pytest.raises(StorageUnavailableError, match="No such file") as caught:
        S3Store(s3_bucket, client_options=options).put("key", b"bytes")
    assert "verify" in caught.value.hint
