"""Docker holds what every storage has to."""

from __future__ import annotations

from functools import partial

import docker_engine
import pytest

from flowhold.testing import StorageTests
from flowhold_storage_docker import Docker


@pytest.mark.sampled(6)
class TestDocker(StorageTests):
    @pytest.fixture
    def make_storage(self, engine):
        return partial(
            Docker, base_image=docker_engine.BASE, local_image=True, ignore_healthchecks=True
        )
