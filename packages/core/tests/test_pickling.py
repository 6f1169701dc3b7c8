from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import threading

import cloudpickle
import pytest

import flowhold
from flowhold import pickling
from flowhold.errors import ConfigurationError, FlowholdError
from flowhold.storage import Local

SCRIPT = """
import sys
from pathlib import Path
import flowhold
from flowhold.storage import Local
from parts import readers
from parts.readers import read
import tools

@flowhold.task
def load(name):
    return read(Path(__file__).parent / "data" / name), Path(__file__).name

@flowhold.task
def late(loaded):
    import later
    from parts import extra
    assert Path(__file__).exists()
    assert Path(readers.__file__).with_name("extra.py").exists()
    return later.double(loaded[0]), loaded[1], extra.EXTRA, tools.ABOUT, readers.where()

with flowhold.Flow("etl") as etl:
    late(load("numbers.txt"))

if __name__ == "__main__":
    etl.storage = Local(sys.argv[1], include=["*.py", "data/"])
    print(etl.register().to_json())
"""
FILES = {
    "etl.py": SCRIPT,
    "tools.py": "ABOUT = 'tools'",
    "later.py": "from tools import ABOUT\ndef double(n): return 2 * n, ABOUT",
    "parts/__init__.py": "",
    "parts/readers.py": """
from pathlib import Path
def read(path): return int(path.read_text())
def where():
    from . import extra
    from .extra import EXTRA
    return extra.EXTRA is EXTRA, Path(__file__).with_name("note.txt").exists()
""",
    "parts/extra.py": "EXTRA = 'extra'",
    "data/numbers.txt": "21",
}
RESULT = [[42, "tools"], "etl.py", "extra", "tools", [True, False]]
LOAD = """
import json, sys, flowhold
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
if __name__ == "__main__":
    flow = flowhold.load(sys.argv[1])
    run = flow.run()
    assert run.error is None, run.error
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert flow.run(executor=pool).result == run.result
    assert not {"later", "tools", "parts"} & sys.modules.keys()
    print(json.dumps(run.result))
"""


@pytest.mark.parametrize("by", ["python", "library"])
def test_a_pickle_with_files_runs_where_its_project_is_gone(tmp_path, by):
    project = tmp_path / "project"
    for name, text in FILES.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [sys.executable, str(project / "etl.py"), str(tmp_path / "flows")]
    if by == "library":
        code = "import flowhold, sys; from flowhold.storage import Local\n"
        code += "flow = flowhold.load(sys.argv[1])\nstorage = Local(sys.argv[2], "
        code += "include=['*.py', 'data/'], local_script_path=sys.argv[1])\n"
        code += "print(flowhold.register(flow, storage=storage).to_json())"
        command[1:2] = ["-c", code, str(project / "etl.py")]
    (tmp_path / "ref.json").write_bytes(subprocess.check_output(command, cwd="/"))
    project.rename(tmp_path / "moved")
    for name in FILES:
        (tmp_path / "moved" / name).unlink()
    (tmp_path / "load.py").write_text(LOAD)
    command = [sys.executable, "load.py", "ref.json"]
    command[2] = str(tmp_path / "ref.json")
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == RESULT


def test_modules_below_the_script_travel_by_value_and_installed_ones_by_name(tmp_path):
    (tmp_path / "own.py").write_text("def help(): return 'own'")
    script = tmp_path / "etl.py"
    script.write_text(
        "import own, json, flowhold\nfrom flowhold.registering import register\n"
        "@flowhold.flow\ndef etl(): return own.help(), json.dumps([1])\n"
        "if __name__ == '__main__': register(etl)"
    )
    subprocess.check_call([sys.executable, str(script)], cwd="/")
    (tmp_path / "own.py").unlink()
    script.unlink()
    assert flowhold.load("etl").run().result == ("own", "[1]")


def test_modules_can_be_named_to_travel_by_value(tmp_path, monkeypatch):
    (tmp_path / "given_xyz").mkdir()
    (tmp_path / "given_xyz" / "__init__.py").write_text("from given_xyz.deep import helper")
    (tmp_path / "given_xyz" / "deep.py").write_text("def helper(): return 'given'")
    monkeypatch.syspath_prepend(str(tmp_path))
    import given_xyz

    flow = flowhold.flow(given_xyz.helper, name="etl")
    references = [
        flow.register(storage=Local(tmp_path / "flows", pickle_modules=modules))
        for modules in ([given_xyz], ["given_xyz"])
    ]
    assert references[0] == references[1]
    assert cloudpickle.list_registry_pickle_by_value() == set()
    code = "import flowhold; print(flowhold.load('etl').run().result)"
    env = os.environ | {"PYTHONPATH": ""}
    assert subprocess.check_output([sys.executable, "-c", code], env=env, text=True) == "given\n"


def test_a_module_to_carry_that_does_not_exist_is_named():
    with pytest.raises(ConfigurationError, match="pickle_modules names 'nowhere_xyz'"):
        pickling.dump(flowhold.Flow("etl"), ["nowhere_xyz"])


class Forgetting:
    """Has its pickle end what was begun for it, and fails."""

    def __reduce__(self):
        cloudpickle.unregister_pickle_by_value(json)
        raise RuntimeError("canary")


def test_after_a_failure_another_thread_can_pickle():
    for flow, modules in (
        (flowhold.Flow("etl"), ["nowhere_xyz"]),
        (threading.Lock(), ()),
        (Forgetting(), [json]),
    ):
        with pytest.raises(FlowholdError):
            pickling.dump(flow, modules)
    other = threading.Thread(target=pickling.dump, args=[flowhold.Flow("etl")], daemon=True)
    other.start()
    other.join(timeout=30)
    assert not other.is_alive()


def test_a_module_that_was_registered_by_the_user_stays_registered():
    cloudpickle.register_pickle_by_value(json)
    try:
        with pickling.carrying(None, [json]):
            pass
        assert "json" in cloudpickle.list_registry_pickle_by_value()
    finally:
        cloudpickle.unregister_pickle_by_value(json)


def test_the_modules_that_a_pickle_needs_are_told():
    flow = flowhold.Flow("etl")
    flow.codec = json.dumps
    flow.error = ConfigurationError
    _, names = pickling.dump(flow)
    assert {"json", "flowhold"} <= names
    assert "__main__" not in names


def test_a_large_buffer_and_a_flows_attributes_survive():
    flow = flowhold.Flow("etl", storage=Local())
    flow.large = bytes(range(256)) * 10_000
    parts, _ = pickling.dump(flow)
    loaded = pickle.loads(b"".join(parts))
    assert (loaded.large, loaded.name, loaded.storage) == (flow.large, "etl", None)
    assert sum(map(len, parts)) < len(flow.large) * 1.01


def test_a_stored_pickle_is_an_ordinary_one():
    parts, _ = pickling.dump(flowhold.Flow("etl"))
    assert pickle.load(io.BytesIO(b"".join(parts))).name == "etl"


def test_code_keeps_the_name_of_the_file_that_errors_show():
    def raises():
        return [lambda: 1 / 0]

    parts, _ = pickling.dump(raises)
    loaded = pickle.loads(b"".join(parts))
    assert loaded.__code__.co_filename == __file__
    assert loaded()[0].__code__.co_filename == __file__


class Proxy:
    """Stands for another object, as those of libraries do."""

    def __init__(self, wrapped):
        self.__dict__["wrapped"] = wrapped

    @property
    def __class__(self):
        return type(self.wrapped)

    def __getattr__(self, name):
        return getattr(self.__dict__["wrapped"], name)


def test_what_one_proxy_stands_for_says_nothing_of_the_next():
    def double(number):
        return number * 2

    kept = pickle.loads(pickling.dumps([Proxy(double)]))
    assert kept[0](4) == 8
    pickler = pickling.Pickler(io.BytesIO())
    assert pickler.reducer_override(Proxy(io.BytesIO())) is NotImplemented
    assert pickler.reducer_override(Proxy(double)) is not NotImplemented
