"""Every test runs as a user of its own, whose Docker engine is the one of the tests."""

from __future__ import annotations

from functools import partial

import docker_engine as docker_engine_plugin
import pytest

from flowhold_storage_docker import Docker


@pytest.fixture(autouse=True)
def _isolated(as_new_user):
    """Give the test empty folders and no settings."""


@pytest.fixture
def engine(docker_layers, docker_environment):
    """The engine, of which the environment tells; what a test leaves of containers fails it."""
    return docker_environment


@pytest.fixture
def make(engine):
    """Return a function that makes a storage on the image with what Flowhold depends on."""
    return partial(Docker, base_image=docker_engine_plugin.BASE, local_image=True)
