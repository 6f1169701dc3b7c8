"""A bad network to a Docker engine, or between it and a registry: the flow, or an error."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import docker_engine as docker_engine_plugin
import pytest
from docker_images import small_archive

import flowhold
from flowhold import Flow, task
from flowhold.errors import FlowholdError
from flowhold.loading import env_runner_of
from flowhold.testing.faults import FaultProxy, LoseAnswer, Reset, Stall, Status, Truncate
from flowhold_storage_docker import Docker

ENGINE = "network, docker: trouble with an engine ends in success or in an error"
REGISTRY = "network, docker: trouble with a registry ends in success or in an error"
TINY = "flowhold-test/tiny-of-promises:latest"
STALLED = 1
"""Seconds that an engine may be silent in these tests."""
PATIENT = 120.0
"""Seconds for which an engine tries by itself what goes to a registry, and more."""
FAULTS = {
    "reset": Reset(),
    "stall": Stall(),
    "500": Status(500, b'{"message": "no"}', {"Content-Type": "application/json"}),
    "503": Status(503, b"<html>", {"Content-Type": "text/html"}),
    "cut answer": Truncate(9),
    "lost answer": LoseAnswer(),
}
FOR_GOOD = 1000
# Where an engine is asked, and by which request something goes wrong.
CASES = [
    (operation, name, at)
    for operation in ("load", "verify", "run")
    for name in FAULTS
    for at in range(5)
]
BUILDS = [("build", name, at) for name in FAULTS for at in (0, 1, 3, 5)]
TRANSFERS = [
    (way, name, at, times)
    for way in ("pull", "push")
    for name in FAULTS
    for at, times in ((0, 1), (1, 1), (2, 1), (3, 1), (0, FOR_GOOD), (3, FOR_GOOD))
    # Of a push that is refused, the engine hopes for better for nearly a minute.
    if way == "pull" or times == 1 or (name, at) == ("500", 3)
]


@task
def answer():
    return 42


def flow_of(name="etl"):
    with Flow(name) as flow:
        answer()
    return flow


@contextmanager
def relay(path):
    """Give the address of a port that leads to a socket of Unix."""

    class Both(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.socket(socket.AF_UNIX) as engine:
                engine.connect(path)
                back = threading.Thread(target=copy, args=(engine, self.request), daemon=True)
                back.start()
                copy(self.request, engine)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Both) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def copy(source, target):
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def failing(upstream, fault, at, times=1):
    """Give a proxy in which the request of this number, and perhaps all after it, goes wrong."""
    with FaultProxy(upstream) as proxy:
        proxy.fail(fault, times, lambda _: proxy.count() > at)
        yield proxy


@pytest.fixture
def registered(docker_layers, docker_environment):
    """The engine's address, and a reference of a flow in an image that is there."""
    storage = Docker(base_image=docker_engine_plugin.BASE, local_image=True)
    # A container whose removal is what goes wrong stays, and the log says so.
    docker_environment.may_leave.append("flowhold-*")
    return docker_environment.url.removeprefix("unix://"), flowhold.register(
        flow_of(), storage=storage
    )


def tries(operation, reference):
    """Do something with an engine; return whether it came to what it should."""
    if operation == "build":
        storage = Docker(base_image=docker_engine_plugin.BASE, local_image=True)
        storage.add_flow(flow_of("built"))
        storage.build()
        return storage.image is not None
    if operation == "load":
        return flowhold.load(reference).run().result == 42
    if operation == "run":
        # Its output does not pass through a proxy of HTTP, which it knows to be missing.
        env_runner_of(reference).run()
        return True
    return bool(reference.open_storage().verify())


@pytest.mark.parametrize("what", ["use", pytest.param("build", marks=pytest.mark.long)])
def test_trouble_with_an_engine(what, registered, trying, sample, extent, monkeypatch, tmp_path):
    path, reference = registered
    cases = sample(CASES, 5) if what == "use" else sample(BUILDS, 1)
    timeout = STALLED if what == "use" else 30
    monkeypatch.setattr("flowhold_storage_docker.connecting._TIMEOUT", timeout)
    with relay(path) as upstream:
        for number, (operation, name, at) in enumerate(trying(ENGINE, cases)):
            print(operation, name, at)  # shown where it fails
            monkeypatch.setenv("FLOWHOLD_CACHE_DIR", str(tmp_path / f"{number}"))
            fault = Stall(timeout + 1) if name == "stall" else FAULTS[name]
            with failing(upstream, fault, at) as proxy:
                monkeypatch.setenv("DOCKER_HOST", proxy.url.replace("http:", "tcp:"))
                started = time.monotonic()
                with suppress(FlowholdError):
                    assert tries(operation, reference)
                assert time.monotonic() - started < PATIENT
                assert proxy.count() < 50


@pytest.fixture
def tiny(docker_engine, docker_archive):
    """The name of an image that is soon pushed."""
    archive = docker_archive("tiny-of-promises", lambda path: small_archive(path, "true"))
    docker_engine.import_archive(archive, TINY)
    return TINY


def test_trouble_with_a_registry(docker_environment, docker_registry, tiny, trying, sample, extent):
    pulls = [case for case in TRANSFERS if case[0] == "pull"]
    cases = sample(TRANSFERS if extent == "full" else pulls, 3)
    for way, name, at, times in trying(REGISTRY, cases):
        print(way, name, at, times)  # shown where it fails
        fault = Stall(0.5) if name == "stall" else FAULTS[name]
        with ExitStack() as stack:
            client = stack.enter_context(docker_environment.client())
            proxy = stack.enter_context(FaultProxy(f"http://{docker_registry.host}"))
            image = f"{proxy.url.removeprefix('http://')}/promises/tiny"
            client.api.tag(tiny, image, "latest")
            if way == "pull":
                Docker().push_image(image, "latest")
                client.api.remove_image(f"{image}:latest", force=True)
            begun = proxy.count()
            proxy.fail(fault, times, lambda _, at=at + begun, proxy=proxy: proxy.count() > at)
            started = time.monotonic()
            with suppress(FlowholdError):
                if way == "push":
                    assert Docker().push_image(image, "latest").startswith("sha256:")
                else:
                    Docker(base_image=image).pull_image()
                    assert client.images.get(f"{image}:latest")
            assert time.monotonic() - started < PATIENT
            proxy.clear()
