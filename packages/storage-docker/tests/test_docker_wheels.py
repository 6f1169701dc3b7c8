"""The Flowhold that runs here arrives in an image as a wheel that pip takes."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import flowhold
import flowhold_storage_docker
from flowhold.errors import ConfigurationError
from flowhold_storage_docker.wheels import wheel_of

OURS = ["flowhold", "flowhold-storage-docker"]
METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: {}\n"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def _fresh():
    wheel_of.cache_clear()
    yield
    wheel_of.cache_clear()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a function that installs a distribution, in place or by a copy."""

    def install(name="odd-dist", version="1.5", in_place=False, points="", **files):
        package = name.replace("-", "_")
        site, source = tmp_path / "site", tmp_path / "source"
        home = source if in_place else site
        for path, text in {"__init__.py": "value = 1\n", **files}.items():
            place = home / package / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        about = site / f"{package}-{version}.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(METADATA.format(name, version))
        if points:
            (about / "entry_points.txt").write_text(points)
        monkeypatch.syspath_prepend(str(site))
        if in_place:
            # As the .pth file of such an installation does.
            monkeypatch.syspath_prepend(str(source))
        return home / package

    yield install
    for name in [name for name in sys.modules if name.startswith("odd_dist")]:
        del sys.modules[name]


def opened(distribution):
    _, data = wheel_of(distribution)
    return zipfile.ZipFile(io.BytesIO(data))


@pytest.mark.parametrize("distribution", OURS)
def test_pip_installs_it_and_it_is_what_runs_here(distribution, tmp_path):
    name, data = wheel_of(distribution)
    path = tmp_path / name
    path.write_bytes(data)
    target = tmp_path / "target"
    run(*PIP, "--no-deps", "--no-index", "--no-compile", "--target", target, path)
    package = distribution.replace("-", "_")
    here = {"flowhold": flowhold, "flowhold_storage_docker": flowhold_storage_docker}[package]
    root = Path(here.__file__).parent
    expected = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    found = {
        path.relative_to(target / package).as_posix(): path.read_bytes()
        for path in (target / package).rglob("*")
        if path.is_file()
    }
    assert found == expected


def test_what_is_installed_of_both_imports_and_finds_its_entry_points(tmp_path):
    for distribution in OURS:
        name, data = wheel_of(distribution)
        (tmp_path / name).write_bytes(data)
    target = tmp_path / "target"
    wheels = tmp_path.glob("*.whl")
    run(*PIP, "--no-deps", "--no-index", "--target", target, *wheels)
    code = (
        "import json, sys\n"
        "import importlib.metadata as metadata\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import flowhold, flowhold_storage_docker\n"
        "from flowhold import plugins\n"
        "found = metadata.distribution('flowhold-storage-docker')\n"
        "print(json.dumps([flowhold.__file__, flowhold_storage_docker.__file__,"
        " flowhold.__version__,"
        " str(found.locate_file('')), [it.group for it in found.entry_points],"
        " plugins.storage_class('docker').__module__]))"
    )
    places = json.loads(run(sys.executable, "-c", code, target))
    assert all(place.startswith(str(target)) for place in (places[0], places[1], places[3]))
    assert places[2] == flowhold.__version__
    assert places[4:] == [["flowhold.storage.v1"], "flowhold_storage_docker.storage"]


@pytest.mark.parametrize("distribution", OURS)
def test_its_record_is_right(distribution):
    with opened(distribution) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        [record] = [name for name in names if name.endswith(".dist-info/RECORD")]
        rows = list(csv.reader(archive.read(record).decode().splitlines()))
        assert [row[0] for row in rows if not row[1]] == [record]
        assert sorted(row[0] for row in rows) == sorted(names)
        assert len(set(names)) == len(names)
        for name, digest, size in rows:
            data = archive.read(name)
            if name != record:
                sha256 = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
                assert (digest, size) == (f"sha256={sha256.rstrip('=')}", str(len(data)))


def test_its_name_is_of_what_its_metadata_say():
    for distribution in OURS:
        name, _ = wheel_of(distribution)
        with opened(distribution) as archive:
            [path] = [it for it in archive.namelist() if it.endswith("METADATA")]
            fields = message_from_bytes(archive.read(path))
        assert fields["Name"] == distribution
        assert name == f"{distribution.replace('-', '_')}-{fields['Version']}-py3-none-any.whl"


def test_the_same_files_give_the_same_bytes(installed):
    root = installed(**{"b.py": "", "a/__init__.py": "", "a/data.csv": "1"})
    first = wheel_of("odd-dist")
    for path in [*root.rglob("*")]:
        if path.is_file():
            text = path.read_text()
            path.unlink()
            path.write_text(text)
            path.chmod(0o600)
    (root / "__pycache__").mkdir()
    (root / "__pycache__" / "b.cpython-311.pyc").write_bytes(b"")
    wheel_of.cache_clear()
    assert wheel_of("odd-dist") == first
    (root / "b.py").write_text("changed = 1\n")
    wheel_of.cache_clear()
    assert wheel_of("odd-dist") != first
    assert wheel_of("odd-dist") is wheel_of("odd-dist")


@pytest.mark.parametrize("in_place", [False, True])
def test_an_installation_of_either_kind_is_packed(installed, in_place, tmp_path):
    points = "[flowhold.storage.v1]\nodd = odd_dist.plugin\n"
    files = {"deep/data, with comma.txt": "x", "plugin.py": "", "\u540d.txt": "y"}
    installed(in_place=in_place, points=points, **files)
    name, data = wheel_of("odd-dist")
    assert name == "odd_dist-1.5-py3-none-any.whl"
    (tmp_path / name).write_bytes(data)
    target = tmp_path / "target"
    run(*PIP, "--no-deps", "--no-index", "--target", target, tmp_path / name)
    found = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert {f"odd_dist/{path}" for path in (*files, "__init__.py")} <= found
    assert (target / "odd_dist-1.5.dist-info/entry_points.txt").read_text() == points


def test_a_development_version_is_the_one_that_runs(installed):
    installed(version="2.0.dev3+g1a2b3c.dirty", in_place=True)
    name, _ = wheel_of("odd-dist")
    assert name == "odd_dist-2.0.dev3+g1a2b3c.dirty-py3-none-any.whl"


def test_what_is_not_installed_is_an_error_that_says_so(tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match="no-such-thing is not installed here") as caught:
        wheel_of("no-such-thing")
    assert "flowhold_version=" in caught.value.hint
    # On the path, but not installed.
    (tmp_path / "bare_package").mkdir()
    (tmp_path / "bare_package" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigurationError, match="bare-package is not installed here"):
        wheel_of("bare-package")


def test_an_archive_of_python_is_an_error_and_no_empty_wheel(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("zipped_dist/__init__.py", "")
        archive.writestr("zipped_dist-1.dist-info/METADATA", METADATA.format("zipped-dist", "1"))
    monkeypatch.syspath_prepend(str(tmp_path / "packed.zip"))
    with pytest.raises(ConfigurationError, match="zipped-dist is not installed here"):
        wheel_of("zipped-dist")
