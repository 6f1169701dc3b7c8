"""The servers that other tests talk to: they start, keep what is put, and end with the tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import servers
from webdav_server import PASSWORD, USER

LISTENS = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(600)
"""

# Says the port of a server and then stays, as a run of tests that is killed.
KILLED = """
import json, pathlib, sys, time
import servers
program = [sys.executable, "-c", sys.argv[1]]
with servers.running(pathlib.Path.cwd(), lambda port: [*program, str(port)]) as port:
    print(json.dumps(port), flush=True)
    time.sleep(600)
"""


def listening(port):
    with socket.socket() as end:
        return end.connect_ex(("127.0.0.1", port)) == 0


def test_s3_keeps_the_first_of_two_conditional_puts(s3_server, s3_bucket):
    import boto3
    from botocore.exceptions import ClientError

    with closing(boto3.client("s3", endpoint_url=s3_server.url)) as client:
        client.put_object(Bucket=s3_bucket, Key="a/b", Body=b"one", IfNoneMatch="*")
        with pytest.raises(ClientError) as refused:
            client.put_object(Bucket=s3_bucket, Key="a/b", Body=b"two", IfNoneMatch="*")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
        assert client.get_object(Bucket=s3_bucket, Key="a/b")["Body"].read() == b"one"


def test_gcs_keeps_what_is_put(gcs_bucket):
    from google.cloud import storage

    with closing(storage.Client()) as client:
        client.bucket(gcs_bucket).blob("a/b").upload_from_string(b"one")
        assert client.bucket(gcs_bucket).blob("a/b").download_as_bytes() == b"one"


def test_azure_keeps_the_first_of_two_conditional_puts(azure_server, azure_container):
    from azure.core.exceptions import ResourceExistsError
    from azure.storage.blob import BlobClient

    text = azure_server.connection_string
    with BlobClient.from_connection_string(text, azure_container, "a/b") as client:
        client.upload_blob(b"one")
        with pytest.raises(ResourceExistsError):
            client.upload_blob(b"two")
        assert client.download_blob().readall() == b"one"


def test_webdav_keeps_what_is_put_by_whom_it_knows(webdav_server, webdav_folder):
    import requests

    login = (USER.encode(), PASSWORD.encode())
    for base, verify in ((webdav_server.url, True), (webdav_server.https, str(webdav_server.ca))):
        url = f"{base}/private/{webdav_folder}/a/b"
        with requests.Session() as session:
            session.trust_env = False
            assert session.put(url, b"one", timeout=9, verify=verify).status_code == 401
            put = session.put(url, b"one", auth=login, timeout=9, verify=verify)
            assert put.status_code in (201, 204)
            assert session.get(url, auth=login, timeout=9, verify=verify).content == b"one"
        assert webdav_server.path(url).read_bytes() == b"one"


@pytest.mark.parametrize("kind", ["s3_bucket", "gcs_bucket", "azure_container"])
def test_credentials_of_the_user_are_out_of_reach(kind, monkeypatch, request):
    names = ("AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_SECRET")
    for name in names:
        monkeypatch.setenv(name, "mine")
    request.getfixturevalue(kind)
    assert [name in os.environ for name in names].count(False) == 1


def test_a_server_ends_with_its_fixture(tmp_path):
    with servers.running(tmp_path, lambda port: [sys.executable, "-c", LISTENS, str(port)]) as port:
        assert listening(port)
    assert not listening(port)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell of a parent's end")
def test_a_server_ends_when_the_tests_are_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, LISTENS],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(servers.__file__).parent)},
        stdout=subprocess.PIPE,
    ) as tests:
        port = json.loads(tests.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as end:
            tests.send_signal(signal.SIGKILL)
            # The connection that nobody has accepted is reset when the listener goes.
            with pytest.raises(ConnectionResetError):
                end.recv(1)
    assert not listening(port)


def test_a_port_that_is_taken_is_given_up_for_another(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = []

        def command(port):
            ports.append(port)
            return [
                sys.executable,
                "-c",
                LISTENS,
                str(port if len(ports) > 1 else taken.getsockname()[1]),
            ]

        with servers.running(tmp_path, command) as port:
            assert port == ports[1]
    assert len(ports) == 2


def test_a_server_that_does_not_start_says_why(tmp_path):
    program = [sys.executable, "-c", "raise SystemExit('no room on the disk')"]
    with (
        pytest.raises(pytest.fail.Exception, match="no room on the disk"),
        servers.running(tmp_path, lambda port: program),
    ):
        pass


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip), ("true", pytest.fail)])
def test_a_server_that_is_not_there_is_named(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome.Exception, match="azurite is not installed"):
        servers.lacking("azurite is not installed")
