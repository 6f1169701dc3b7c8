"""Fixtures of a Docker engine with images to build on, and of what else tests of images need."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import pytest
import servers
from docker_daemon import DockerEngine, serving_engine
from docker_images import base_archive, dependencies_archive, other_python
from docker_registry import DockerRegistry, serving_registry
from filelock import FileLock
from wheel_index import WheelIndex, serving_index

__all__ = ["BARE", "BASE", "OLD_PYTHON", "DockerEngine", "DockerRegistry", "serving_engine"]

BARE = "flowhold-test/bare:latest"
"""A shell, some programs, Python and pip."""
BASE = "flowhold-test/base:latest"
"""The same, and the packages that flowhold depends on."""
OLD_PYTHON = "flowhold-test/oldpython:latest"
"""As the first, with another Python than the one that runs the tests."""

# These go before what a client is told: requests takes the bundles for those of TLS.
FOREIGN = ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"]
FOREIGN += ["requests_ca_bundle", "curl_ca_bundle"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs an engine, so that a run can do without."""
    for item in items:
        if "docker_engine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def docker_archive(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Return a function that makes an archive once for all processes of a run of the tests."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def made(name: str, make: Callable[[Path], None]) -> Path:
        archive = folder / f"docker-{name}.tar"
        with FileLock(f"{archive}.lock"):
            if not archive.exists():
                make(archive.with_suffix(".part"))
                archive.with_suffix(".part").rename(archive)
        return archive

    return made


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory, docker_archive) -> Iterator[DockerEngine]:
    """An engine, also by TLS, with the images `BARE` and `BASE`."""
    with serving_engine(tmp_path_factory.mktemp("docker"), tls=True) as engine:
        engine.import_archive(docker_archive("bare", base_archive), BARE)
        engine.add_archive(docker_archive("base", dependencies_archive), BASE, BARE)
        yield engine


@pytest.fixture(scope="session")
def docker_layers(docker_engine) -> None:
    """An image that stays, so that builds find the layers with Flowhold in the engine's cache."""
    from flowhold import Flow
    from flowhold_storage_docker import Docker

    storage = Docker(
        base_image=BASE,
        local_image=True,
        image_name="flowhold-test/layers",
        image_tag="latest",
        ignore_healthchecks=True,
        base_url=docker_engine.url,
    )
    storage.add_flow(Flow("layers"))
    storage.build()


@pytest.fixture(scope="session")
def docker_old_python(docker_engine, docker_archive) -> str:
    """The name of an image with another Python than the one that runs the tests."""
    version = "3.11" if sys.version_info[:2] == (3, 10) else "3.10"
    python = other_python(version)
    if python is None:
        servers.lacking(f"Python {version} is neither on PATH nor in pyenv")
    archive = docker_archive(version, lambda path: base_archive(path, python))
    docker_engine.import_archive(archive, OLD_PYTHON)
    return OLD_PYTHON


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory) -> Iterator[DockerRegistry]:
    """A registry that anybody may use."""
    with serving_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="session")
def docker_registry_private(tmp_path_factory) -> Iterator[DockerRegistry]:
    """A registry that wants a login."""
    with serving_registry(tmp_path_factory.mktemp("registry"), private=True) as registry:
        yield registry


@pytest.fixture(scope="session")
def docker_index(tmp_path_factory) -> Iterator[WheelIndex]:
    """An index of packages for pip in a build."""
    with serving_index(tmp_path_factory.mktemp("index")) as index:
        yield index


@pytest.fixture
def docker_environment(monkeypatch, docker_engine, tmp_path) -> Iterator[DockerEngine]:
    """The engine, as what a client finds; what the test makes of images and containers goes.

    A container that is left fails the test, unless its name is in `may_leave`.
    """
    servers.forget(monkeypatch, "DOCKER_")
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    (tmp_path / "docker config").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker config"))
    monkeypatch.setenv("DOCKER_HOST", docker_engine.url)
    with cleaned(docker_engine) as engine:
        yield engine


@contextlib.contextmanager
def cleaned(engine: DockerEngine) -> Iterator[DockerEngine]:
    """Remove the images and containers that come meanwhile, and complain of the containers."""
    engine = replace(engine, may_leave=[])
    with engine.client() as client:
        containers, images = contained(client), tagged(client)
    yield engine
    with engine.client() as client:
        left = remove_containers(client, containers)
        remove_images(client, images)
    allowed = engine.may_leave
    unexpected = [name for name in left if not any(fnmatch(name, it) for it in allowed)]
    assert unexpected == [], "containers that the test left"


def contained(client) -> dict[str, str]:
    """Return the names of containers by their ids."""
    every = client.api.containers(all=True)
    return {it["Id"]: it["Names"][0].strip("/") for it in every if it["State"] != "removing"}


def tagged(client) -> dict[str, set[str]]:
    """Return the tags of all images by their ids, the latest first."""
    images = sorted(client.api.images(all=True), key=lambda it: -it["Created"])
    return {it["Id"]: set(it["RepoTags"] or ()) - {"<none>:<none>"} for it in images}


def remove_containers(client, before: dict[str, str]) -> list[str]:
    """Remove containers that are new, and return their names."""
    from docker.errors import APIError

    new = {key: name for key, name in contained(client).items() if key not in before}
    for key in new:
        with contextlib.suppress(APIError):
            client.api.remove_container(key, force=True, v=True)
    return sorted(new.values())


def remove_images(client, before: dict[str, set[str]]) -> None:
    """Remove images and tags that are new, but those of the fixtures."""
    from docker.errors import APIError

    for key, tags in tagged(client).items():
        if not any(tag.startswith("flowhold-test/") for tag in tags) or key in before:
            for name in [*(tags - before.get(key, set())), *([] if key in before else [key])]:
                # Gone already where it was below another that is gone.
                with contextlib.suppress(APIError):
                    client.api.remove_image(name, force=True)
