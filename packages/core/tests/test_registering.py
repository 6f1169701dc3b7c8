from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import flowhold
from flowhold import plugins
from flowhold.errors import (
    ConfigurationError,
    DuplicateFlowError,
    ObjectExistsError,
    PluginNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.registering import default_storage, register, register_all
from flowhold.storage import Bytes, Local, Memory, Module
from flowhold.storage.inline import DictStore

SCRIPT = """
import enum
import sys
import flowhold
import shared
from flowhold.storage import Local

class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"

class Point:
    tags = frozenset({"a", "b", "c", 1.5, None})
    def __init__(self, *names):
        self.names = {*names}
    def __contains__(self, name):
        self.seen = name in {"x", "y", "z"}
        return self.seen

@flowhold.task
def paint(points, words={"red", "green", "blue"}):
    return sorted(words | shared.WORDS), Color.RED, [p.names for p in points], shared.join({"q"})

with flowhold.Flow("etl") as etl:
    paint([Point("one", "two", "three"), Point(*map(str, range(20)))])
etl.colors = {Color.RED, Color.BLUE}
etl.nested = {frozenset({"u", "v"}), frozenset({"w", ("x", frozenset({"y", "z"}))})}
etl.large = list(map(str, range(300)))

OPTIONS = {
    "pickle": {},
    "script": {"stored_as_script": True, "local_script_path": __file__},
    "bundle": {"stored_as_script": True, "include": ["*.py"], "local_script_path": __file__},
    "pickle with files": {"include": ["*.py"]},
}
if __name__ == "__main__":
    etl.storage = Local(**OPTIONS[sys.argv[1]])
    print(etl.register().version)
"""
SHARED = """
import typing
WORDS = {"alpha", "beta", "gamma"}
class Joined(typing.NamedTuple):
    items: list
def join(items, more=("m", "n")):
    return Joined(sorted({*items, *more, "k"}))
"""
FOLDER = """
import sys
import flowhold
from flowhold.registering import register
sys.path.append(sys.argv[2])
import options
script = sys.argv[2] + "/etl.py"
flow = flowhold.load(script)
print(register(flow, storage=flowhold.storage.Local(**options.get(sys.argv[1], script))).version)
"""
GET = """
def get(kind, script):
    flags = {"script": {"stored_as_script": True},
             "bundle": {"stored_as_script": True, "include": ["*.py"]},
             "pickle with files": {"include": ["*.py"]}}.get(kind, {})
    return flags | {"local_script_path": script}
"""


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in {"etl": SCRIPT, "shared": SHARED, "options": GET}.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def register_anew(project, kind, by, number=0):
    """Register in a fresh process with a hash seed of its own; return the version."""
    command = [sys.executable, "-B"] if number % 2 else [sys.executable]
    command += [str(project / "etl.py")] if by == "python" else ["-c", FOLDER]
    env = os.environ | {"PYTHONHASHSEED": str(number)}
    run = subprocess.run(
        [*command, kind, str(project)], env=env, capture_output=True, text=True, cwd="/"
    )
    assert run.returncode == 0, run.stderr
    return int(run.stdout)


@pytest.mark.parametrize(
    ("kind", "by", "times"),
    [
        ("pickle", "python", 7),
        ("pickle", "folder", 7),
        ("script", "python", 3),
        ("bundle", "folder", 3),
        pytest.param("pickle", "python", 19, marks=pytest.mark.long),
        pytest.param("pickle", "folder", 19, marks=pytest.mark.long),
        pytest.param("bundle", "folder", 19, marks=pytest.mark.long),
        ("pickle with files", "python", 5),
    ],
)
def test_an_unchanged_flow_adds_one_version_however_often_and_a_change_one_more(
    project, kind, by, times
):
    # The first leaves .pyc files of the siblings for the others, half of which have none in memory.
    assert register_anew(project, kind, by) == 1
    with ThreadPoolExecutor(2) as pool:
        versions = pool.map(lambda n: register_anew(project, kind, by, n + 1), range(times))
        assert set(versions) == {1}
    stored = [path for path in flowhold.Catalog().store.root.parent.rglob("*") if path.is_file()]
    assert len([path for path in stored if "flows" in path.parts]) == 1
    changed = project / ("etl.py" if kind == "script" else "shared.py")
    changed.write_text(changed.read_text().replace('"k"', '"K"').replace('"red"', '"Red"'))
    assert register_anew(project, kind, by) == 2
    assert register_anew(project, kind, by, 1) == 2


def test_a_changed_option_or_label_adds_a_version(tmp_path):
    flow = flowhold.Flow("etl")

    def version(**options):
        return register(flow, storage=Local(tmp_path / "flows", **options)).version

    assert [version(), version(), version(labels=["gpu"]), version(labels=["gpu"])] == [1, 1, 2, 2]
    assert [version(secrets=["TOKEN"]), version(add_default_labels=False)] == [3, 4]
    assert version(result=flowhold.LocalResult(dir=str(tmp_path))) == 5


@pytest.mark.parametrize("make", [Bytes, Local])
def test_a_flow_that_changed_in_the_same_process_is_stored_anew(make):
    storage = make()
    flow = flowhold.Flow("etl", storage=storage)
    flow.mark = 1
    first = flow.register()
    assert flow.register() == first
    flow.mark = 2
    second = flow.register()
    flow.mark = 1
    third = flow.register()
    assert [reference.version for reference in (first, second, third)] == [1, 2, 3]
    assert [flowhold.load(f"etl@{n}").mark for n in (1, 2, 3)] == [1, 2, 1]
    assert storage.get_flow("etl").mark == 1


def test_force_adds_a_version_of_an_unchanged_flow():
    flow = flowhold.Flow("etl")
    assert [flow.register().version, flow.register(force=True).version] == [1, 2]
    assert len({flowhold.Catalog().get("etl", n).location for n in (1, 2)}) == 1


def test_memory_cannot_be_registered_and_says_what_can():
    with pytest.raises(StorageError, match="keeps 'etl' in this process only") as caught:
        flowhold.Flow("etl", storage=Memory()).register()
    assert "Local" in caught.value.hint
    assert list(flowhold.Catalog().names()) == []


@pytest.mark.parametrize("call", ["etl.register()", "flowhold.register(etl)"])
def test_registering_while_the_script_loads_warns_and_does_nothing(tmp_path, call):
    script = tmp_path / "etl.py"
    script.write_text(f"import flowhold\netl = flowhold.Flow('etl')\netl.got = {call}")
    with pytest.warns(UserWarning, match=r"does nothing while"):
        flow = flowhold.load(script)
    assert flow.got is None
    assert list(flowhold.Catalog().names()) == []


def test_flows_are_registered_together_each_in_its_own_storage(tmp_path):
    shared, other = Local(tmp_path / "shared"), Local(tmp_path / "other")
    flows = [flowhold.Flow(f"f{n}", storage=shared) for n in range(20)]
    flows += [flowhold.Flow("alone", storage=other), flowhold.Flow("plain")]
    first = register_all(flows)
    assert [one.reference.flow for one in first] == [flow.name for flow in flows]
    assert not any(one.unchanged for one in first)
    flows[3].mark = 1
    again = register_all(flows)
    assert [flow.name for flow, one in zip(flows, again, strict=True) if not one.unchanged] == [
        "f3"
    ]
    assert len([path for path in (tmp_path / "other").rglob("*") if path.is_file()]) == 1
    assert flowhold.load("plain").name == "plain"


def test_a_function_and_any_runnable_object_can_be_registered():
    class Runnable:
        name = "object"

        def run(self, parameters=None, executor=None):
            return "object ran"

    def double(n):
        return 2 * n

    assert flowhold.load(register(double)).run({"n": 4}).result == 8
    assert flowhold.load(register(Runnable())).run() == "object ran"
    with pytest.raises(ConfigurationError, match="is not a flow"):
        register(5)


def test_a_refused_object_adds_no_version(tmp_path):
    storage = Local(tmp_path, key="one-key")
    flow = flowhold.Flow("etl", storage=storage)
    flow.register()
    flow.mark = 1
    with pytest.raises(ObjectExistsError):
        register(flow, storage=Local(tmp_path, key="one-key"))
    assert flowhold.Catalog().versions("etl") == [1]
    assert not hasattr(flowhold.load("etl"), "mark")


def test_an_observer_hears_of_what_was_stored(tmp_path):
    heard = []

    class Observer:
        @flowhold.hookimpl
        def flowhold_built(self, storage, references):
            heard.extend((storage.name, reference.flow) for reference in references)

    observer = Observer()
    plugins.register(observer, name="observer")
    try:
        register(flowhold.Flow("etl"), storage=Local(tmp_path))
    finally:
        plugins.unregister(observer)
    assert heard == [("Local", "etl")]


def test_the_default_storage_is_that_of_the_settings(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_STORAGE", "bytes")
    assert register(flowhold.Flow("etl")).storage["type"] == "bytes"
    assert isinstance(default_storage("module", module="json"), Module)


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("local", {"directry": "x"}, "directry"),
        ("module", {}, "missing 1 required positional argument: 'module'"),
    ],
)
def test_wrong_options_of_a_storage_are_named_with_the_right_ones(name, options, problem):
    with pytest.raises(ConfigurationError, match=problem) as caught:
        default_storage(name, **options)
    assert caught.value.hint.startswith(f"options of {name}: ")
    assert "labels" in caught.value.hint


def test_a_flow_added_by_hand_is_registered_as_it_is_now_and_recognised_later():
    with flowhold.Flow("by-hand") as flow:
        flowhold.task(str.upper)(flowhold.Parameter("text", default="a"))
    flow.storage = Local()
    flow.storage.add_flow(flow)
    flow.note = "changed after it was added"
    assert flowhold.load(flow.register()).note == "changed after it was added"
    flow.storage = Local()
    assert flow.register().version == 1


def test_a_flow_stored_by_hand_is_registered_as_it_is_now_and_recognised_later():
    with flowhold.Flow("by-hand") as flow:
        flowhold.task(str.upper)(flowhold.Parameter("text", default="a"))
    flow.storage = Local()
    flow.storage.add_flow(flow)
    flow.storage.build()
    flow.note = "changed after it was stored"
    assert flowhold.load(flow.register()).note == "changed after it was stored"
    flow.storage = Local()
    assert flow.register().version == 1


@pytest.mark.parametrize("target", ["holder.inner", "make"])
def test_a_flow_that_its_name_alone_does_not_find_is_found_by_the_attribute_again(tmp_path, target):
    (tmp_path / "hidden.py").write_text(
        "import flowhold\n"
        "class holder:\n"
        "    inner = flowhold.Flow('hidden')\n"
        "def make():\n"
        "    return holder.inner\n"
    )
    flow = flowhold.load(f"{tmp_path / 'hidden.py'}:{target}")
    options = {"stored_as_script": True, "local_script_path": str(tmp_path / "hidden.py")}
    reference = register(flow, storage=Local(**options))
    assert flowhold.load(reference).name == "hidden"


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_flow_whose_object_is_gone_is_stored_anew(harm):
    flow = flowhold.Flow("lost")
    path = Path(flow.register().location)
    harm(path)
    assert flow.register().version == 2
    assert flowhold.load("lost").name == "lost"


def test_another_factory_of_the_same_script_adds_a_version(tmp_path):
    (tmp_path / "made.py").write_text(
        "import flowhold\n"
        "def one():\n    return flowhold.flow(lambda: 1, name='made')\n"
        "def two():\n    return flowhold.flow(lambda: 2, name='made')\n"
    )
    options = {"stored_as_script": True, "local_script_path": str(tmp_path / "made.py")}
    for name, number in {"one": 1, "two": 2}.items():
        flow = flowhold.load(f"{tmp_path / 'made.py'}:{name}")
        assert register(flow, storage=Local(**options)).version == number
        assert flowhold.load("made").run().result == number


def test_a_storage_class_that_no_reference_could_find_is_refused():
    class Mine(Local):
        pass

    with pytest.raises(PluginNotFoundError, match="mine"):
        register(flowhold.Flow("sub"), storage=Mine())
    Mine.__name__ = "Local"
    with pytest.raises(ConfigurationError, match="not the storage that is known as 'local'"):
        register(flowhold.Flow("sub"), storage=Mine())
    assert list(flowhold.Catalog().names()) == []


class Shelf(Local):
    """A storage with a credential."""

    not_serialized = Local.not_serialized | {"password"}

    def __init__(self, password=None, **options):
        super().__init__(**options)
        self.password = password


def test_no_credential_of_a_storage_gets_into_a_pickle():
    used = Shelf(password="hunter2")

    @flowhold.flow
    def names():
        return used.name

    class Own:
        name = "own"
        storage = used

        def run(self, **_):
            return 1

    own = Own()
    own.storage = used
    for flow in (names, own):
        assert b"hunter2" not in Path(register(flow, storage=Local()).location).read_bytes()


def test_an_unmounted_folder_is_an_error(tmp_path):
    (tmp_path / "mount").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="is not a folder"):
        register(flowhold.Flow("lost"), storage=Local(tmp_path / "mount"))
    with pytest.raises(StorageError, match="is not a folder"):
        register(flowhold.Flow("lost"), catalog=tmp_path / "mount")


def test_two_flows_of_one_name_are_refused_before_anything_is_stored(tmp_path):
    flows = [flowhold.flow(lambda: 1, name="etl"), flowhold.flow(lambda: 2, name="etl")]
    storage = Local(tmp_path / "flows")
    with pytest.raises(DuplicateFlowError, match="'etl'"):
        register_all(flows, storage=storage)
    assert not (tmp_path / "flows").exists()


class Picky(DictStore):
    """Refuses some keys until it is told not to."""

    refused = ("flow-3/", "flow-7/")

    def put(self, key, parts, *, if_absent=False):
        if key.startswith(self.refused):
            raise StorageUnavailableError("down", hint="try again")
        return super().put(key, parts, if_absent=if_absent)


def test_what_was_stored_before_a_failure_is_registered_and_not_stored_again(monkeypatch, tmp_path):
    objects = {}
    monkeypatch.setattr(Local, "open_store", lambda self: Picky(objects))
    monkeypatch.setattr(Local, "still_has", lambda self, record: True)
    monkeypatch.setattr("flowhold.parallel.THREADS", 1)
    flows = [flowhold.flow(lambda: 1, name=f"flow {number}") for number in range(6)]
    with pytest.raises(StorageUnavailableError) as caught:
        register_all(flows, storage=Local(tmp_path))
    kept = [*flowhold.Catalog().names()]
    assert {"flow 0", "flow 1", "flow 2"} <= {*kept} <= {f"flow {n}" for n in (0, 1, 2, 4, 5)}
    assert caught.value.hint == (
        f"{len(kept)} of 6 flows were stored and registered; register again for the others. "
        "try again"
    )
    before = dict(objects)
    monkeypatch.setattr(Picky, "refused", ("nothing",))
    done = register_all(flows, storage=Local(tmp_path))
    assert [each.reference.flow for each in done if each.unchanged] == kept
    assert len(objects) == 6
    assert before.items() <= objects.items()
