"""Each error of Google's libraries becomes one of Flowhold's, with a hint, and nothing secret."""

from __future__ import annotations

import datetime
import http.server
import json
import socket
import ssl
import threading

import pytest

from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowholdError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.testing.faults import FaultProxy, Status, Truncate
from flowhold_storage_gcs import GCSStore


@pytest.fixture
def proxy(front, bucket, monkeypatch, no_backoff):
    with FaultProxy(front.url) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        yield proxy


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def said(status, reason, message="what happened"):
    body = {"error": {"message": message, "errors": [{"reason": reason}]}}
    return Status(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (said(403, "forbidden"), AccessDeniedError, "no permission for gs://.*: what happened"),
        (said(403, "rateLimitExceeded"), StorageUnavailableError, "what happened"),
        (said(400, "invalid"), StorageError, "gs://.*/a: what happened"),
        (said(507, "quotaExceeded"), StorageError, "gs://.*/a: what happened"),
        (said(404, "notFound", "No such object: b/a"), FileNotFoundError, "no object gs://.*/a"),
        (Status(500, b"<html>down"), StorageUnavailableError, "<html>down"),
        (Status(502), StorageUnavailableError, "502"),
    ],
)
def test_an_answer_is_an_error_that_says_what_the_server_says(bucket, proxy, answer, kind, text):
    proxy.fail(answer, 100)
    for call in (GCSStore(bucket).get, GCSStore(bucket).head):
        with pytest.raises(kind, match=text) as caught:
            call("a")
        assert isinstance(caught.value, FlowholdError)
        assert caught.value.__cause__ is not None


def test_a_policy_that_forbids_to_create_is_no_conflict(bucket, proxy):
    proxy.fail(said(412, "orgPolicyConstraintFailed", "a key of your own is required"), 100)
    with pytest.raises(StorageError, match="a key of your own is required") as caught:
        GCSStore(bucket).put("key", b"bytes", if_absent=True)
    assert not isinstance(caught.value, FileExistsError)


def test_a_refusal_without_credentials_is_access_denied(bucket, proxy):
    proxy.fail(Status(401), 100)
    with pytest.raises(AccessDeniedError, match="Anonymous credentials cannot be refreshed"):
        GCSStore(bucket).head("a")


def test_an_answer_that_is_no_json_is_unavailable(bucket, proxy):
    proxy.fail(Status(200, b"{", {"Content-Type": "application/json"}), 100)
    with pytest.raises(StorageUnavailableError, match="did not answer as it should"):
        GCSStore(bucket).head("a")


def test_a_download_that_never_gets_further_is_unavailable(bucket, proxy):
    store = GCSStore(bucket)
    store.put("a", b"x" * 4096)
    proxy.fail(Truncate(0), 100)
    with pytest.raises(StorageUnavailableError, match="cannot be reached"):
        store.get("a")


def test_a_download_of_unknown_length_is_unavailable(bucket):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nxxx")

        thread = threading.Thread(target=answer)
        thread.start()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        store = GCSStore(bucket, client_options={"api_endpoint": endpoint})
        with pytest.raises(StorageUnavailableError, match="length"):
            store.get("a")
        thread.join()


def test_a_server_that_is_not_there_is_unavailable(bucket, no_backoff):
    store = GCSStore(bucket, client_options={"api_endpoint": closed_port()})
    with pytest.raises(StorageUnavailableError, match="cannot be reached") as caught:
        store.get("a")
    assert "api_endpoint" in caught.value.hint


def test_an_endpoint_that_is_no_url_is_a_wrong_option(bucket):
    with pytest.raises(ConfigurationError, match="gs://") as caught:
        GCSStore(bucket, client_options={"api_endpoint": "nowhere"}).get("a")
    assert caught.value.hint == "check client_options"


@pytest.mark.parametrize("options", [{"nonsense": 1}, {"universe_domain": "example.com"}])
def test_options_that_the_client_refuses_are_told(bucket, account, options, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_KEY", account("somebody"))
    with pytest.raises(ConfigurationError, match="no client of Google Cloud Storage"):
        GCSStore(bucket, client_options=options, credentials_secret="KEY").get("a")


def test_no_credentials_anywhere_is_access_denied_and_the_hint_says_what_to_do(
    bucket, front, monkeypatch
):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    front.clear()
    store = GCSStore(bucket, client_options={"api_endpoint": front.url})
    with pytest.raises(AccessDeniedError, match="no credentials for gs://") as caught:
        store.get("a")
    assert "GCP_CREDENTIALS" in caught.value.hint
    assert front.count() == 0


def test_a_token_server_that_is_not_there_is_unavailable(bucket, account, monkeypatch):
    key = account("somebody", token_uri=closed_port())
    monkeypatch.setenv("FLOWHOLD_SECRET_KEY", key)
    with pytest.raises(StorageUnavailableError, match="cannot be reached"):
        GCSStore(bucket, credentials_secret="KEY", retries=0).get("a")


@pytest.mark.parametrize(
    "key", ["{}", '{"private_key": "SHHH", "client_email": "a", "token_uri": "b"}']
)
def test_a_secret_that_is_no_service_account_is_told_and_not_shown(bucket, key, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_KEY", key)
    with pytest.raises(ConfigurationError) as caught:
        GCSStore(bucket, credentials_secret="KEY").get("a")
    assert "secret" in caught.value.hint
    assert "SHHH" not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.fixture
def private_server(tmp_path):
    """A server with a certificate of its own, and the file of that."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "private")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    authority, both = tmp_path / "ca.pem", tmp_path / "both.pem"
    authority.write_bytes(certificate.public_bytes(encoding))
    both.write_bytes(certificate.public_bytes(encoding) + secret)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"data")

        def log_message(self, *args):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *args):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}", authority
        server.shutdown()
        thread.join()


def test_a_private_authority_is_trusted_where_the_environment_says_so(
    bucket, private_server, no_backoff, monkeypatch
):
    url, authority = private_server
    store = GCSStore(bucket, client_options={"api_endpoint": url})
    with pytest.raises(
        StorageUnavailableError, match=r"certificate of .* is not trusted"
    ) as caught:
        store.get("a")
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    assert store.get("a") == b"data"
