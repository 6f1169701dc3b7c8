from __future__ import annotations

import json
import sys

import pytest

HEAVY = {
    "azure",
    "boto3",
    "botocore",
    "click",
    "cloudpickle",
    "cryptography",
    "dask",
    "distributed",
    "docker",
    "dulwich",
    "filelock",
    "google",
    "importlib.metadata",
    "importlib_metadata",
    "pathspec",
    "platformdirs",
    "pluggy",
    "prefect",
    "requests",
    "rich",
    "slugify",
    "zstandard",
}


@pytest.fixture
def imported(process):
    def imported(statement):
        code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
        return set(json.loads(process(sys.executable, "-c", code)))

    return imported


def heavy(modules):
    return {name for name in modules if name in HEAVY or name.partition(".")[0] in HEAVY}


def test_the_interpreter_itself_brings_in_nothing_heavy(imported):
    # Else the tests below would show nothing.
    assert heavy(imported("pass")) == set()


def test_importing_flowhold_brings_in_no_library_and_no_sdk(imported):
    modules = imported("import flowhold")
    assert "flowhold" in modules
    assert heavy(modules) == set()


def test_importing_flowhold_brings_in_none_of_its_own_modules(imported):
    assert {name for name in imported("import flowhold") if name.startswith("flowhold.")} == set()


def test_a_script_that_only_defines_a_flow_brings_in_no_library_and_no_sdk(imported):
    modules = imported("from flowhold import Flow, Parameter, flow, task")
    assert "flowhold.flows" in modules
    assert heavy(modules) == set()


def test_looking_for_an_attribute_that_is_not_there_imports_nothing_heavy(imported):
    assert heavy(imported("import flowhold\nassert not hasattr(flowhold, 'nothing')")) == set()
