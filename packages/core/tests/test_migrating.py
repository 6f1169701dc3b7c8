"""What Prefect 0.5 to 1.4 stored, as references.

The shapes of releases before 1.4.1, from which ``tests/interop`` has records, are written by hand.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
from pathlib import Path

import cloudpickle
import pytest

import flowhold
from flowhold import Catalog, Flow, task
from flowhold.errors import (
    ConfigurationError,
    DuplicateFlowError,
    IntegrityError,
    ObjectExistsError,
    SerializationError,
    SignatureError,
    UnverifiedError,
)
from flowhold.migrating import add_to_catalog, migrate_prefect1, write_files

# Where a flow loads, that Prefect is not here is told, which is as it should be.
pytestmark = pytest.mark.filterwarnings("ignore:the flow 'etl' was stored in another environment")


def a_flow(name="etl", value=6):
    @task
    def work():
        return value

    with Flow(name) as flow:
        work()
    return flow


def bare(name="etl", value=6):
    """As Prefect wrote flows until 0.14.2."""
    return cloudpickle.dumps(a_flow(name, value))


def enveloped(name="etl"):
    """As it wrote them from 0.14.3 on."""
    versions = {"cloudpickle": "2.0.0", "prefect": "0.15.0", "python": "3.8.12"}
    flow = base64.b64encode(bare(name)).decode()
    return json.dumps({"flow": flow, "versions": versions}).encode()


def local(file, release="0.15.0", **fields):
    return {"type": "Local", "__version__": release, "directory": str(Path(file).parent),
            "flows": {"etl": os.path.abspath(file)}, **fields}  # fmt: skip


def migrate(document, **options):
    return migrate_prefect1(json.dumps(document), **options)


def one(document, **options):
    (done,) = migrate(document, **options)
    if done.error:
        raise done.error
    return done


@pytest.fixture
def stored():
    path = Path("flows/etl.prefect")
    path.parent.mkdir()
    path.write_bytes(bare())
    return path


def test_a_pickle_is_pinned_to_what_is_there_and_loads(stored):
    reference = one(local(stored)).reference
    assert reference.sha256 == hashlib.sha256(stored.read_bytes()).hexdigest()
    assert (reference.state, reference.labels) == ("pinned", [socket.gethostname()])
    with pytest.warns(UserWarning, match="prefect: stored with 0.15.0, here not installed"):
        assert flowhold.load(reference).run().result == 6
    stored.write_bytes(bare(value=7))
    with pytest.raises(IntegrityError):
        flowhold.load(reference)


def test_a_pickle_that_is_not_pinned_is_unverified_and_loads_only_where_that_is_allowed(stored):
    reference = one(local(stored), pin="none").reference
    assert (reference.sha256, reference.state) == (None, "unverified")
    with pytest.raises(UnverifiedError):
        flowhold.load(reference)
    assert flowhold.load(reference, allow_unverified=True).run().result == 6


def test_the_versions_of_an_envelope_are_kept_and_of_a_bare_pickle_that_of_prefect(stored):
    assert one(local(stored, "0.6.7")).reference.environment == {"packages": {"prefect": "0.6.7"}}
    stored.write_bytes(enveloped())
    assert one(local(stored)).reference.environment == {
        "python": "3.8.12", "packages": {"cloudpickle": "2.0.0", "prefect": "0.15.0"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "release"),
    [
        ("LocalStorage", "0.5.4"),
        ("prefect.environments.storage.LocalStorage", "0.5.3"),
        ("prefect.environments.storage.Local", "0.10.7"),
        ("prefect.storage.local.Local", "0.14.0"),
        ("Local", "1.4.1"),
        ("Local", None),
    ],
)
def test_a_storage_is_known_by_all_names_that_its_class_had(stored, written, release):
    document = local(stored, release, type=written)
    done = one({name: value for name, value in document.items() if value is not None})
    assert done.reference.extra["migrated_from"] == {
        "system": "prefect", "release": release, "type": written,
    }  # fmt: skip
    assert flowhold.load(done.reference).run().result == 6


@pytest.mark.parametrize(
    ("document", "options", "kind", "notes"),
    [
        # 0.8.0: what object stores had.
        ({"type": "S3Storage", "bucket": "b", "key": None}, {"bucket": "b"}, "pickle", ()),
        ({"type": "prefect.storage.gcs.GCS", "bucket": "b"}, {"bucket": "b"}, "pickle", ()),
        ({"type": "Azure", "container": "c", "blob_name": "etl"},
         {"container": "c", "blob_name": "etl"}, "pickle", ()),
        # 0.12.1: GitHub had neither ref nor secret, 0.13.19: master, no path until 0.14.5.
        ({"type": "GitHub", "repo": "a/b", "path": "etl.py"}, {"path": "etl.py"}, "script", ()),
        ({"type": "GitHub", "repo": "a/b", "ref": "master", "path": None},
         {"path": "etl.py", "ref": "master"}, "script", ()),
        # 0.13.11: GitLab took master where nothing is said.
        ({"type": "GitLab", "repo": "a/b", "path": "/etl.py"},
         {"path": "etl.py", "ref": "master"}, "script", ("path is etl.py", "ref is master")),
        # 0.14.17: Git did not check commits out.
        ({"type": "Git", "repo": "a/b", "flow_path": "etl.py", "commit": "0" * 40},
         {"commit": "0" * 40}, "script", ("commit is what is loaded now",)),
    ],
)  # fmt: skip
def test_storages_of_earlier_releases(document, options, kind, notes):
    done = one({**document, "flows": {"etl": "etl.py"}, "__version__": "0.13.0"}, pin="none")
    assert options.items() <= done.reference.storage["options"].items()
    assert done.reference.kind == kind
    assert len(done.notes) == len(notes)
    assert all(note.startswith(start) for note, start in zip(done.notes, notes, strict=True))


def test_bytes_of_0_10_travel_with_the_reference():
    document = {"type": "Bytes", "__version__": "0.10.7"}
    flows = {"etl": base64.b64encode(bare()).decode()}
    reference = one({**document, "flows": flows}).reference
    assert flowhold.load(flowhold.Reference.from_json(reference.to_json())).run().result == 6


def test_a_script_floats_as_it_did_and_is_pinned_if_that_is_wanted(stored):
    script = Path("etl.py")
    text = "from flowhold import flow\n\n@flow\ndef etl():\n    return {}\n"
    script.write_text(text.format(1))
    document = local(script, path=str(script.absolute()), stored_as_script=True)
    floating, pinned = one(document).reference, one(document, pin="all").reference
    assert (floating.state, pinned.state) == ("floating", "pinned")
    assert flowhold.load(pinned).run().result == 1
    script.write_text(text.format(2))
    assert flowhold.load(floating).run().result == 2
    with pytest.raises(IntegrityError):
        flowhold.load(pinned)


def test_secrets_and_labels_of_a_flow_are_kept_but_not_those_that_prefect_added(stored):
    host = socket.gethostname()
    run = {"type": "KubernetesRun", "labels": ["gpu", host, "s3-flow-storage"]}
    flow = {"name": "etl", "storage": local(stored, secrets=["KEY"]), "run_config": run}
    done = one({"version": 1, "flows": [{**flow, "schedule": {"type": "Schedule"}}]})
    assert done.reference.storage["labels"] == ["gpu"]
    assert done.reference.storage["default_labels"] == [host]
    assert done.reference.storage["secrets"] == ["KEY"]
    assert [note.partition(":")[0] for note in done.notes] == [
        "its schedule is not kept", "of its KubernetesRun the labels are kept, and nothing else",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"type": "Memory", "flows": {"etl": "etl"}}, "in the process that made them"),
        ({"type": "Docker", "flows": {"etl": "/f"}}, "no Flowhold in it"),
        ({"type": "Mine", "flows": {"etl": "x"}}, "no storage 'Mine'"),
        ([None, {"_schema": "Unsupported object type: Mine"}], "could not serialize"),
        ({"type": "S3", "flows": {}}, "holds no flow"),
        ({"type": "S3", "flows": {"etl": "x"}, "__version__": "2.20.0"}, "Prefect 2.20.0"),
        ({"name": "etl", "storage": {"type": "S3", "flows": {"a": "x"}}}, "'etl' is not among"),
        ({"name": "etl", "storage": None}, "no storage"),
        (
            {"type": "Local", "flows": {"etl": "/no/such.prefect"}},
            "there is no file /no/such.prefect",
        ),
        ({"type": "Local", "flows": {"etl": "/x"}, "colour": 1}, "does not know: colour"),
    ],
)
def test_what_cannot_be_migrated_is_said_of_that_flow(document, words):
    (done,) = migrate(document)
    assert done.reference is None
    with pytest.raises(flowhold.FlowholdError, match=words):
        raise done.error


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        "1",
        "{}",
        '{"version": 2, "flows": []}',
        '{"type": "S3", "flows": {"a": 1}}',
    ],
)
def test_what_is_nothing_of_prefect_is_said(text):
    with pytest.raises(SerializationError):
        migrate_prefect1(text)


def test_an_object_that_is_no_pickle_is_not_taken_for_one(stored):
    stored.write_text("print('hello')")
    with pytest.raises(SerializationError, match="is a script, and not a pickle"):
        one(local(stored))


def test_two_flows_of_one_name_or_one_place_are_told(stored):
    assert isinstance(migrate([local(stored)] * 2)[1].error, DuplicateFlowError)
    place = str(stored.absolute())
    done = migrate(local(stored, flows={"etl": place, "other": place}))
    assert all("one object is recorded for 'etl', 'other'" in each.notes[0] for each in done)


def test_there_is_no_other_pin():
    with pytest.raises(ConfigurationError, match="pickles, all, none"):
        migrate([], pin="some")


def test_a_flow_that_was_registered_here_is_not_hidden_by_an_old_one(stored):
    catalog = Catalog()
    flowhold.register(a_flow(), catalog=catalog)
    with pytest.raises(DuplicateFlowError, match="was not migrated"):
        add_to_catalog(migrate(local(stored)), catalog)
    assert catalog.versions("etl") == [1]


def test_only_what_changed_is_added_again(stored):
    catalog = Catalog()
    for value, version, unchanged in ((6, 1, False), (6, 1, True), (7, 2, False)):
        stored.write_bytes(bare(value=value)) if value == 7 else None
        (done,) = add_to_catalog(migrate(local(stored)), catalog)
        assert (done.reference.version, done.unchanged) == (version, unchanged)


def test_files_are_written_all_or_none(stored):
    done = migrate(
        local(stored, flows={"etl": str(stored.absolute()), "a/b": str(stored.absolute())})
    )
    assert sorted(path for _, path in write_files(done, "out")) == [
        "out/a%2Fb.json",
        "out/etl.json",
    ]
    assert flowhold.load("out/etl.json").name == "etl"
    Path("out/a%2Fb.json").unlink()
    with pytest.raises(ObjectExistsError):
        write_files(done, "out")
    assert os.listdir("out") == ["etl.json"]


def test_the_command_writes_nothing_where_a_flow_cannot_be_migrated(stored, command):
    document = [local(stored), {"type": "Memory", "flows": {"lost": "lost"}}]
    Path("flows.json").write_text(json.dumps(document))
    code, out, err = command("migrate", "prefect1", "flows.json")
    assert (code, out[:18]) == (1, "could migrate etl ")
    assert "error: lost: Memory kept its flows" in err
    assert "nothing was written: 1 of 2 flows" in err
    assert not [*Catalog().names()]
    code, out, _ = command("migrate", "prefect1", "flows.json", "--partial", "--json")
    first, second = json.loads(out)
    assert (code, first["written"], first["state"]) == (1, "etl@1", "pinned")
    assert (second["state"], second["reference"], second["error"]["type"]) == (
        "failed", None, "StorageError",
    )  # fmt: skip


def test_the_command_shows_first_and_says_what_floats(stored, output, monkeypatch):
    text = json.dumps(local(stored))
    Path("storage.json").write_text(text)
    shown = output("migrate", "prefect1", "storage.json", "--dry-run", "--pin", "none")
    assert shown.startswith("could migrate etl (pickle in local, unverified, ")
    assert not [*Catalog().names()]
    with open("storage.json", "rb") as stream:
        monkeypatch.setattr("sys.stdin", type("In", (), {"buffer": stream, "close": None})())
        written = output("migrate", "prefect1", "-", "--to", "out")
    assert written.endswith(": out/etl.json\n")
    output("migrate", "prefect1", "storage.json", "--pin", "none")
    assert "unverified" in output("list")
    assert "pickle, unverified" in output("show", "etl")


def test_the_command_signs_what_is_pinned_and_nothing_else(stored, output, command):
    Path("storage.json").write_text(json.dumps(local(stored)))
    output("keys", "new", "release")
    code, _, err = command(
        "migrate", "prefect1", "storage.json", "--pin", "none", "--sign", "release"
    )
    assert (code, SignatureError.__name__ in err or "floating" in err) == (1, True)
    assert not [*Catalog().names()]
    assert "signed by" in output("migrate", "prefect1", "storage.json", "--sign", "release")


def test_files_of_references_are_not_signed_and_in_no_catalog(stored, command):
    Path("storage.json").write_text(json.dumps(local(stored)))
    code, _, err = command("migrate", "prefect1", "storage.json", "--to", "out", "--catalog", "c")
    assert (code, "--to takes neither" in err) == (2, True)
