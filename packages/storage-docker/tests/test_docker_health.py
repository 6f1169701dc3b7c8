"""The last step of a build says of each flow what is missing in the image, and what to do."""

from __future__ import annotations

import platform
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from flowhold import Flow, task
from flowhold.results import LocalResult
from flowhold_storage_docker import healthcheck
from flowhold_storage_docker.errors import BuildError


@task
def say(text):
    return text


@task
def need():
    return pytest.__version__


@task
def import_late():
    import moto
    import moto.core

    return moto


@task
def import_perhaps():
    try:
        import moto
    except ImportError:
        return "without it"
    return moto


def flow_of(called, *arguments, name="etl"):
    with Flow(name) as flow:
        called(*arguments)
    return flow


class Prefect1:
    """What a flow of Prefect 1 looks like."""

    result = None

    def __init__(self, edges, tasks):
        self.name = "of prefect"
        self.edges = edges
        self.tasks = tasks

    def run(self, **options):
        return None


def task_of(name, **attributes):
    return SimpleNamespace(
        **{"name": name, "max_retries": 0, "result": None, "cache_for": None, **attributes}
    )


class Edge:
    def __init__(self, upstream, downstream, key):
        self.upstream_task, self.downstream_task, self.key = upstream, downstream, key


def prefect1(*, retries=2, key="data", cache_for=None, result=None):
    load, store = task_of("load", result=result), task_of("store", max_retries=retries)
    store.cache_for = cache_for
    return Prefect1({Edge(load, store, key)}, {Hashed(load), Hashed(store)})


class Hashed:
    """A task in a set, as those of Prefect are."""

    def __init__(self, task):
        self.__dict__.update(task.__dict__)


@pytest.fixture
def build(make):
    """Return a function that builds a storage with a flow, and returns it and what it warned of."""

    def built(*flows, **options):
        storage = make(**options)
        for flow in flows:
            storage.add_flow(flow)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            storage.build()
        assert {it.category for it in caught} <= {UserWarning}
        return storage, [str(it.message) for it in caught]

    return built


def test_a_flow_that_is_well_warns_of_nothing(build):
    assert build(flow_of(say, "one"))[1] == []


def test_a_pickle_of_another_python_fails_the_build(build, monkeypatch):
    flow = flow_of(say, "one")
    here = platform.python_version_tuple()
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "9", "7"))
    with pytest.raises(BuildError, match=r"stored with Python 3\.9, the image has 3\.") as caught:
        build(flow)
    said = str(caught.value)
    assert f"the image has {here[0]}.{here[1]}" in said
    assert "base_image='python:3.9-slim'" in said
    assert "stored_as_script=True" in said


def test_a_script_of_another_python_warns(build, monkeypatch):
    Path("etl.py").write_text("from flowhold import Flow\nwith Flow('etl') as flow:\n    pass\n")
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "9", "7"))
    _, warned = build(Flow("etl"), stored_as_script=True, local_script_path="etl.py")
    assert any("stored with Python 3.9" in line for line in warned)


def test_a_flow_that_cannot_be_loaded_fails_the_build(build):
    flows = [flow_of(say, "one", name="well"), flow_of(need, name="ill")]
    with pytest.raises(BuildError, match="flow 'ill' cannot be loaded in the image") as caught:
        build(*flows)
    said = str(caught.value)
    assert "pytest" in said
    assert "python_dependencies=, files= or pickle_modules=" in said
    assert "flow 'well' can be loaded" in said
    assert "'-B'" in said or "python -B" in said


def test_a_script_that_cannot_be_loaded_fails_the_build(build):
    Path("etl.py").write_text(
        "import os\nfrom flowhold import Flow\n"
        "if os.path.isdir('/opt/flowhold/flows'):\n    raise RuntimeError('not in an image')\n"
        "with Flow('etl') as flow:\n    pass\n"
    )
    with pytest.raises(BuildError, match=r"flow 'etl' cannot be loaded .*not in an image"):
        build(Flow("etl"), stored_as_script=True, local_script_path="etl.py")


def test_what_is_not_checked_is_built(build, engine):
    storage, warned = build(flow_of(need), ignore_healthchecks=True)
    assert warned == []
    with pytest.raises(Exception, match="pytest"):
        storage.get_env_runner().run()


def test_an_import_that_would_fail_later_fails_the_build(build):
    with pytest.raises(BuildError) as caught:
        build(flow_of(import_late))
    said = str(caught.value)
    assert "flow 'etl' imports 'moto' when it runs, and the image has it not" in said
    assert "python_dependencies=" in said


def test_an_import_whose_failure_may_be_handled_warns(build):
    storage, warned = build(flow_of(import_perhaps))
    (line,) = warned
    assert "flow 'etl' imports 'moto' when it runs, and the image has it not" in line
    assert storage.get_env_runner().run().result == "without it"


def test_a_warning_that_is_an_error_stops_no_build_halfway(make, engine):
    storage = make(image_name="halfway", image_tag="v1")
    storage.add_flow(flow_of(import_perhaps))
    with pytest.raises(UserWarning, match="moto"):
        storage.build()
    with engine.client() as client:
        assert client.images.get("halfway:v1")
        assert client.api.containers(all=True) == []


def test_retries_without_a_result_fail_the_build(build):
    with pytest.raises(BuildError) as caught:
        build(prefect1(), pickle_modules=[__name__])
    assert "flow 'of prefect': nothing keeps the value of task 'load'" in str(caught.value)
    assert "result=" in str(caught.value)


def test_caching_without_a_result_warns(build):
    _, (line,) = build(prefect1(retries=0, cache_for=60), pickle_modules=[__name__])
    assert "flow 'of prefect': nothing keeps the value of task 'store'" in line
    assert "result=" in line


@pytest.mark.parametrize(
    ("options", "severities"),
    [
        ({}, [healthcheck.ERROR]),
        ({"retries": 0}, []),
        ({"key": None}, []),
        ({"result": LocalResult("results")}, []),
        ({"retries": 0, "cache_for": 60}, [healthcheck.WARNING]),
        ({"cache_for": 60}, [healthcheck.ERROR, healthcheck.WARNING]),
    ],
)
def test_only_what_depends_on_a_result_is_told_of(options, severities):
    lines = healthcheck.missing_results(prefect1(**options))
    assert [line[: line.index(":") + 1] for line in lines] == severities


def test_a_flow_with_a_result_and_flows_of_flowhold_need_none():
    flow = prefect1(cache_for=60)
    flow.result = LocalResult("results")
    assert healthcheck.missing_results(flow) == []
    assert healthcheck.missing_results(flow_of(say, "one")) == []


def test_a_storage_with_a_result_needs_none_in_its_flows(build):
    assert (
        build(
            prefect1(cache_for=60), pickle_modules=[__name__], result=LocalResult("/tmp/results")
        )[1]
        == []
    )


def test_nothing_of_the_checks_stays_in_the_image(build):
    storage, _ = build(flow_of(say, "one"))
    layers = storage.engine.client.history(storage.image)
    (check,) = [it for it in layers if "flowhold_storage_docker.healthcheck" in it["CreatedBy"]]
    assert check["Size"] == 0


def test_flows_are_checked_without_their_secrets(build):
    assert build(flow_of(say, "one"), secrets=["NOT_HERE"])[1] == []
