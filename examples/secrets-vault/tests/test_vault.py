from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import traceback

import pytest
from vault_server import VaultServer

import flowhold
import flowhold_secrets_vault
from flowhold import redaction
from flowhold.errors import ConfigurationError, PluginError, SecretNotFoundError

TOKEN = "hvs.canary-of-token"
VALUE = "hunter2-do-not-show"


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    for name in ("ADDR", "TOKEN", "TOKEN_FILE", "MOUNT", "NAMESPACE", "CACERT"):
        monkeypatch.delenv(f"VAULT_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FLOWHOLD_CONFIG_DIR", str(tmp_path))
    yield
    redaction.forget()


@pytest.fixture
def vault(monkeypatch):
    with VaultServer(TOKEN) as server:
        server.secrets["secret/team/db"] = {"password": VALUE, "port": 5432, "value": "the-default"}
        monkeypatch.setenv("VAULT_ADDR", server.url)
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        yield server


def check_discreet(error):
    """Fail if anything that can be read of an error shows the token."""
    texts = [*traceback.format_exception(error), repr(error), str(error.hint)]
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == flowhold_secrets_vault.__file__:
            texts += map(repr, frame.f_locals.values())
    assert not any(TOKEN in text or VALUE in text for text in texts)


def test_a_key_of_a_path_is_a_secret(vault):
    assert flowhold.secret("team/db#password") == VALUE
    assert flowhold.secret("team/db") == "the-default"
    path, headers = vault.requests[0]
    assert path == "/v1/secret/data/team/db"
    assert headers["X-Vault-Token"] == TOKEN


def test_other_providers_come_first(vault):
    with flowhold.secrets({"team/db": "given"}):
        assert flowhold.secret("team/db") == "given"
    assert vault.requests == []


@pytest.mark.parametrize("name", ["team/other", "team/db#user", "NAME"])
def test_what_vault_does_not_have_is_not_found(vault, name):
    with pytest.raises(SecretNotFoundError):
        flowhold.secret(name)
    assert len(vault.requests) == 1


@pytest.mark.parametrize("name", ["../../sys/seal-status", "team/../db", "/team", "team//db", "#a"])
def test_a_name_cannot_lead_out_of_the_mount(vault, name):
    with pytest.raises(SecretNotFoundError):
        flowhold.secret(name)
    assert vault.requests == []


def test_a_name_is_quoted(vault):
    with pytest.raises(SecretNotFoundError):
        flowhold.secret("team/a b?version=1")
    assert vault.requests[0][0] == "/v1/secret/data/team/a%20b%3Fversion%3D1"


def test_without_an_address_nothing_is_asked():
    with pytest.raises(SecretNotFoundError):
        flowhold.secret("team/db")


def test_mount_and_namespace_can_be_set(vault, monkeypatch):
    vault.secrets["kv/team"] = {"value": VALUE}
    monkeypatch.setenv("VAULT_MOUNT", "kv")
    monkeypatch.setenv("VAULT_NAMESPACE", "admin/eu")
    assert flowhold.secret("team") == VALUE
    assert vault.requests[0][1]["X-Vault-Namespace"] == "admin/eu"


@pytest.mark.parametrize("variable", ["VAULT_TOKEN_FILE", "HOME"])
def test_the_token_may_be_in_a_file(vault, tmp_path, monkeypatch, variable):
    monkeypatch.delenv("VAULT_TOKEN")
    path = tmp_path / (".vault-token" if variable == "HOME" else "mounted")
    path.write_text(f"{TOKEN}\n")
    monkeypatch.setenv(variable, str(tmp_path if variable == "HOME" else path))
    assert flowhold.secret("team/db#password") == VALUE


def test_no_token_is_an_error_that_says_where_it_is_looked_for(vault, monkeypatch):
    monkeypatch.delenv("VAULT_TOKEN")
    with pytest.raises(ConfigurationError, match="no token") as caught:
        flowhold.secret("team/db")
    assert ".vault-token" in caught.value.hint
    assert vault.requests == []


def test_a_token_goes_to_no_other_machine_in_clear_text(monkeypatch):
    monkeypatch.setenv("VAULT_ADDR", "http://vault.example.com:8200")
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    with pytest.raises(ConfigurationError, match="not https"):
        flowhold.secret("team/db")


@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
def test_a_refusal_is_an_error_without_the_token(vault, status):
    vault.status = status
    with pytest.raises(PluginError, match=f"HTTP {status}") as caught:
        flowhold.secret("team/db")
    assert caught.value.hint
    check_discreet(caught.value)


def test_a_wrong_token_is_an_error_with_what_to_do(vault, monkeypatch):
    monkeypatch.setenv("VAULT_TOKEN", "another")
    with pytest.raises(PluginError, match="HTTP 403") as caught:
        flowhold.secret("team/db")
    assert "VAULT_TOKEN" in caught.value.hint


@pytest.mark.parametrize("token", [f"{TOKEN}\nX-Other: 1", f"{TOKEN}é流"])
def test_a_token_that_cannot_be_sent_is_not_shown(vault, monkeypatch, token):
    monkeypatch.setenv("VAULT_TOKEN", token)
    with pytest.raises(ConfigurationError, match="one line of ASCII") as caught:
        flowhold.secret("team/db")
    check_discreet(caught.value)


def test_a_server_that_is_not_there_is_an_error(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        with pytest.raises(PluginError, match="cannot be reached") as caught:
            flowhold.secret("team/db")
    check_discreet(caught.value)


def test_a_server_that_does_not_answer_is_an_error_in_time(monkeypatch):
    monkeypatch.setattr(flowhold_secrets_vault, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        with pytest.raises(PluginError, match="cannot be reached"):
            flowhold.secret("team/db")


def test_a_redirect_is_not_followed(vault):
    with VaultServer(TOKEN) as other:
        vault.status, vault.location = 307, f"{other.url}/v1/secret/data/team/db"
        with pytest.raises(PluginError, match="HTTP 307"):
            flowhold.secret("team/db")
        assert other.requests == []


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"data": null}', b'{"data": {"password": "version 1"}}']
)
def test_what_is_no_answer_of_vault_is_an_error(vault, body):
    vault.body = body
    with pytest.raises(PluginError, match="does not answer as it should"):
        flowhold.secret("team/db")


def test_a_value_that_is_not_text_is_an_error_without_the_value(vault):
    with pytest.raises(PluginError, match="port of team/db in Vault is not text") as caught:
        flowhold.secret("team/db#port")
    assert "5432" not in str(caught.value)


@pytest.fixture
def certificate(tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate")
    files = [str(tmp_path / name) for name in ("cert.pem", "key.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += [
        "-subj",
        "/CN=vault",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-out",
        files[0],
        "-keyout",
        files[1],
    ]
    subprocess.run(command, check=True, capture_output=True)
    return files


def test_a_certificate_is_checked_by_the_ca_that_is_named(certificate, monkeypatch):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    with VaultServer(TOKEN, tls) as server:
        server.secrets["secret/team"] = {"value": VALUE}
        monkeypatch.setenv("VAULT_ADDR", server.url)
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        with pytest.raises(PluginError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            flowhold.secret("team")
        assert "VAULT_CACERT" in caught.value.hint
        assert server.requests == []
        monkeypatch.setenv("VAULT_CACERT", certificate[0])
        assert flowhold.secret("team") == VALUE
    monkeypatch.setenv("VAULT_CACERT", "missing.pem")
    with pytest.raises(ConfigurationError, match="FileNotFoundError"):
        flowhold.secret("team")
