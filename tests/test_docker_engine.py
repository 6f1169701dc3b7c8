"""The Docker engine, its images, registries and index of packages, that other tests use."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import docker
import docker_daemon
import pytest
import requests
from docker.errors import APIError, BuildError, ImageNotFound
from docker.tls import TLSConfig
from docker_engine import BARE, BASE, cleaned, serving_engine
from docker_images import small_archive

# Runs an engine with a container, says its address, and ends when it is told to.
STAYS = """
import sys
from pathlib import Path
from docker_engine import serving_engine
with serving_engine(Path.cwd(), tls=True) as engine:
    engine.import_archive(Path(sys.argv[1]), "small:latest")
    with engine.client() as client:
        client.containers.run("small", ["sleep", "600"], network_mode="host", detach=True)
    print(engine.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def client(docker_environment):
    """A client as one who uses the library has it."""
    with closing(docker.from_env()) as made:
        yield made


def run(client, image, *words, **options):
    """Run a command in a container that goes, and return what it says."""
    said = client.containers.run(image, words, network_mode="host", remove=True, **options)
    return said.decode().strip()


def build(client, recipe, **options):
    """Build an image without a folder of files."""
    return client.images.build(
        fileobj=io.BytesIO(recipe.encode()), network_mode="host", rm=True, **options
    )[0]


@pytest.fixture
def small(docker_environment, tmp_path):
    """The name of an image that does nothing."""
    small_archive(tmp_path / "small.tar", "true")
    docker_environment.import_archive(tmp_path / "small.tar", "small:latest")
    return "small:latest"


def push(client, small, registry, name, **options):
    """Push an image to a registry, and return what the engine says last."""
    client.images.get(small).tag(f"{registry.host}/{name}", "1")
    said = client.images.push(f"{registry.host}/{name}", "1", stream=True, decode=True, **options)
    return [*said][-1]


def test_images_run_the_python_of_the_tests(client):
    asked = "import ctypes, sqlite3, ssl, sys, zlib; print('%d.%d.%d' % sys.version_info[:3])"
    for word in ("python", "python3"):
        assert run(client, BARE, word, "-c", asked) == "{}.{}.{}".format(*sys.version_info)


def test_images_have_pip_a_shell_and_a_user(client):
    said = run(client, BARE, "sh", "-c", "python -m pip --version && id -un", user="app")
    version, user = said.splitlines()
    assert version.startswith("pip ")
    assert user == "app"


def test_the_base_has_what_flowhold_needs_but_not_flowhold(client):
    asked = """
import importlib.util as u, importlib.metadata as m
import click, cloudpickle, filelock, pathspec, platformdirs, pluggy, rich, slugify, zstandard
print(u.find_spec("flowhold"), sorted(it.name for it in m.distributions() if "flow" in it.name))
"""
    assert run(client, BASE, "python", "-c", asked) == "None []"
    assert "No broken requirements" in run(client, BASE, "python", "-m", "pip", "check")


def test_another_python_may_be_had(client, docker_old_python):
    said = run(client, docker_old_python, "python", "-c", "import ssl, sys; print(sys.version)")
    assert said.rpartition(".")[0] != sys.version.rpartition(".")[0]


def test_a_registry_takes_a_push_and_gives_it_by_digest(client, small, docker_registry):
    digest = push(client, small, docker_registry, "owner/image")["aux"]["Digest"]
    answer = docker_registry.send("GET", f"/v2/owner/image/manifests/{digest}")
    assert (answer.status, answer.headers["docker-content-digest"]) == (200, digest)
    [layer] = json.loads(answer.body)["layers"]
    blob = docker_registry.send("HEAD", f"/v2/owner/image/blobs/{layer['digest']}")
    assert int(blob.headers["content-length"]) == layer["size"]
    client.images.remove(f"{docker_registry.host}/owner/image:1")
    client.images.pull(f"{docker_registry.host}/owner/image@{digest}")
    assert docker_registry.send("GET", "/v2/owner/none/manifests/1").status == 404


def test_a_private_registry_wants_a_login(client, small, docker_registry_private):
    registry = docker_registry_private
    assert "no basic auth" in push(client, small, registry, "owner/image")["error"]
    login = {"username": registry.username, "password": "wrong"}
    with pytest.raises(APIError, match="401"):
        client.login(**login, registry=f"http://{registry.host}")
    login["password"] = registry.password
    assert "aux" in push(client, small, registry, "owner/image", auth_config=login)
    assert registry.send("GET", "/v2/owner/image/manifests/1").status == 200
    assert registry.send("GET", "/v2/owner/image/manifests/1", login=False).status == 401


def test_pip_in_a_build_finds_what_is_in_the_index(client, docker_index):
    docker_index.add("Found-It", "1.5", extras={"more": ["found-too<3; python_version>'3'"]})
    docker_index.add("found-it", "2.0")
    docker_index.add("found-too", "2.5", module_text="told = 'two'\n")
    docker_index.add("found-too", "3.0")
    install = f"RUN python -m pip install --no-cache-dir -q --index-url {docker_index.url}"
    image = build(client, f"FROM {BARE}\n{install} 'found_it[more]<2'\n")
    asked = "import found_it, found_too; print(found_it.__version__, found_too.told)"
    assert run(client, image.id, "python", "-c", asked) == "1.5 two"
    with pytest.raises(BuildError, match="returned a non-zero code"):
        build(client, f"FROM {BARE}\n{install} nowhere-to-be-found\n", forcerm=True)


def test_tls_lets_in_who_has_a_certificate_only(docker_environment):
    engine = docker_environment

    def ping(**certificate):
        trusts = TLSConfig(ca_cert=str(engine.ca), verify=True, **certificate)
        address = {"base_url": engine.tls_url, "version": "1.41"}
        with closing(docker.DockerClient(**address, tls=trusts)) as client:
            return client.ping()

    assert ping(client_cert=(str(engine.cert), str(engine.key)))
    with pytest.raises(requests.exceptions.ConnectionError):
        ping()


def test_settings_of_the_user_are_out_of_reach(monkeypatch, request):
    monkeypatch.setenv("DOCKER_CONTEXT", "mine")
    monkeypatch.setenv("HTTPS_PROXY", "http://mine")
    engine = request.getfixturevalue("docker_environment")
    assert os.environ["DOCKER_HOST"] == engine.url
    assert [*Path(os.environ["DOCKER_CONFIG"]).iterdir()] == []
    assert os.environ.keys().isdisjoint({"DOCKER_CONTEXT", "HTTPS_PROXY"})


def test_what_a_test_makes_goes_and_a_container_is_told_of(docker_engine):
    with docker_engine.client() as client:
        before = {tag for it in client.images.list() for tag in it.tags}
        with contextlib.ExitStack() as stack:
            engine = stack.enter_context(cleaned(docker_engine))
            engine.may_leave.append("allowed-*")
            image = build(client, f"FROM {BARE}\nENV A=1\nENV B=2\n", tag="made:1")
            client.images.get(BARE).tag("other", "1")
            for name in ("allowed-1", "forgotten"):
                run_in_background(client, image.id, name)
            with pytest.raises(AssertionError, match="containers that the test left") as told:
                stack.close()
        assert "forgotten" in str(told.value)
        assert "allowed-1" not in str(told.value)
        assert client.containers.list(all=True) == []
        assert {tag for it in client.images.list(all=True) for tag in it.tags} == before
        with pytest.raises(ImageNotFound):
            client.images.get(image.id)


def run_in_background(client, image, name):
    client.containers.run(image, ["sleep", "600"], name=name, network_mode="host", detach=True)


@pytest.mark.usefixtures("docker_engine")  # that there is one at all
@pytest.mark.parametrize("killed", [False, True], ids=["told to end", "killed"])
def test_an_engine_ends_with_the_tests_and_leaves_nothing(killed, tmp_path):
    archive = tmp_path / "small.tar"
    small_archive(archive, "sleep")
    with (
        subprocess.Popen(
            [sys.executable, "-c", STAYS, archive],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(docker_daemon.__file__).parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as tests,
        contextlib.ExitStack() as stack,
    ):
        socket = Path(tests.stdout.readline().decode().strip().removeprefix("unix://"))
        pids = descendants(tests.pid)
        names = {Path("/proc", str(pid), "comm").read_text().strip() for pid in pids}
        assert {"dockerd", "containerd", "containerd-shim"} <= names
        ends = [os.pidfd_open(pid) for pid in pids]
        for end in ends:
            stack.callback(os.close, end)
        if killed:
            tests.send_signal(signal.SIGKILL)
        else:
            tests.stdin.close()
        assert all(ended(end) for end in ends)
    own = socket.parent
    assert not own.exists()
    assert [*Path("/sys/fs/cgroup").glob(f"**/{own.name}")] == []
    assert [it for it in Path("/proc").glob("[0-9]*/mountinfo") if own.name in text(it)] == []


def descendants(pid):
    """Return the numbers of the processes that one has started, and those have."""
    listed = " ".join(text(it) for it in Path("/proc", str(pid), "task").glob("*/children"))
    return [found for child in listed.split() for found in (int(child), *descendants(child))]


def text(path):
    """Return what a file of a process says, which may have ended."""
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace")
    return ""


def ended(process):
    """Wait until a process ends."""
    waits = select.poll()
    waits.register(process, select.POLLIN)
    return waits.poll(60_000) != []


def test_an_engine_that_does_not_start_says_why(tmp_path, monkeypatch):
    (tmp_path / "dockerd").write_text("#!/bin/sh\necho no room on the disk\nexit 1\n")
    (tmp_path / "dockerd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with (
        pytest.raises(pytest.fail.Exception, match="no room on the disk"),
        serving_engine(tmp_path),
    ):
        pass


def test_an_engine_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CI", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(docker_daemon, "SBIN", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="make services"), serving_engine(tmp_path):
        pass
