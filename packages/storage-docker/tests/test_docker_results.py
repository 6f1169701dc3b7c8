"""Results of a flow in a container reach the object store that `result=` names."""

from __future__ import annotations

import os
from importlib import metadata

import docker_engine as docker_engine_plugin
import docker_images
import pytest
from root_archives import Root

from flowhold import Flow, Parameter, task
from flowhold.errors import StorageError
from flowhold_storage_docker import Docker
from flowhold_storage_s3 import S3Result

IMAGE = "flowhold-test/s3:latest"


@task
def double(x):
    return 2 * x


def archive_of_s3(path):
    """Write what the storage of S3 depends on and the usual base has not."""
    names = docker_images.dependencies("flowhold-storage-s3", set())
    names -= docker_images.dependencies("flowhold", set()) | {"flowhold-storage-s3"}
    with Root(path) as root:
        for name in sorted(names):
            installed = metadata.distribution(name)
            docker_images.add_distribution(root, installed, docker_images.interpreter())


@pytest.fixture(scope="module")
def base(docker_engine, docker_archive):
    """The name of an image with what the storage of S3 depends on."""
    archive = docker_archive("s3", archive_of_s3)
    docker_engine.add_archive(archive, IMAGE, docker_engine_plugin.BASE)
    return IMAGE


@pytest.fixture(scope="module")
def bucket(s3_server):
    """An empty bucket."""
    return s3_server.bucket()


@pytest.fixture(scope="module")
def storage(base, docker_engine, bucket, s3_server):
    """A storage whose image has a flow that keeps its results in the bucket."""
    storage = Docker(
        base_image=base,
        local_image=True,
        base_url=docker_engine.url,
        result=S3Result(bucket, {"endpoint_url": s3_server.url}, prefix="of-runs"),
        run_kwargs={"network_mode": "host"},
    )
    with Flow("etl") as flow:
        double(Parameter("x", 4))
    storage.add_flow(flow)
    return storage.build()


def test_results_reach_the_object_store_of_the_host(
    storage, engine, bucket, s3_server, s3_environment
):
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    run = storage.get_env_runner().run({name: os.environ[name] for name in names})
    assert (run.state, run.result) == ("success", 8)
    (key,) = keys_in(bucket, s3_server)
    folder, _, location = key.partition("/")
    assert folder == "of-runs"
    assert storage.result.read(location, allow_unverified=True).value == 8


def test_a_result_that_cannot_be_written_fails_the_run(storage, engine):
    run = storage.get_env_runner().run({"AWS_EC2_METADATA_DISABLED": "true"})
    assert (run.state, run.exit_code) == ("failed", 1)
    assert isinstance(run.error, StorageError)


def keys_in(bucket, server):
    import boto3

    client = boto3.client("s3", endpoint_url=server.url)
    found = [it["Key"] for it in client.list_objects_v2(Bucket=bucket).get("Contents", ())]
    client.close()
    return found
