"""Every test runs as a user of its own, whose Docker engine is the one of the tests."""

from __future__ import annotations

from functools import partial

import docker_engine as docker_engine_plugin
import pytest

from flowhold import Flow
from flowhold_storage_docker import Docker


@pytest.fixture(autouse=True)
def _isolated(as_new_user):
    """Give the test empty folders and no settings."""


@pytest.fixture(scope="session")
def installed(docker_engine):
    """An image that stays, so that builds find the layers with Flowhold in the engine's cache."""
    name, tag = f"{docker_engine_plugin.BASE.partition('/')[0]}/installed", "latest"
    storage = Docker(
        base_image=docker_engine_plugin.BASE,
        local_image=True,
        image_name=name,
        image_tag=tag,
        ignore_healthchecks=True,
        base_url=docker_engine.url,
    )
    storage.add_flow(Flow("installed"))
    storage.build()


@pytest.fixture
def engine(installed, docker_environment):
    """The engine, of which the environment tells; what a test leaves of containers fails it."""
    return docker_environment


@pytest.fixture
def make(engine):
    """Return a function that makes a storage on the image with what Flowhold depends on."""
    return partial(Docker, base_image=docker_engine_plugin.BASE, local_image=True)
