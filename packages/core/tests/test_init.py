"""What ``import flowhold`` gives, and what it does not bring along."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from importlib.metadata import version

import pytest

import flowhold

MODULES = [info.name for info in pkgutil.walk_packages(flowhold.__path__, "flowhold.")]


def python(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_all_names_what_there_is_sorted_and_nothing_private():
    assert flowhold.__all__ == sorted(flowhold.__all__)
    assert set(flowhold.__all__) == {*flowhold._HOMES, "__version__"}
    for name in flowhold.__all__:
        assert getattr(flowhold, name) is not None
        assert name in dir(flowhold)


@pytest.mark.parametrize("name", sorted(flowhold._HOMES))
def test_an_export_is_the_object_that_its_module_has(name):
    home = importlib.import_module(flowhold._HOMES[name])
    assert getattr(flowhold, name) is getattr(home, name)
    assert name in home.__all__


def test_star_import_works():
    assert python("from flowhold import *; print(Flow.__name__, callable(load))") == "Flow True\n"


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(flowhold, "no_such_thing")
    with pytest.raises(ImportError, match="no_such_thing"):
        from flowhold import no_such_thing  # noqa: F401


def test_no_submodule_is_named_like_something_public():
    submodules = {info.name for info in pkgutil.iter_modules(flowhold.__path__)}
    assert submodules.isdisjoint(flowhold.__all__)


def test_every_name_stays_a_callable_when_all_modules_are_imported():
    modules = [name for name in MODULES if "__main__" not in name]
    code = f"""
import importlib, flowhold
for module in {modules!r}: importlib.import_module(module)
print([n for n in flowhold.__all__ if n != "__version__" and not callable(getattr(flowhold, n))])
"""
    assert python(code) == "[]\n"


@pytest.mark.parametrize(
    "name", [name for name in MODULES if "._" not in name and ".cli" not in name]
)
def test_all_of_every_public_module_is_there(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert [each for each in module.__all__ if not hasattr(module, each)] == []


def test_importing_brings_nothing_heavy_along():
    heavy = ["click", "rich", "cloudpickle", "pluggy", "importlib.metadata", "importlib_metadata"]
    heavy += ["tomllib", "tempfile", "concurrent.futures", "flowhold.flows", "flowhold.storage"]
    code = f"import sys, flowhold; print([name for name in {heavy} if name in sys.modules])"
    assert python(code) == "[]\n"


def test_the_version_is_the_distributions():
    assert flowhold.__version__ == version("flowhold")
