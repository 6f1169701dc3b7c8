from __future__ import annotations

import hashlib
import os
import sys
import threading
import traceback
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

import flowhold
from flowhold.errors import FlowNotFoundError, IntegrityError, SerializationError
from flowhold.registering import register
from flowhold.storage import Local
from flowhold.trees import PREFIX, is_loading, open_folder, open_tree

SCRIPT = """
import flowhold
import shared

@flowhold.task
def make(n):
    return shared.Thing(shared.NAME, n)

@flowhold.task
def late(thing):
    import later
    assert isinstance(thing, shared.Thing)
    return f"{later.NAME} {thing.name} {thing.n}"

with flowhold.Flow("etl") as etl:
    late(make(flowhold.Parameter("n", 1)))
"""
SHARED = """
class Thing:
    def __init__(self, name, n):
        self.name, self.n = name, n

NAME = {name!r}
"""


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder / "etl.py"


def project(folder, name):
    return write(folder, etl=SCRIPT, shared=SHARED.format(name=name), later=f"NAME = 'late {name}'")


def frozen(folder, script="etl.py", digest="d" * 64):
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.py")
    }
    return open_tree(digest, folder, script, files)


def test_two_folders_with_modules_of_one_name_keep_apart_also_in_late_imports(tmp_path):
    flows = [flowhold.load(project(tmp_path / name, name)) for name in ("one", "two")]
    assert [flow.run().result for flow in flows] == ["late one one 1", "late two two 1"]
    assert [flow.run({"n": 2}).result for flow in flows] == ["late one one 2", "late two two 2"]


def test_loading_leaves_the_import_state_of_the_process_alone(tmp_path):
    script = project(tmp_path / "p", "one")
    before = sys.path.copy(), os.getcwd(), set(sys.modules)
    flowhold.load(script).run()
    new = {
        name
        for name in sys.modules.keys() - before[2]
        if not name.startswith((PREFIX, "flowhold.")) and str(tmp_path) in str(sys.modules[name])
    }
    assert (sys.path, os.getcwd(), new) == (*before[:2], set())
    assert not {"etl", "shared", "later"} & (sys.modules.keys() - before[2])
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("kind", ["in place", "bundle"])
def test_instances_of_sibling_classes_travel_through_a_process_pool(tmp_path, method, kind):
    if method == "fork" and sys.platform == "win32":
        pytest.skip("no fork here")
    script = project(tmp_path / "p", "one")
    loaded = flowhold.load(script)
    if kind == "bundle":
        options = {"stored_as_script": True, "local_script_path": str(script)}
        storage = Local(tmp_path / "flows", include=["*.py"], **options)
        loaded = flowhold.load(register(loaded, storage=storage))
        (tmp_path / "p").rename(tmp_path / "gone")
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        run = loaded.run({"n": 7}, executor=pool)
    assert run.error is None
    assert run.result == "late one one 7"
    assert run.tasks["make"].result.name == "one"


def test_threads_that_load_at_once_get_one_tree_loaded_once(tmp_path):
    script = project(tmp_path / "p", "one")
    script.write_text("import time; time.sleep(0.05)\nLOADS.append(1)\n" + SCRIPT)
    write(tmp_path / "p", counting="LOADS = []")
    script.write_text("from counting import LOADS\n" + script.read_text())
    start = threading.Barrier(8)

    def load(_):
        start.wait()
        return flowhold.load(script)

    with ThreadPoolExecutor(8) as pool:
        flows = list(pool.map(load, range(8)))
    assert {flow.run().result for flow in flows} == {"late one one 1"}
    assert len(sys.modules[f"{open_folder(script).name}.counting"].LOADS) == 1


def test_threads_that_load_different_folders_at_once_do_not_mix_them(tmp_path):
    scripts = [project(tmp_path / str(n), f"p{n}") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda script: flowhold.load(script).run().result, scripts))
    assert results == [f"late p{n} p{n} 1" for n in range(8)]


def test_the_script_knows_its_file_and_is_not_main(tmp_path):
    script = write(
        tmp_path / "p",
        etl="""
import flowhold
SEEN = __file__, __name__
if __name__ == "__main__":
    raise SystemExit("run as main")
@flowhold.flow
def etl():
    return SEEN
""",
    )
    file, name = flowhold.load(script).run().result
    assert file == str(script)
    assert name.startswith(PREFIX)
    assert name.endswith(".etl")


def test_tracebacks_show_the_lines_of_the_source(tmp_path):
    text = "import flowhold\n@flowhold.flow\ndef etl():\n    return 1 / len('')  # divide\n"
    run = flowhold.load(write(tmp_path / "p", etl=text)).run()
    shown = "".join(traceback.format_exception(run.error))
    assert f'{tmp_path / "p" / "etl.py"}", line 4, in etl' in shown
    assert "return 1 / len('')  # divide" in shown


@pytest.mark.parametrize("changed", ["etl", "shared"])
def test_an_edited_file_takes_effect_at_the_next_load(tmp_path, changed):
    script = project(tmp_path / "p", "one")
    before = flowhold.load(script)
    file = script.with_name(f"{changed}.py")
    file.write_text(file.read_text().replace("one", "two").replace("{thing.n}", "{thing.n}!"))
    after = flowhold.load(script)
    assert before.run().result == "late one one 1"
    assert after.run().result != before.run().result
    file.write_text(file.read_text().replace("two", "one").replace("{thing.n}!", "{thing.n}"))
    assert flowhold.load(script).run().result == "late one one 1"


def test_a_module_that_was_missing_is_found_once_it_is_there(tmp_path):
    script = write(tmp_path / "p", etl="import helper_xyz\n" + SCRIPT, later="NAME = 1")
    with pytest.raises(SerializationError, match="No module named 'helper_xyz'"):
        flowhold.load(script)
    write(tmp_path / "p", helper_xyz="", shared=SHARED.format(name="one"))
    assert flowhold.load(script).run().result == "1 one 1"


def test_a_file_that_was_changed_after_unpacking_is_refused_when_it_is_imported(tmp_path):
    script = project(tmp_path / "p", "one")
    tree = frozen(tmp_path / "p", digest="a" * 64)
    canary = tmp_path / "canary"
    script.with_name("later.py").write_text(f"open({str(canary)!r}, 'w')\nNAME = 'evil'")
    etl = tree.load().etl
    run = etl.run()
    assert isinstance(run.error, IntegrityError)
    assert "later.py is not the file that was stored with the flow" in str(run.error)
    assert not canary.exists()


@pytest.mark.parametrize("tampered", ["etl.py", "shared.py"])
def test_a_changed_script_or_sibling_is_refused_before_any_of_it_runs(tmp_path, tampered):
    script = project(tmp_path / "p", "one")
    tree = frozen(tmp_path / "p", digest=hashlib.sha256(tampered.encode()).hexdigest())
    canary = tmp_path / "canary"
    with script.with_name(tampered).open("a") as file:
        file.write(f"\nopen({str(canary)!r}, 'w')\n")
    with pytest.raises(IntegrityError, match="is not the file that was stored"):
        tree.load()
    assert not canary.exists()


def test_a_file_that_was_added_to_an_unpacked_flow_is_refused(tmp_path):
    write(tmp_path / "p", etl="import added")
    tree = frozen(tmp_path / "p", digest="c" * 64)
    tree.manifest |= {"other.py": ""}
    write(tmp_path / "p", added="raise SystemExit('ran')")
    with pytest.raises(IntegrityError, match=r"added\.py"):
        tree.load()


def test_one_digest_with_two_scripts_has_a_tree_for_each(tmp_path):
    write(tmp_path / "p", etl="WHICH = 'etl'", other="WHICH = 'other'")
    trees = [frozen(tmp_path / "p", script, "b" * 64) for script in ("etl.py", "other.py")]
    assert [tree.load().WHICH for tree in trees] == ["etl", "other"]
    assert frozen(tmp_path / "p", "etl.py", "b" * 64) is trees[0]


@pytest.mark.parametrize(("name", "problem"), [("x.py", "does not exist"), ("p", "is not a .py")])
def test_what_is_no_script_is_named(tmp_path, name, problem):
    (tmp_path / "p").mkdir()
    (tmp_path / "notes.txt").touch()
    name = {"p": "notes.txt"}.get(name, name)
    with pytest.raises(FlowNotFoundError, match=f"{tmp_path / name} {problem}"):
        open_folder(tmp_path / name)


def test_it_is_known_while_a_script_loads_and_only_then(tmp_path):
    text = "from flowhold.trees import is_loading\nimport flowhold\n"
    text += "SEEN = is_loading()\n@flowhold.flow\ndef etl(): return SEEN, is_loading()\n"
    assert not is_loading()
    assert flowhold.load(write(tmp_path / "p", etl=text)).run().result == (True, False)
    with pytest.raises(SerializationError):
        flowhold.load(write(tmp_path / "q", etl="1/0"))
    assert not is_loading()
