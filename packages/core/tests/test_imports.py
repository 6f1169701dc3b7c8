from __future__ import annotations

import hashlib
import importlib
import shutil
import sys

import pytest

import flowhold
from flowhold.errors import IntegrityError, SerializationError
from flowhold.storage import Local
from flowhold.trees import open_folder, open_tree


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def tree(root, script="etl.py"):
    """The tree of an unpacked flow, with every file of the folder in its manifest."""
    files = {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }
    return open_tree(hashlib.sha256(str(root).encode()).hexdigest(), root, script, files)


PACKAGE = {
    "etl.py": "VALUE = None",
    "pkg/__init__.py": "from . import inner\nfrom .inner.deep import DEEP\nTOP = 'top'",
    "pkg/inner/__init__.py": "",
    "pkg/inner/deep.py": "from .. import side\nfrom ..side import SIDE\nDEEP = 'deep ' + SIDE",
    "pkg/side.py": "SIDE = 'side'",
    "names/part.py": "PART = 'part'",
    "solo.py": "SOLO = 'solo'",
}


@pytest.mark.parametrize(
    ("statement", "expression", "value"),
    [
        ("import solo", "solo.SOLO", "solo"),
        ("import solo as s", "s.SOLO", "solo"),
        ("from solo import *", "SOLO", "solo"),
        ("import pkg.inner.deep", "pkg.inner.deep.DEEP", "deep side"),
        ("import pkg.inner.deep as d", "d.DEEP", "deep side"),
        ("from pkg.inner import deep", "deep.DEEP", "deep side"),
        ("from pkg import DEEP, TOP as t", "DEEP + t", "deep sidetop"),
        ("import names.part", "names.part.PART", "part"),
        ("from names import part", "part.PART", "part"),
        ("from . import solo", "solo.SOLO", "solo"),
        ("from .pkg.side import SIDE", "SIDE", "side"),
        ("x = __import__('solo')", "x.SOLO", "solo"),
    ],
)
def test_every_form_of_import_finds_siblings(tmp_path, statement, expression, value):
    root = write(tmp_path, PACKAGE | {"etl.py": f"{statement}\nVALUE = {expression}"})
    module = open_folder(root / "etl.py").load()
    assert value == module.VALUE
    assert not {"solo", "pkg", "names"} & sys.modules.keys()
    late = statement.replace("import *", "import SOLO")
    root = write(tmp_path, {"etl.py": f"def get():\n    {late}\n    return {expression}"})
    assert open_folder(root / "etl.py").load().get() == value


def test_a_sibling_named_like_a_standard_module_wins_for_the_script_and_nobody_else(tmp_path):
    root = write(
        tmp_path,
        {
            "etl.py": "import statistics, colorsys\nVALUE = statistics.OWN, colorsys.__file__",
            "statistics.py": "OWN = 'mine'",
        },
    )
    mine, other = open_folder(root / "etl.py").load().VALUE
    assert mine == "mine"
    assert str(tmp_path) not in other
    assert not hasattr(importlib.import_module("statistics"), "OWN")


def test_modules_compiled_into_python_come_before_siblings(tmp_path):
    root = write(tmp_path, {"etl.py": "import sys, time", "sys.py": "1/0", "time.py": "1/0"})
    module = open_folder(root / "etl.py").load()
    assert (module.sys is sys) == ("sys" in sys.builtin_module_names)


def test_an_installed_package_comes_before_a_folder_of_its_name(tmp_path):
    write(tmp_path, {"etl.py": "import hypothesis", "hypothesis/data.csv": "1"})
    assert hasattr(open_folder(tmp_path / "etl.py").load().hypothesis, "given")


def test_a_script_in_a_subfolder_finds_its_folder_first_and_then_the_root(tmp_path):
    root = write(
        tmp_path,
        {
            "flows/etl.py": "import near, far, both\nVALUE = near.N, far.F, both.B",
            "flows/near.py": "N = 'near'",
            "far.py": "F = 'far'",
            "both.py": "B = 'root'",
            "flows/both.py": "B = 'folder'",
            "colorsys.py": "OWN = 1",
        },
    )
    assert tree(root, "flows/etl.py").load().VALUE == ("near", "far", "folder")
    # A standard module is replaced only by what lies beside the script.
    text = {"flows/etl.py": "import colorsys\nVALUE = hasattr(colorsys, 'OWN')"}
    write(tmp_path / "b", text | {"colorsys.py": "OWN = 1"})
    assert tree(tmp_path / "b", "flows/etl.py").load().VALUE is False


@pytest.mark.parametrize("folder", ["my.flows", "my-flows", "50%", "%2E", "a b", "ünï"])
def test_folders_and_scripts_of_any_name_work(tmp_path, folder):
    root = write(
        tmp_path,
        {
            f"{folder}/daily.etl-1.py": "from .helper import H\nimport helper\n"
            "VALUE = H is helper.H",
            f"{folder}/helper.py": "H = object()",
        },
    )
    assert tree(root, f"{folder}/daily.etl-1.py").load().VALUE is True
    assert open_folder(root / folder / "daily.etl-1.py").load().VALUE is True


def test_siblings_import_each_other_and_the_script(tmp_path):
    root = write(
        tmp_path,
        {
            "etl.py": "LIMIT = 3\nimport one\nVALUE = one.get()",
            "one.py": "import two\ndef get():\n    import etl\n    return two.one, etl.LIMIT",
            "two.py": "import one",
        },
    )
    module = open_folder(root / "etl.py").load()
    assert (module.one, 3) == module.VALUE


def test_a_script_stored_alone_can_be_named_like_a_module_that_it_imports(tmp_path):
    root = write(tmp_path, {"colorsys.py": "import colorsys\nVALUE = colorsys.rgb_to_hsv"})
    assert callable(tree(root, "colorsys.py").load().VALUE)


def test_a_missing_module_is_an_ordinary_import_error(tmp_path):
    write(tmp_path, {"etl.py": "try:\n    import nowhere_xyz\nexcept ImportError as e:\n    E = e"})
    error = open_folder(tmp_path / "etl.py").load().E
    assert isinstance(error, ModuleNotFoundError)
    assert error.name == "nowhere_xyz"


def test_code_without_a_source_in_the_manifest_is_not_run(tmp_path):
    import py_compile

    root = write(tmp_path, {"etl.py": "from pkg import extra", "pkg/__init__.py": ""})
    opened = tree(root)
    source = write(tmp_path / "elsewhere", {"extra.py": "raise SystemExit('ran')"}) / "extra.py"
    py_compile.compile(str(source), cfile=str(root / "pkg" / "extra.pyc"))
    with pytest.raises(IntegrityError, match=r"pkg/extra\.pyc"):
        opened.load()


def test_stale_byte_code_beside_a_module_is_never_used(tmp_path):
    import py_compile

    root = write(tmp_path, {"etl.py": "import helper\nV = helper.V", "helper.py": "V = 'old'"})
    py_compile.compile(
        str(root / "helper.py"),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    write(root, {"helper.py": "V = 'new'"})
    assert open_folder(root / "etl.py").load().V == "new"


def test_ordinary_imports_keep_their_builtins(tmp_path):
    import builtins

    write(tmp_path, {"etl.py": "import colorsys\nB = __builtins__", "print.py": ""})
    module = open_folder(tmp_path / "etl.py").load()
    assert module.B["__import__"] is not builtins.__import__
    assert vars(module.colorsys)["__builtins__"]["__import__"] is builtins.__import__


def test_a_compiled_module_beside_the_script_is_found_but_refused_in_a_pickle(tmp_path):
    # One of Python's own that is a file stands in for one that a user compiled.
    import _bisect

    shutil.copy(_bisect.__file__, tmp_path)
    (tmp_path / "compiled.py").write_text(
        "import flowhold, _bisect\n"
        "insert = _bisect.insort_right\n"
        "@flowhold.flow\n"
        "def compiled():\n"
        "    insert([], 1)\n"
        "    return _bisect.__name__\n"
    )
    flow = flowhold.load(str(tmp_path / "compiled.py"))
    assert flow.run().result.startswith("flowhold_tree_")
    with pytest.raises(SerializationError, match="the compiled module _bisect"):
        flowhold.register(flow, storage=Local())
