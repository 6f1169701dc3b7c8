"""nginx by TLS, with the certificate of a private authority."""

from __future__ import annotations

import subprocess

import pytest
import urllib3

from flowhold import Storage, flow
from flowhold.errors import FlowholdError, StorageUnavailableError


def store(storage):
    storage.add_flow(flow(lambda: 1, name="etl"))
    return storage.build()


def test_it_is_trusted_where_verify_names_it(dav, webdav_server, login):
    arguments = {"verify": str(webdav_server.ca), **login}
    storage = store(dav(f"{webdav_server.https}/private", arguments=arguments))
    assert Storage.deserialize(storage.serialize()).get_flow().run().result == 1


def test_a_template_may_name_it(dav, webdav_server, monkeypatch):
    monkeypatch.setenv("CA", str(webdav_server.ca))
    store(dav(webdav_server.https, arguments={"verify": "${CA}"}))


def test_it_is_trusted_where_the_environment_names_it(dav, webdav_server, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(webdav_server.ca))
    store(dav(webdav_server.https))


def test_otherwise_the_error_says_what_to_do(dav, webdav_server, waits):
    # Another request has trusted it, whose connection is not used.
    store(dav(webdav_server.https, arguments={"verify": str(webdav_server.ca)}))
    with pytest.raises(StorageUnavailableError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        store(dav(webdav_server.https, path="other"))
    assert "'verify'" in caught.value.hint
    assert waits == []


def test_it_need_not_be_trusted(dav, webdav_server):
    with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
        store(dav(webdav_server.https, arguments={"verify": False}))


def test_another_name_than_the_certificates_is_refused(dav, webdav_server):
    base = webdav_server.https.replace("127.0.0.1", "localhost")
    with pytest.raises(StorageUnavailableError, match=r"[Hh]ostname|IP address"):
        store(dav(base, arguments={"verify": str(webdav_server.ca)}))


def test_a_clear_text_server_is_told(dav, webdav_server):
    base = webdav_server.url.replace("http:", "https:")
    with pytest.raises(StorageUnavailableError, match="trusted connection") as caught:
        store(dav(base))
    assert caught.value.hint


def test_a_client_certificate_is_sent(dav, webdav_server, tmp_path):
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    words += " -subj /CN=client -keyout client.key -out client.crt"
    subprocess.run(words.split(), cwd=tmp_path, check=True, capture_output=True)
    pair = [str(tmp_path / "client.crt"), str(tmp_path / "client.key")]
    arguments = {"verify": str(webdav_server.ca), "cert": pair}
    storage = store(dav(webdav_server.https, arguments=arguments))
    assert Storage.deserialize(storage.serialize()).get_flow().run().result == 1
    pair[1] = str(tmp_path / "broken.key")
    (tmp_path / "broken.key").write_text("no key")
    with pytest.raises(FlowholdError) as caught:
        store(dav(webdav_server.https, path="other", arguments=arguments))
    assert caught.value.hint
