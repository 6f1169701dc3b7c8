"""Every storage that can store copies into every other: bytes, history and signatures."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

import docker_engine
import pytest

import flowhold
from flowhold import Catalog, keyring, plugins
from flowhold.checking import check_reference
from flowhold.copying import copy_flows
from flowhold.errors import StorageError
from flowhold.signing import Signer
from flowhold.storage import GCS, S3, Azure, Bytes, Docker, Local, Memory, Webhook
from flowhold.storage.records import Record

STORING = ["local", "bytes", "s3", "gcs", "azure", "webhook", "docker"]
SCRIPT = "from flowhold import flow\n@flow\ndef etl():\n    return {}\n"
KINDS = {
    "pickle": {},
    "bundle": {"local_script_path": "etl.py", "stored_as_script": True, "include": ["*.py"]},
    "script": {"local_script_path": "etl.py", "stored_as_script": True},
}


SCRIPTS = {
    "module": {"module": "json"},
    "git": {"flow_path": "etl.py", "git_clone_url": "https://git.example.com/team/flows.git"},
    "github": {"repo": "team/flows", "path": "etl.py"},
    "gitlab": {"repo": "team/flows", "path": "etl.py"},
    "bitbucket": {"project": "team", "repo": "flows", "workspace": "team", "path": "etl.py"},
    "codecommit": {"repo": "flows", "path": "etl.py"},
}


@pytest.fixture(autouse=True)
def _isolated(as_new_user):
    """Give the test empty folders and no settings."""


@pytest.fixture
def storage_of(request):
    """Return a function that makes a storage by its name, with a place of its own."""
    value = request.getfixturevalue

    def make(name, **options):
        place = uuid.uuid4().hex
        keyed = {**options, "key": f"{place}/{{sha256}}"}
        if name == "local":
            return Local(place, **options)
        if name == "bytes":
            return Bytes(**options)
        if name == "s3":
            return S3(
                value("s3_bucket"), client_options={"endpoint_url": value("s3_server").url}, **keyed
            )
        if name == "gcs":
            return GCS(value("gcs_bucket"), **keyed)
        if name == "azure":
            container, server = value("azure_container"), value("azure_server")
            secret = "FLOWHOLD_SECRET_AZURE_COPIES"
            value("monkeypatch").setenv(secret, server.connection_string)
            return Azure(container, connection_string_secret="AZURE_COPIES", **keyed)
        if name == "webhook":
            url = (
                f"{value('webdav_server').url}/{value('webdav_folder')}/{place}/{{sha256}}{{slug}}"
            )
            return Webhook({"url": url}, "PUT", {"url": url}, "GET", **options)
        value("docker_layers")
        value("docker_environment")
        return Docker(
            base_image=docker_engine.BASE, local_image=True, ignore_healthchecks=True, **options
        )

    return make


def registered(number, storage, **options):
    Path("etl.py").write_text(SCRIPT.format(number))
    flow = flowhold.flow(lambda: number, name="etl")
    return flowhold.register(flow, storage=storage, force=True, **options)


@pytest.mark.sampled(9)
@pytest.mark.parametrize("target", STORING)
@pytest.mark.parametrize("source", STORING)
def test_a_history_is_copied(source, target, storage_of, monkeypatch, tmp_path, request):
    keyring.trust(keyring.create("release"))
    originals = [
        registered(number, storage_of(source, labels=["gpu"], **options), sign="release")
        for number, options in enumerate(KINDS.values(), 1)
    ]
    copies = list(
        copy_flows(originals, storage_of(target), Catalog("other"), sign=Signer(["release"]))
    )

    # What another machine has: the catalog of the copies, and neither cache nor originals.
    monkeypatch.setenv("FLOWHOLD_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert [each.version for each in copies] == Catalog("other").versions("etl") == [1, 2, 3]
    for copy, original, kind in zip(copies, originals, KINDS, strict=True):
        assert copy.kind == ("image" if target == "docker" else kind)
        for field in ("sha256", "size", "environment", "created"):
            assert getattr(copy, field) == getattr(original, field), field
        assert "gpu" in copy.labels
        origin = copy.extra["copied_from"]
        assert (origin["version"], origin["storage"]) == (original.version, source)
        assert origin["signed"] == original.signed
        assert flowhold.load(copy).run().result == copy.version
    checks = {each.name: each for each in check_reference(copies[0])}
    assert not [each for each in checks.values() if each.status == "fail"]
    assert "trusted; a copy of etl@1, signed by" in checks["signature"].detail

    monkeypatch.setenv("FLOWHOLD_CACHE_DIR", str(tmp_path / "nowhere"))
    given = {name: text for name, text in os.environ.items() if name.startswith("FLOWHOLD_")}
    # Not before: it has the environment that there is when it is made, so that of the servers.
    process = request.getfixturevalue("process")
    run = ("flowhold", "run", "etl", "--catalog", Path("other").absolute(), "--json", "--any-host")
    assert json.loads(process(*run, env=given, cwd=Path.cwd()))["result"] == 3


def test_memory_has_no_references_to_copy_by_and_takes_no_copies():
    with pytest.raises(StorageError, match="keeps 'etl' in this process only"):
        registered(1, Memory())
    with pytest.raises(StorageError, match="Memory storage keeps no copies"):
        list(copy_flows([registered(1, Local())], Memory(), Catalog("other")))


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_storage_that_finds_scripts_has_no_bytes_to_copy(name, pinned):
    storage = plugins.storage_class(name)(**SCRIPTS[name], stored_as_script=True)
    revision = "5d1b0c8b1a4d9f1e0e4c1a2d9b3c4e5f60718293" if pinned and name != "module" else None
    record = Record("json" if name == "module" else "etl.py", "script", revision=revision)
    reference = record.to_reference("etl", storage._describe())
    said = "has no bytes of its own there" if revision else "is floating"
    with pytest.raises(StorageError, match=said) as caught:
        list(copy_flows([reference], Bytes(), Catalog("other")))
    assert "register it again in a storage that keeps the bytes" in caught.value.hint
    assert [*Catalog("other").names()] == []
