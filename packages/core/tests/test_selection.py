from __future__ import annotations

import os
import subprocess
import sys

import pytest

import flowhold
from flowhold.errors import ConfigurationError, FlowNotFoundError, SerializationError
from flowhold.selection import split_target
from flowhold.storage import Local

SCRIPT = """
import flowhold

@flowhold.flow
def daily():
    return "daily ran"

with flowhold.Flow("weekly-report") as weekly:
    flowhold.task(lambda: "weekly ran")()

def make():
    with flowhold.Flow("made") as made:
        flowhold.task(lambda: "made ran")()
    return made

def double(n):
    return 2 * n

class Holder:
    inner = weekly

same = weekly
number = 7
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "etl.py"
    path.write_text(SCRIPT)
    return path


@pytest.mark.parametrize(
    ("target", "name", "result"),
    [
        ("daily", "daily", "daily ran"),
        ("weekly-report", "weekly-report", "weekly ran"),
        ("weekly", "weekly-report", "weekly ran"),
        ("make", "made", "made ran"),
        ("Holder.inner", "weekly-report", "weekly ran"),
    ],
)
def test_a_flow_is_found_by_its_name_its_variable_or_its_factory(script, target, name, result):
    flow = flowhold.load(f"{script}:{target}")
    assert flow.name == name
    assert flow.run().result == result


def test_a_plain_function_with_arguments_is_a_flow_by_its_name(script):
    assert flowhold.load(f"{script}:double").run({"n": 21}).result == 42


def test_a_flow_named_like_a_variable_of_another_comes_first(tmp_path):
    path = tmp_path / "etl.py"
    path.write_text("import flowhold\na = flowhold.Flow('b')\nb = flowhold.Flow('a')")
    assert flowhold.load(f"{path}:a").name == "a"


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("nothing", "has no attribute 'nothing'; flows found: daily, weekly-report"),
        ("number", "number in the script etl.py is neither a flow nor a function without arg"),
        ("Holder.gone", "has no attribute 'Holder.gone'"),
    ],
)
def test_a_wrong_name_says_what_there_is(script, target, problem):
    with pytest.raises(FlowNotFoundError) as caught:
        flowhold.load(f"{script}:{target}")
    assert problem in str(caught.value)


def test_several_flows_are_listed_when_none_is_named(script):
    with pytest.raises(FlowNotFoundError, match="several flows: 'daily', 'weekly-report'"):
        flowhold.load(script)


def test_a_script_without_a_flow_says_so(tmp_path):
    path = tmp_path / "etl.py"
    path.write_text("import flowhold\nfrom flowhold import Flow, task, flow")
    with pytest.raises(FlowNotFoundError, match="no flow at its top level") as caught:
        flowhold.load(path)
    assert "@flow" in caught.value.hint


def test_two_flows_of_one_name_are_told_by_their_variables(tmp_path):
    path = tmp_path / "etl.py"
    path.write_text("import flowhold\na = flowhold.Flow('x')\nb = flowhold.Flow('x')\nb.mark = 1")
    with pytest.raises(FlowNotFoundError, match="2 flows named 'x'"):
        flowhold.load(f"{path}:x")
    assert flowhold.load(f"{path}:b").mark == 1


def test_the_name_of_another_flow_in_a_stored_script_is_not_the_first_one(script, tmp_path):
    storage = Local(tmp_path / "flows", stored_as_script=True, local_script_path=str(script))
    storage.add_flow(flowhold.load(f"{script}:daily"))
    storage.add_flow(flowhold.load(f"{script}:weekly"))
    storage.add_flow(flowhold.load(f"{script}:make"))
    storage.build()
    found = [storage.get_flow(name) for name in ("weekly-report", "daily", "made")]
    assert [flow.run().result for flow in found] == ["weekly ran", "daily ran", "made ran"]
    restored = flowhold.Storage.deserialize(storage.serialize())
    assert restored.get_flow("made").run().result == "made ran"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("etl.py", ("etl.py", None)),
        ("etl.py:flow", ("etl.py", "flow")),
        ("C:\\flows\\etl.py", ("C:\\flows\\etl.py", None)),
        ("C:\\flows\\etl.py:flow", ("C:\\flows\\etl.py", "flow")),
        ("a:b/etl.py", ("a:b/etl.py", None)),
        ("pkg.mod:make.it", ("pkg.mod", "make.it")),
    ],
)
def test_a_target_is_split_at_the_colon_that_names_an_attribute(text, parts):
    assert split_target(text) == parts


@pytest.mark.parametrize("text", ["etl.py:", ":flow"])
def test_half_a_target_is_refused(text):
    with pytest.raises(ConfigurationError, match="nothing on one side of the colon"):
        split_target(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import flowhold\n\nraise SystemExit(3)", "SystemExit: 3 (etl.py, line 3)"),
        ("x = 1\nraise ValueError('boom')", "ValueError: boom (etl.py, line 2)"),
        ("import os\nos.listdir('/no/such')", "(etl.py, line 2)"),
        ("import nowhere_xyz", "No module named 'nowhere_xyz' (etl.py, line 1)"),
        ("import helper", "ZeroDivisionError: division by zero (helper.py, line 2)"),
        ("from . import nothing", "cannot import name 'nothing'"),
        ("import helper_b.nothing", "No module named 'helper_b.nothing'"),
        ("x = (\ny = 1", "(etl.py, line 1)"),
        ("x = '\0'", "null bytes"),
    ],
)
def test_a_script_that_cannot_be_loaded_says_file_line_and_reason(tmp_path, text, reason):
    path = tmp_path / "etl.py"
    path.write_text(text)
    path.with_name("helper.py").write_text("\n1/0")
    path.with_name("helper_b.py").write_text("")
    with pytest.raises(SerializationError) as caught:
        flowhold.load(path)
    assert str(caught.value).startswith("the script etl.py could not be loaded: ")
    assert reason in str(caught.value)
    assert "flowhold_tree" not in str(caught.value)
    assert caught.value.hint


def test_a_factory_that_fails_is_reported_like_a_script(tmp_path):
    path = tmp_path / "etl.py"
    path.write_text("def make():\n    raise KeyError('config')")
    with pytest.raises(SerializationError, match=r"KeyError: 'config' \(etl.py, line 2\)"):
        flowhold.load(f"{path}:make")


MAIN = """
import sys
import flowhold
from flowhold.storage import Module

@flowhold.flow(storage=Module(__name__, add_default_labels=False))
def etl():
    return "from the module"

if __name__ == "__main__":
    print(etl.register().location)
"""


@pytest.mark.parametrize(
    ("arguments", "location"),
    [
        (["job.py"], "job"),
        (["-m", "job"], "job"),
        (["-m", "pkg.job"], "pkg.job"),
        (["-m", "pkg"], "pkg.__main__"),
    ],
)
def test_a_module_storage_of_main_names_what_others_import(tmp_path, arguments, location):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").touch()
    for name in ("job.py", "pkg/job.py", "pkg/__main__.py"):
        (tmp_path / name).write_text(MAIN)
    shown = subprocess.check_output([sys.executable, *arguments], cwd=tmp_path, text=True)
    assert shown.strip() == location
    code = "import flowhold; print(flowhold.load('etl').run().result)"
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    shown = subprocess.check_output([sys.executable, "-c", code], env=env, text=True)
    assert shown.strip() == "from the module"


def test_a_module_storage_needs_a_main_that_has_a_name(tmp_path):
    (tmp_path / "app").mkdir()
    code = "from flowhold.storage import Module\nModule('__main__')"
    (tmp_path / "app" / "__main__.py").write_text(code)
    for arguments in (["-c", code], [str(tmp_path / "app")]):
        run = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
        assert "__main__ is not a module that another process could import" in run.stderr
