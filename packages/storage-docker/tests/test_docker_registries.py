"""Images go to registries and come from there by digest, with the logins that docker keeps."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker_engine as docker_engine_plugin
import pytest
from docker_images import small_archive

import flowhold
from flowhold import Flow, task
from flowhold.errors import AccessDeniedError, ObjectNotFoundError, StorageUnavailableError
from flowhold.loading import env_runner_of
from flowhold.reference import Reference
from flowhold.storage import Storage
from flowhold_storage_docker import Docker
from flowhold_storage_docker.errors import TransferError

TINY = "flowhold-test/tiny:latest"


@task
def say(text):
    return text


def flow_of(text="one", name="etl"):
    with Flow(name) as flow:
        say(text)
    return flow


@pytest.fixture(scope="module")
def pushed(docker_engine, docker_layers, docker_registry):
    """A storage whose image is in a registry, under a path."""
    storage = Docker(
        f"{docker_registry.host}/team/flows",
        docker_engine_plugin.BASE,
        local_image=True,
        image_tag="v1",
        base_url=docker_engine.url,
    )
    storage.add_flow(flow_of())
    return storage.build()


@pytest.fixture(scope="module")
def tiny(docker_engine, docker_archive):
    """The name of an image that is soon pushed."""
    archive = docker_archive("tiny", lambda path: small_archive(path, "true"))
    docker_engine.import_archive(archive, TINY)
    return TINY


@pytest.fixture
def push(engine, tiny):
    """Return a function that pushes a small image to a registry and returns its digest."""

    def pushing(host, name="tiny", tag="latest"):
        with engine.client() as client:
            client.api.tag(tiny, f"{host}/{name}", tag)
        return Docker().push_image(f"{host}/{name}", tag)

    return pushing


def forget(storage):
    """Remove the image of a storage from the engine, by all its names."""
    engine = storage.engine
    (record, *_) = storage._records.values()
    for known in (storage.image, f"{storage.image.rpartition(':')[0]}@{record.revision}"):
        if found := engine.inspect(known):
            for name in found["RepoTags"] or found["RepoDigests"]:
                engine.client.remove_image(name, force=True)
    assert engine.inspect(known) is None


def log_in(**config):
    Path(os.environ["DOCKER_CONFIG"], "config.json").write_text(json.dumps(config))


def auth_of(registry, password=None):
    text = f"{registry.username}:{password or registry.password}"
    return {registry.host: {"auth": base64.b64encode(text.encode()).decode()}}


def test_a_reference_has_repository_tag_and_the_digest_of_the_registry(pushed, docker_registry):
    (reference,) = pushed.references()
    answer = docker_registry.send("HEAD", "/v2/team/flows/etl/manifests/v1")
    assert reference.revision == answer.headers["Docker-Content-Digest"]
    assert reference.pinned
    image = reference.storage["image"]
    assert (image["repository"], image["tag"]) == (f"{docker_registry.host}/team/flows/etl", "v1")


def test_the_image_is_kept_after_the_push(pushed, engine):
    found = pushed.engine.inspect(pushed.image)
    (record,) = pushed._records.values()
    assert f"{pushed.image.rpartition(':')[0]}@{record.revision}" in found["RepoDigests"]


@pytest.mark.parametrize("by", ["reference", "deserialized storage", "storage"])
def test_an_image_that_is_not_here_is_pulled_by_its_digest_and_run(pushed, engine, by):
    (reference,) = pushed.references()
    forget(pushed)
    if by == "reference":
        runner = env_runner_of(Reference.from_json(reference.to_json()))
    elif by == "storage":
        runner = pushed.get_env_runner("etl")
    else:
        runner = Storage.deserialize(pushed.serialize()).get_env_runner("etl")
    assert runner.image.endswith(f"@{reference.revision}")
    assert runner.run().result == "one"
    assert pushed.get_flow("etl").run().result == "one"


def test_a_reference_runs_its_image_after_the_tag_has_moved_in_the_registry(make, docker_registry):
    def stored(text):
        storage = make(docker_registry.host, image_name="moved", image_tag="latest")
        storage.add_flow(flow_of(text))
        return storage.build()

    old, new = stored("old"), stored("new")
    references = [old.references()[0], new.references()[0]]
    answer = docker_registry.send("HEAD", "/v2/moved/manifests/latest")
    assert answer.headers["Docker-Content-Digest"] == references[1].revision
    forget(new)
    forget(old)
    assert [env_runner_of(it).run().result for it in references] == ["old", "new"]


def test_an_image_can_be_pushed_later(make, docker_registry):
    storage = make(f"http://{docker_registry.host}/", image_name="later", image_tag="v1")
    storage.add_flow(flow_of("later"))
    storage.build(push=False)
    assert docker_registry.send("HEAD", "/v2/later/manifests/v1").status == 404
    (local,) = storage.references()
    image = storage.image
    storage.build()
    assert storage.image == image
    assert docker_registry.send("HEAD", "/v2/later/manifests/v1").status == 200
    (remote,) = storage.references()
    assert local.revision != remote.revision
    assert [env_runner_of(it).run().result for it in (local, remote)] == ["later", "later"]


def test_a_flow_is_registered_and_loaded_by_its_digest(make, docker_registry):
    storage = make(docker_registry.host)
    reference = flowhold.register(flow_of("registered", "Registered Flow"), storage=storage)
    assert reference.location.startswith("/opt/flowhold/flows/registered-flow")
    forget(storage)
    assert flowhold.load("Registered Flow").run().result == "registered"


@pytest.mark.parametrize("how", ["auths", "helper of the registry", "store of all"])
def test_logins_are_those_of_docker(push, docker_registry_private, how, tmp_path, monkeypatch):
    registry = docker_registry_private
    if how == "auths":
        log_in(auths=auth_of(registry))
    else:
        program = tmp_path / "bin" / "docker-credential-flowholdtest"
        program.parent.mkdir()
        answer = {"ServerURL": registry.host, "Username": registry.username}
        text = json.dumps(answer | {"Secret": registry.password})
        program.write_text(f"#!/bin/sh\ngrep -q '{registry.host}' || exit 1\necho '{text}'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        if how == "store of all":
            log_in(credsStore="flowholdtest", auths={registry.host: {}})
        else:
            log_in(credHelpers={registry.host: "flowholdtest"})
    name = how.replace(" ", "-")
    digest = push(registry.host, name)
    answer = registry.send("HEAD", f"/v2/{name}/manifests/latest")
    assert answer.headers["Docker-Content-Digest"] == digest
    client = Docker().engine.client
    client.remove_image(f"{registry.host}/{name}", force=True)
    Docker().engine.pull(f"{registry.host}/{name}", digest)
    log_in()
    with pytest.raises(AccessDeniedError):
        push(registry.host, name)


@pytest.mark.parametrize("password", [None, "canary of a login"])
def test_a_registry_that_refuses_the_login_is_told_of(push, docker_registry_private, password):
    if password:
        log_in(auths=auth_of(docker_registry_private, password))
    for attempt in (
        lambda: push(docker_registry_private.host),
        lambda: Docker(base_image=f"{docker_registry_private.host}/tiny").pull_image(),
    ):
        with pytest.raises(TransferError, match="no permission for") as caught:
            attempt()
        assert isinstance(caught.value, AccessDeniedError)
        assert isinstance(caught.value, InterruptedError)
        assert f"{docker_registry_private.host}/tiny:latest" in str(caught.value)
        assert "docker login" in caught.value.hint
        assert "canary" not in f"{caught.value} {caught.value.__cause__}"


def test_a_helper_that_fails_is_told_of(push, docker_registry_private, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "docker-credential-broken"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho the keyring is locked\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    log_in(credHelpers={docker_registry_private.host: "broken"})
    with pytest.raises(
        TransferError, match=r"program that keeps the login.*keyring is locked"
    ) as caught:
        push(docker_registry_private.host)
    assert "credHelpers" in caught.value.hint


@pytest.fixture
def nowhere():
    """A port at which nobody listens."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{reserved.getsockname()[1]}"


class Nonsense(BaseHTTPRequestHandler):
    """Answers every request with a page for people."""

    status = 200

    def do_GET(self):
        body = b"<html>welcome</html>"
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

    def log_message(self, *words):
        pass


@pytest.fixture
def nonsense():
    """Return a function that starts a server that is no registry, and returns its address."""
    with contextlib.ExitStack() as stack:

        def start(status):
            handler = type("Handler", (Nonsense,), {"status": status})
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"127.0.0.1:{server.server_port}"

        yield start


def tells_of(host, attempt):
    with pytest.raises(TransferError, match=r"registry of .* did not answer as it") as caught:
        attempt()
    assert isinstance(caught.value, StorageUnavailableError)
    assert isinstance(caught.value, InterruptedError)
    assert f"{host}/tiny:latest" in str(caught.value)
    assert "registry_url" in caught.value.hint


def test_a_registry_that_is_down_is_told_of(push, nowhere):
    tells_of(nowhere, lambda: push(nowhere))
    tells_of(nowhere, Docker(base_image=f"{nowhere}/tiny").pull_image)


@pytest.mark.parametrize("status", [200, 500])
def test_a_server_that_is_no_registry_is_told_of_where_an_image_is_pulled(engine, nonsense, status):
    host = nonsense(status)
    tells_of(host, Docker(base_image=f"{host}/tiny").pull_image)


# Of a server that fails, the engine hopes for better for nearly a minute.
@pytest.mark.parametrize("status", [200, pytest.param(500, marks=pytest.mark.long)])
def test_a_server_that_is_no_registry_is_told_of_where_an_image_is_pushed(push, nonsense, status):
    host = nonsense(status)
    tells_of(host, lambda: push(host))


def test_a_push_that_fails_leaves_the_image_to_be_pushed_again(make, nowhere):
    storage = make(nowhere)
    storage.add_flow(flow_of("kept"))
    with pytest.raises(TransferError):
        storage.build()
    image = storage.image
    with pytest.raises(TransferError):
        storage.build()
    assert storage.image == image
    assert storage.get_env_runner().run().result == "kept"


def test_what_could_not_be_pushed_is_not_registered(make, nowhere):
    with pytest.raises(TransferError):
        flowhold.register(flow_of("kept"), storage=make(nowhere))
    assert [*flowhold.Catalog().names()] == []


def test_an_image_that_is_not_in_the_registry_is_told_of(engine, docker_registry):
    with pytest.raises(ObjectNotFoundError, match=r"there is no image .*/no-such:v1") as caught:
        Docker(base_image=f"{docker_registry.host}/no-such:v1").pull_image()
    assert isinstance(caught.value, InterruptedError)
    assert "check its name" in caught.value.hint


def test_an_image_of_another_engine_that_was_not_pushed_is_told_of(make):
    storage = make()
    storage.add_flow(flow_of("local"))
    storage.build()
    forget(storage)
    with pytest.raises(ObjectNotFoundError, match="is not on the engine") as caught:
        storage.get_env_runner("etl")
    assert "registry_url" in caught.value.hint
