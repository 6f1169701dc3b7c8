"""The Dockerfile of every option, and of options together, is the one that is kept in `golden`.

``FLOWHOLD_RENEW_GOLDEN=1`` writes them anew: read what changed before it is committed.
"""

from __future__ import annotations

import difflib
import os
import sys
from email.message import Message
from pathlib import Path

import pytest

import flowhold
from flowhold import Flow, task
from flowhold.errors import ConfigurationError
from flowhold_storage_docker import Docker

# Old names of arguments are among the cases.
pytestmark = pytest.mark.filterwarnings("ignore:prefect_:DeprecationWarning")

GOLDEN = Path(__file__).parent / "golden"
RENEW = os.environ.get("FLOWHOLD_RENEW_GOLDEN")
PYTHON = "{}.{}".format(*sys.version_info[:2])

NAMED = "# syntax=docker/dockerfile:1\nFROM debian:12 AS build\nRUN make\n\nFROM python:3-slim\n"
BACKTICK = 'FROM python:3-slim\nRUN echo a `\n  # of a line that goes on\n  b\nENV A="c:\\"\n'
OWN = {
    "Dockerfile": NAMED,
    "without_end": "FROM python:3-slim\nRUN true",
    "crlf": NAMED.replace("\n", "\r\n"),
    "onbuild": 'FROM python:3-slim\nONBUILD RUN ["true"]\n',
    "backtick": f"# escape=`\n{BACKTICK}",
    "no_directive": f"# A comment.\n# escape=`\n{BACKTICK.replace('`', chr(92))}",
    "unknown_directive": f"# odd=x\n# escape=`\n{BACKTICK.replace('`', chr(92))}",
    "bom": f"\ufeff# escape=`\n{BACKTICK}",
}
VARIABLES = {
    "PLAIN": "value",
    "EMPTY": "",
    "PYTHONPATH": "$PYTHONPATH:modules/",
    "BRACES": "${HOME}/x",
    "DOLLARS": "5$ $$HOME $(date) ${A:-b}",
    "QUOTED": 'it\'s a "quote" \\ `tick`',
    "UNICODE": "\u540d\u524d \U0001f600",
    "SPACES": "  a  # b  ",
}
REQUIREMENTS = [
    "pandas[parquet,s3]<3,>=2",
    'tomli>=2; python_version < "3.11"',
    "own @ https://example.com/own-1.0-py3-none-any.whl",
    "it's<<odd",
]
PLAIN = {"base_image": "python:3-slim"}


@task
def one():
    return 1


def make_flow(name="etl", result=None):
    with Flow(name, result=result) as flow:
        one()
    return flow


def files(folder):
    """Return sources with their places: files and folders, two of the same name among them."""
    for name in ("a/data.csv", "b/data.csv", "tree/deep/x.txt"):
        path = folder / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    sources = folder / "sources"
    return {
        str(sources / "a/data.csv"): "/data/one.csv",
        str(sources / "b/data.csv"): "/data/",
        str(sources / "tree"): "/tree",
        f"{sources}/tree/deep/": "relative/folder",
        str(sources / "tree/deep/x.txt"): "x.txt",
        str(sources / "a"): '/with space/$HOME/"quoted"/',
    }


def script(folder):
    path = folder / "flow_script.py"
    path.write_text("from flowhold import Flow\nwith Flow('etl') as flow:\n    pass\n")
    return str(path)


def dockerfile(name):
    def options(folder):
        path = folder / f"{name}.own"
        path.write_bytes(OWN[name].encode())
        return {"dockerfile": str(path)}

    return options


def everything(folder):
    return {
        **dockerfile("backtick")(folder),
        "python_dependencies": REQUIREMENTS,
        "env_vars": VARIABLES,
        "files": files(folder),
        "flowhold_directory": "/srv/flow hold",
        "extra_dockerfile_commands": ["RUN echo a `\n  b", "USER app"],
        "flowhold_version": "1.2.3",
        "path": "/app/my flow.bin",
        "result": flowhold.LocalResult(dir="/results"),
    }


CASES = {
    "base_image": lambda _: PLAIN,
    "default_base": lambda _: {},
    "base_of_registry": lambda _: {"base_image": f"host:5000/a/b:tag@sha256:{'0' * 64}"},
    **{f"dockerfile_{name.lower()}": dockerfile(name) for name in OWN},
    "python_dependencies": lambda _: {**PLAIN, "python_dependencies": REQUIREMENTS},
    "env_vars": lambda _: {**PLAIN, "env_vars": VARIABLES},
    "env_vars_backtick": lambda it: {**dockerfile("backtick")(it), "env_vars": VARIABLES},
    "files": lambda it: {**PLAIN, "files": files(it)},
    "version_release": lambda _: {**PLAIN, "flowhold_version": "1.2.3"},
    "version_prerelease": lambda _: {**PLAIN, "prefect_version": "1.2rc1"},
    "version_requirement": lambda _: {
        **PLAIN,
        "flowhold_version": "flowhold @ git+https://example.com/flowhold@main#subdirectory=x",
    },
    "flowhold_directory": lambda _: {**PLAIN, "flowhold_directory": "/srv//it's $HOME/"},
    "prefect_directory": lambda _: {**PLAIN, "prefect_directory": "/srv/old"},
    "path": lambda _: {**PLAIN, "path": "/app/flows/etl.bin"},
    "path_in_the_folder_of_flows": lambda _: {**PLAIN, "path": "/opt/flowhold/flows/etl.bin"},
    "stored_as_script": lambda it: {
        **PLAIN,
        "stored_as_script": True,
        "local_script_path": script(it),
    },
    "stored_as_script_path": lambda it: {
        **PLAIN,
        "stored_as_script": True,
        "local_script_path": script(it),
        "path": "/app/etl.py",
    },
    "script_in_the_image": lambda _: {**PLAIN, "stored_as_script": True, "path": "/app/etl.py"},
    "module_in_the_image": lambda _: {**PLAIN, "stored_as_script": True, "path": "pkg.mod:flow"},
    "include": lambda it: {
        **PLAIN,
        "stored_as_script": True,
        "local_script_path": script(it),
        "include": ["*.py"],
    },
    "extra_dockerfile_commands": lambda _: {
        **PLAIN,
        "extra_dockerfile_commands": ['RUN ["true"]', "RUN echo a \\\n  b", "USER app"],
    },
    "ignore_healthchecks": lambda _: {**PLAIN, "ignore_healthchecks": True},
    "image_name_and_registry": lambda _: {
        **PLAIN,
        "image_name": "team/etl",
        "image_tag": "v1",
        "registry_url": "https://registry.example.com:5000/x/",
    },
    "result_of_a_plugin": lambda _: {**PLAIN, "result": flowhold.Result("s3://bucket/results")},
    "everything": everything,
}
FLOWS = {
    "several_flows": ["extract", "transform", "load"],
    "flows_of_like_names": ["A B", "a-b", "A_B", "!!!", "???", "\u540d\u524d", 'x\n"y" $z'],
}


def rendered(folder, options, flows=("etl",)):
    storage = Docker(**options)
    for name in flows:
        storage.add_flow(make_flow(name))
    path = Path(storage.create_dockerfile_object(folder / "context"))
    assert path == folder / "context" / "Dockerfile"
    return path.read_bytes().decode()


def neutral(text):
    """Return the text with placeholders for what is of this Python and this Flowhold."""
    text = text.replace(f"FROM python:{PYTHON}-slim\n", "FROM python:{python}-slim\n", 1)
    text = text.replace(f'flows", "{PYTHON}"]', 'flows", "{python}"]')
    text = text.replace(f"-{flowhold.__version__}-py3-none-any.whl", "-{version}-py3-none-any.whl")
    # Git would change it.
    text = text.replace("\r", "{cr}")
    return text.replace(f'version="{flowhold.__version__}"', 'version="{version}"')


def compare(name, text):
    path = GOLDEN / f"{name}.Dockerfile"
    if RENEW:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
    wanted = path.read_bytes().decode()
    difference = difflib.unified_diff(
        wanted.splitlines(True), text.splitlines(True), path.name, "rendered"
    )
    if text != wanted:
        pytest.fail(f"another Dockerfile:\n{''.join(difference)}", pytrace=False)


@pytest.mark.parametrize("name", CASES)
def test_options_are_rendered_as_ever(name, tmp_path):
    compare(name, neutral(rendered(tmp_path, CASES[name](tmp_path))))


@pytest.mark.parametrize("name", FLOWS)
def test_flows_are_rendered_as_ever(name, tmp_path):
    compare(name, neutral(rendered(tmp_path, PLAIN, FLOWS[name])))


def test_no_golden_file_is_of_a_case_that_is_gone():
    assert {path.name for path in GOLDEN.iterdir()} == {
        f"{name}.Dockerfile" for name in (*CASES, *FLOWS)
    }


def test_each_flow_has_a_file_of_its_own(tmp_path):
    names = [*FLOWS["flows_of_like_names"], "etl"]
    # Names that are the files of others.
    rendered(tmp_path, PLAIN, names)
    stems = {path.stem for path in (tmp_path / "context/.flowhold-image/flows").iterdir()}
    assert len(stems) == len(names)
    more = [*names, *sorted(stems - {"a-b", "etl"})]
    (tmp_path / "more").mkdir()
    rendered(tmp_path / "more", PLAIN, more)
    found = [path.name for path in (tmp_path / "more/context/.flowhold-image/flows").iterdir()]
    assert len(found) == 2 * len(more)
    assert len({name.lower() for name in found}) == len(found)


def test_the_plugin_of_a_result_is_in_the_image(tmp_path):
    for name, result in {"none": None, "plugin": flowhold.Result("s3://bucket/x")}.items():
        (tmp_path / name).mkdir()
        rendered(tmp_path / name, {**PLAIN, "result": result})
        wheels = (tmp_path / name / "context/.flowhold-image/wheels").iterdir()
        found = {path.name.partition("-")[0] for path in wheels}
        assert found == {"flowhold", "flowhold_storage_docker"} | (
            {"flowhold_storage_s3"} if result else set()
        )


def test_the_folder_is_the_working_directory_if_it_is_empty():
    storage = Docker(**PLAIN)
    storage.add_flow(make_flow())
    assert storage.create_dockerfile_object() == str(Path("Dockerfile").absolute())
    with pytest.raises(ConfigurationError, match="not an empty folder"):
        storage.create_dockerfile_object()


def test_changing_one_flow_changes_one_file(tmp_path):
    def of(name, value):
        storage = Docker(**PLAIN)
        for flow in ("one", "two"):
            with Flow(flow) as made:
                task(lambda value=value if flow == "two" else 0: value, name="t")()
            storage.add_flow(made)
        storage.create_dockerfile_object(tmp_path / name)
        return {
            path.relative_to(tmp_path / name).as_posix(): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }

    first, second = of("first", 1), of("second", 2)
    assert first.keys() == second.keys()
    assert {path for path in first if first[path] != second[path]} == {
        ".flowhold-image/flows/two.flow",
        ".flowhold-image/flows/two.json",
    }


def test_the_longest_names_of_flows_do_not_hinder(tmp_path):
    text = rendered(tmp_path, PLAIN, ["x" * 70_000, "y" * 70_000])
    assert "image.title=" in text
    assert max(map(len, text.splitlines())) < 1_000


REVISIONS = {
    "main": "flowhold @ git+https://host.test/flowhold@main#subdirectory=packages/core",
    "v1.0": "flowhold @ git+https://host.test/flowhold@v1.0#subdirectory=packages/core",
    "fix/a-b": "flowhold @ git+https://host.test/flowhold@fix/a-b#subdirectory=packages/core",
    "flowhold-next": "flowhold @ git+https://host.test/flowhold@flowhold-next"
    "#subdirectory=packages/core",
    "1.0": "flowhold==1.0",
    "1.0.dev3+g1a2b": "flowhold==1.0.dev3+g1a2b",
    "flowhold": "flowhold",
    "flowhold[s3] >= 1": "flowhold[s3] >= 1",
}


@pytest.fixture
def repository(monkeypatch):
    """A Flowhold that knows its repository."""
    found = Message()
    found["Project-URL"] = "Source, https://host.test/flowhold"
    monkeypatch.setattr("importlib_metadata.metadata", lambda name: found)


@pytest.mark.parametrize("version", REVISIONS)
def test_versions_are_releases_or_revisions_or_what_pip_takes(version, tmp_path, repository):
    text = rendered(tmp_path, {**PLAIN, "flowhold_version": version})
    assert f'"--", "{REVISIONS[version]}"]\n' in text


@pytest.mark.parametrize("version", ["a b", "a;b", "main#egg=x", "-x", "..", "a..b", "a\nb", 1.0])
def test_versions_that_are_none_are_an_error(version, tmp_path, repository):
    with pytest.raises(ConfigurationError, match="flowhold_version"):
        rendered(tmp_path, {**PLAIN, "flowhold_version": version})


def test_a_revision_of_an_unknown_repository_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib_metadata.metadata", lambda name: Message())
    with pytest.raises(ConfigurationError, match="which repository has it"):
        rendered(tmp_path, {**PLAIN, "flowhold_version": "main"})
