"""Options that cannot be are refused, and those that got lost are missed; no engine is asked."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from flowhold import Flow, Storage
from flowhold.errors import ConfigurationError
from flowhold_storage_docker import Docker
from flowhold_storage_docker.engine import Engine
from flowhold_storage_docker.image import Image


@pytest.mark.parametrize(
    "given",
    [
        {"python_dependencies": ["tool @ https://someone:hunter2@host.test/tool.whl"]},
        {"python_dependencies": ["tool @ git+https://hunter2@host.test/tool"]},
        {"python_dependencies": ["tool @ git+ssh://git:hunter2@host.test/tool"]},
        {"python_dependencies": ["--index-url https://someone:hunter2@host.test/simple"]},
        {"env_vars": {"PIP_INDEX_URL": "https://someone:hunter2@host.test/simple"}},
        {"env_vars": {"PIP_EXTRA_INDEX_URL": "https://host.test https://hunter2@host.test"}},
        {"flowhold_version": "flowhold @ git+https://hunter2@host.test/flowhold"},
    ],
)
def test_a_login_in_what_an_image_keeps_is_refused_and_not_shown(given):
    with pytest.raises(ConfigurationError, match="a URL with a login") as caught:
        Docker(**given)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert "docker build --secret" in caught.value.hint


@pytest.mark.parametrize(
    "given",
    [
        {"python_dependencies": ["tool @ git+ssh://git@host.test/tool"]},
        {"env_vars": {"PIP_INDEX_URL": "https://host.test/simple", "MAIL": "someone@host.test"}},
        {"flowhold_version": "flowhold @ git+https://host.test/flowhold@main"},
    ],
)
def test_a_url_without_a_password_is_taken(given):
    storage = Docker(**given)
    assert {name: getattr(storage, name) for name in given} == given


def test_both_names_of_the_version_are_refused():
    with pytest.raises(ConfigurationError, match="are the same option"):
        Docker(flowhold_version="1.2", prefect_version="1.1")


UNWRITTEN = {
    "env_vars": {"A": "1"},
    "files": {"/etc/hostname": "/tmp/"},
    "dockerfile": "Dockerfile",
    "dockerignore": "ignored",
    "build_kwargs": {"nocache": True},
}


def deserialized(image):
    return Storage.deserialize({**Docker(base_image="b").serialize(), "image": image})


@pytest.mark.parametrize("name", UNWRITTEN)
def test_a_deserialized_storage_is_not_built_anew_without_what_was_not_written(name, tmp_path):
    image = Image("etl", "1", unwritten=(name,)).to_json()
    storage = deserialized(image)
    storage.add_flow(Flow("more"))
    with pytest.raises(ConfigurationError, match=f"built with {name}") as caught:
        storage.build()
    assert f"storage.{name} = " in caught.value.hint
    with pytest.raises(ConfigurationError, match=f"built with {name}"):
        storage.emptied()
    assert Storage.deserialize(storage.serialize()).serialize()["image"] == image


def test_a_deserialized_storage_that_gets_its_variables_again_is_whole(tmp_path):
    storage = deserialized(Image("etl", "1", unwritten=("env_vars",)).to_json())
    storage.add_flow(Flow("more"))
    storage.env_vars = {"A": "1"}
    assert "ENV" in Path(storage.create_dockerfile_object(tmp_path / "context")).read_text()


class Stubborn:
    """A client of an engine that removes nothing."""

    def create_container(self, image, **options):
        pass

    def remove_container(self, container, **options):
        from docker.errors import APIError

        raise APIError("device or resource busy")


def test_a_container_that_stays_is_told(caplog):
    with (
        caplog.at_level(logging.WARNING, "flowhold.docker"),
        Engine(Stubborn(), "here").container("image") as container,
    ):
        pass
    (record,) = caplog.records
    assert f"the container {container} was not removed" in record.getMessage()
    assert "busy" in record.getMessage()
