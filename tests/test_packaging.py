from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


def project(package):
    return tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def import_name(package):
    return project(package)["name"].replace("-", "_")


@pytest.fixture(params=PACKAGES, ids=lambda package: package.name)
def built(request, process, tmp_path):
    process(sys.executable, "-m", "uv", "build", "--quiet", "--out-dir", tmp_path, request.param)
    return request.param, next(tmp_path.glob("*.whl")), next(tmp_path.glob("*.tar.gz"))


@each_package
def test_every_package_carries_the_same_licence(package):
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert project(package)["license"] == "Apache-2.0"


@each_package
def test_the_version_is_the_same_in_pyproject_source_installation_and_changelog(package):
    version = project(package)["version"]
    source = (package / "src" / import_name(package) / "__init__.py").read_text(encoding="utf-8")
    assert re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE) == [version]
    assert importlib.metadata.version(project(package)["name"]) == version
    changelog = (package / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[(.+?)\]", changelog, re.MULTILINE).group(1) == version


@each_package
def test_every_package_supports_the_same_pythons(package):
    core = project(ROOT / "packages/core")
    assert project(package)["requires-python"] == core["requires-python"]
    pythons = [line for line in core["classifiers"] if "Python :: 3." in line]
    assert [line for line in project(package)["classifiers"] if "Python :: 3." in line] == pythons


def files(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not {"__pycache__", ".mypy_cache"} & set(path.parts)
    }


def test_wheels_hold_the_sources_the_licence_and_the_type_marker_and_sdists_the_tests_too(built):
    package, wheel, sdist = built
    sources, tests = files(package / "src"), files(package / "tests")
    assert f"{import_name(package)}/py.typed" in sources
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert sources <= names
    beyond = {name for name in names - sources if ".dist-info/" not in name}
    assert beyond == set()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/{name}" for name in sources} | {"LICENSE", "README.md", "CHANGELOG.md"} <= names
    assert any(name.rpartition("/")[2].startswith("test_") for name in tests)
    assert {f"tests/{name}" for name in tests} <= names


def test_the_readme_names_the_storages_that_exist_and_no_others():
    there, planned = set(), set()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for names, state in re.findall(r"^\| (.*?`.*?) \|.*\| (.*?) \|$", readme, re.MULTILINE):
        if state in ("here", "planned"):
            (there if state == "here" else planned).update(re.findall(r"`(\w+)`", names))
    installed = {
        name
        for package in PACKAGES
        for name in project(package).get("entry-points", {}).get("flowhold.storage.v1", {})
    }
    assert there == installed
    from flowhold import plugins

    assert planned == set(plugins.KNOWN) - installed


def test_the_command_tells_the_version_of_the_core(process):
    version = project(ROOT / "packages/core")["version"]
    assert process("flowhold", "--version").split()[-1] == version


SDKS = {
    "storage-s3": {"boto3"},
    "storage-gcs": {"google-cloud-storage"},
    "storage-azure": {"azure-storage-blob"},
    "storage-docker": {"docker"},
    "storage-git": {"dulwich", "requests", "urllib3"},
    "storage-webhook": {"requests", "urllib3"},
}
# What the SDKs of others need too.
SHARED = {"requests", "urllib3"}
STORAGES = [package for package in PACKAGES if package.name != "core"]


def names(package):
    return set(project(package)["entry-points"]["flowhold.storage.v1"])


@pytest.mark.parametrize("package", STORAGES, ids=lambda package: package.name)
def test_a_storage_brings_its_sdk_and_no_other(package, process, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    process(sys.executable, "-m", "uv", "venv", "--quiet", tmp_path / "venv")
    pip = (sys.executable, "-m", "uv", "pip", "--quiet")
    process(*pip, "install", "--python", python, ROOT / "packages" / "core", package)
    listed = json.loads(process(*pip, "list", "--python", python, "--format", "json"))
    installed = {entry["name"] for entry in listed}
    assert SDKS[package.name] <= installed
    assert (installed & set().union(*SDKS.values())) - SHARED == SDKS[package.name] - SHARED

    rows = json.loads(process(python.with_name("flowhold"), "plugins", "--check", "--json"))
    status = {row["name"]: row["status"] for row in rows}
    assert {name for name, state in status.items() if state == "installed"} == names(package)
    others = {name for other in STORAGES if other != package for name in names(other)}
    for row in rows:
        if row["name"] in others:
            assert row["status"] == "available"
            assert row["hint"] == f'pip install "flowhold[{row["name"]}]"'
    assert others <= status.keys()


def test_every_storage_package_says_here_which_sdk_it_brings():
    assert {package.name for package in STORAGES} == {*SDKS}
    for package in STORAGES:
        needs = {need.partition(">=")[0] for need in project(package)["dependencies"]}
        assert needs == {"flowhold"} | SDKS[package.name]
