"""Flows that Prefect 1.4.1 stores itself, taken over and run; its storages beside those here."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path

import pytest
from git_repositories import make_repository

from flowhold import storage
from flowhold.migrating import migrate_prefect1

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "fixtures" / "prefect-1.4.1-storages.json").read_text("utf-8"))

RENAMED = {"prefect_version": "flowhold_version", "prefect_directory": "flowhold_directory"}
OTHER_DEFAULTS = {"flowhold_directory"}
"""They name a folder of the other system."""

FLOW = """
from prefect import Flow, Parameter, task

@task
def add(left, right):
    return left + right

with Flow("{name}") as flow:
    add(Parameter("left", default=1), Parameter("right", default=2))
"""

STORE = """
import json, sys
from prefect.storage import Git, Local, Module, S3
import pickled, scripted

folder, bucket, url, target = sys.argv[1:]
pickled.flow.name, stored = "local", []
for name, storage, flow in [
    ("local", Local(folder), pickled.flow),
    ("s3", S3(bucket, client_options={"endpoint_url": url}), pickled.flow),
    ("module", Module("scripted"), scripted.flow),
    ("git", Git("flows/scripted.py", git_clone_url_secret_name="CLONE_URL"), scripted.flow),
]:
    flow.name, flow.storage = name, storage
    stored.append(flow.serialize(build=True))
json.dump({"version": 1, "flows": stored}, open(target, "w"))
"""

# In one process, as starting Prefect takes seconds.
RUN = """
import sys
from flowhold.cli.app import run

for name in sys.argv[1:]:
    print(end="\\0", flush=True)
    assert run(["run", name, "-p", "left=5", "--json"]) == 0
"""


@pytest.fixture
def stored(prefect1, process, quiet, tmp_path, s3_server, s3_bucket, git_folder, git_http):
    """A flows.json of flows that Prefect stored, and the environment that leads to them."""
    (tmp_path / "pickled.py").write_text(FLOW.format(name="pickled"))
    # Prefect finds a flow of a module or a script by the name that it has there.
    (tmp_path / "scripted.py").write_text(
        FLOW.format(name="module") + FLOW.format(name="git").replace("as flow", "as other")
    )
    repository = make_repository(git_folder / f"{tmp_path.name}.git")
    repository.commit({"flows/scripted.py": (tmp_path / "scripted.py").read_text()})
    env = {
        **quiet,
        "FLOWHOLD_SECRET_CLONE_URL": f"{git_http.url}/{tmp_path.name}.git",
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
        "AWS_DEFAULT_REGION": s3_server.region,
        "PYTHONPATH": str(tmp_path),
    }
    target = tmp_path / "flows.json"
    folder = tmp_path / "prefect-flows"
    process(
        prefect1, "-W", "ignore", "-c", STORE, folder, s3_bucket, s3_server.url, target, env=env
    )
    return target, env


def test_what_prefect_stored_is_taken_over_and_runs(prefect1, process, stored):
    path, env = stored
    flowhold = prefect1.with_name("flowhold")
    migrated = json.loads(process(flowhold, "migrate", "prefect1", path, "--json", env=env))
    states = {each["flow"]: each["state"] for each in migrated}
    assert states == {
        "local": "pinned", "s3": "pinned", "module": "floating", "git": "floating",
    }  # fmt: skip
    ran = process(prefect1, "-c", RUN, *states, env=env)
    outcomes = [json.loads(each) for each in ran.split("\0")[1:]]
    assert [(each["flow"], each["state"], each["result"]) for each in outcomes] == [
        (name, "success", 7) for name in states
    ]


def test_the_record_is_what_prefect_says_of_its_storages(prefect1, process, quiet, tmp_path):
    maker = HERE / "make_prefect1_storages.py"
    process(prefect1, "-W", "ignore", maker, tmp_path / "now.json", env=quiet)
    assert json.loads((tmp_path / "now.json").read_text()) == RECORDED


@pytest.mark.parametrize("name", RECORDED["signatures"])
def test_arguments_are_called_and_ordered_as_those_of_prefect_and_have_its_defaults(name):
    theirs = [
        {**each, "name": RENAMED.get(each["name"], each["name"])}
        for each in RECORDED["signatures"][name]
    ]
    parameters = list(inspect.signature(getattr(storage, name).__init__).parameters.values())[1:]
    ours = [
        {"name": each.name, "required": each.default is each.empty}
        | ({} if each.default is each.empty else {"default": each.default})
        for each in parameters
        if each.kind is not each.VAR_KEYWORD
    ]
    for each in [*ours, *theirs]:
        if each["name"] in OTHER_DEFAULTS:
            del each["default"]
    assert ours[: len(theirs)] == theirs


@pytest.mark.parametrize(
    "document", RECORDED["storages"], ids=lambda each: f"{each['type']}-{each['flows']['etl']}"
)
def test_what_prefect_serialized_becomes_a_reference_that_loads_the_same_place(document):
    (done,) = migrate_prefect1(json.dumps(document), pin="none")
    if document["type"] == "Docker":
        assert done.reference is None
        assert "no Flowhold in it" in str(done.error)
        return
    reference = done.reference
    assert reference.location == document["flows"]["etl"]
    assert reference.open_storage().flows == document["flows"]
    options = reference.storage["options"]
    for option, value in document.items():
        kept = option not in ("type", "__version__", "flows", "secrets", "stored_as_script")
        if kept and value is not None and option != "client_options":
            assert options[option] == value
    assert reference.storage["secrets"][: len(document["secrets"])] == document["secrets"]
    assert "open" not in reference.to_json()
    assert reference.extra["migrated_from"]["release"] == "1.4.1"


def test_no_argument_of_an_earlier_release_is_refused(recwarn):
    storage.LocalStorage("~/.prefect/flows")
    storage.S3("b", aws_access_key_id="a", aws_secret_access_key="b", aws_session_token="c")
    storage.Azure("c", connection_string="UseDevelopmentStorage=true")
    assert not recwarn


@pytest.mark.parametrize(
    ("name", "argument", "value", "advice"),
    [
        ("Docker", "prefect_version", "1.4.1", "python_dependencies"),
        ("Docker", "prefect_directory", "/opt/prefect", "flowhold_directory="),
        ("Local", "result_handler", False, "result="),
    ],
)
def test_an_argument_that_means_something_else_says_what_to_do(name, argument, value, advice):
    with pytest.warns(DeprecationWarning, match=advice) as caught:
        made = getattr(storage, name)(**{argument: value})
    assert os.path.samefile(caught[0].filename, __file__)
    new = RENAMED.get(argument)
    assert new is None or getattr(made, new) == value
