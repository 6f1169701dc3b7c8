"""Names of images are those that registries and engines take, or there is an error."""

from __future__ import annotations

import re

import pytest

from flowhold import Flow
from flowhold.errors import ConfigurationError
from flowhold.storage.keys import timestamp
from flowhold_storage_docker import Docker
from flowhold_storage_docker.naming import (
    check_base,
    check_tag,
    file_of,
    repository_of,
    split_base,
)
from flowhold_storage_docker.options import (
    check_build_kwargs,
    check_directory,
    check_file,
    check_requirements,
)
from flowhold_storage_docker.origin import source_of

REGISTRIES = {
    None: "etl",
    "": "etl",
    "registry.example.com": "registry.example.com/etl",
    "registry.example.com/": "registry.example.com/etl",
    "registry.example.com:5000": "registry.example.com:5000/etl",
    "registry.example.com:5000/team/flows": "registry.example.com:5000/team/flows/etl",
    "https://registry.example.com/team/": "registry.example.com/team/etl",
    "http://localhost:5000": "localhost:5000/etl",
    "HTTPS://Registry.Example.com/team": "Registry.Example.com/team/etl",
    "localhost": "localhost/etl",
    "localhost:5000": "localhost:5000/etl",
    "127.0.0.1:5000": "127.0.0.1:5000/etl",
    "[::1]:5000": "[::1]:5000/etl",
    "[2001:db8::1]": "[2001:db8::1]/etl",
    "https://[2001:DB8::1]:443/x/": "[2001:DB8::1]:443/x/etl",
    "someone": "someone/etl",
    "docker.io/someone": "docker.io/someone/etl",
    "https://docker.io/someone": "docker.io/someone/etl",
    "ghcr.io/some-one/x__y": "ghcr.io/some-one/x__y/etl",
}


@pytest.mark.parametrize("registry", REGISTRIES)
def test_registries_and_names_make_a_repository(registry):
    assert repository_of(registry, "etl") == REGISTRIES[registry]
    assert repository_of(registry, "a/b.c-d_e") == REGISTRIES[registry][:-3] + "a/b.c-d_e"


@pytest.mark.parametrize(
    "registry",
    [
        "Someone",
        "host/Team",
        "ftp://host",
        "host name",
        "host//team",
        "host:port",
        "host:5000:5000",
        "[::1",
        "::1",
        "-host.com",
        "host.com?x=y",
        "host.com\n",
        "host/..",
        "../host",
        "$HOST",
        "a" * 300,
        5000,
        b"host",
    ],
)
def test_registries_that_cannot_be_are_an_error(registry):
    with pytest.raises(ConfigurationError):
        repository_of(registry, "etl")
    with pytest.raises(ConfigurationError):
        Docker(registry)


@pytest.mark.parametrize(
    "registry",
    [
        "someone:hunter2@host",
        "https://someone:hunter2@host/x",
        "someone:hun@ter2@host",
        "hunter2@h",
    ],
)
def test_a_login_is_refused_and_not_shown(registry):
    with pytest.raises(ConfigurationError, match="has a login in it") as caught:
        Docker(registry)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "name",
    [
        *("Etl", "etl:v1", "etl@sha256:0", "", "-etl", "etl-", "a..b", "a___b", "a//b", "/a", "a/"),
        *("a b", "a\n", "\u540d", "a" * 256, "f" * 64, 1, "..", "a/../b", "$A", "https://a/b"),
    ],
)
def test_names_that_cannot_be_are_an_error(name):
    with pytest.raises(ConfigurationError):
        repository_of(None, name)
    if name:
        with pytest.raises(ConfigurationError):
            Docker(image_name=name)


@pytest.mark.parametrize("tag", ["v1", "1.0", "_x", "A-b_c.d", "a" * 128])
def test_tags(tag):
    assert check_tag(tag) == tag


@pytest.mark.parametrize(
    "tag", ["", ".a", "-a", "a" * 129, "a b", "a\n", "a:b", "a/b", "\u540d", 1, "sha256:0"]
)
def test_tags_that_cannot_be_are_an_error(tag):
    with pytest.raises(ConfigurationError, match="cannot be the tag of an image"):
        check_tag(tag)
    with pytest.raises(ConfigurationError):
        Docker(image_tag=tag)


def test_a_new_tag_is_of_its_time():
    first, second = timestamp(), timestamp()
    assert check_tag(first) == first
    assert first < second
    assert re.fullmatch(r"\d{4}-\d\d-\d\dt\d\d-\d\d-\d\d-\d{6}-00-00", first)


DIGEST = f"sha256:{'0a' * 32}"
BASES = {
    "python": ("python", "latest"),
    "python:3.11-slim": ("python", "3.11-slim"),
    "a/b/c:x": ("a/b/c", "x"),
    "host:5000/a": ("host:5000/a", "latest"),
    "host:5000/a:x": ("host:5000/a", "x"),
    "[::1]:5000/a": ("[::1]:5000/a", "latest"),
    "localhost/a": ("localhost/a", "latest"),
    f"python@{DIGEST}": ("python", DIGEST),
    f"python:3.11@{DIGEST}": ("python", DIGEST),
    f"host:5000/a@{DIGEST}": ("host:5000/a", DIGEST),
    f"host:5000/a:x@{DIGEST}": ("host:5000/a", DIGEST),
}


@pytest.mark.parametrize("image", BASES)
def test_images_to_build_on_are_taken_apart(image):
    assert check_base(image) == image
    assert split_base(image) == BASES[image]


@pytest.mark.parametrize(
    "image",
    [
        *("", "Python", "python:", "python:3 AS x", "--platform=x python", "$BASE", "${BASE}"),
        *("python\n", "a@b", "a@sha256:0", "a:b:c", "https://a/b", "a\nRUN b", "a#b", 1, "../a"),
    ],
)
def test_images_to_build_on_that_cannot_be_are_an_error(image):
    with pytest.raises(ConfigurationError, match="is not the name of an image"):
        Docker(base_image=image)


def test_a_base_and_a_dockerfile_exclude_each_other():
    with pytest.raises(ValueError, match="exclude each other"):
        Docker(base_image="a", dockerfile="b")


def test_files_of_flows_are_all_different():
    names = [
        "A B",
        "a-b",
        "a b",
        "A_B",
        "!!!",
        "???",
        "",
        "\u540d\u524d",
        "e\u0301",
        "\xe9",
        "\ud800",
    ]
    names += ["x" * 300, "x" * 301, "flow-3a1b", "a/b", "../a", "a\0b"]
    for _ in range(3):
        files = [file_of(name) for name in names]
        assert len(set(files)) == len(names)
        assert all(re.fullmatch(r"[a-z0-9_-]{1,120}", file) for file in files)
        # No name can be made that has the file of another one.
        names += [file for file in files if file not in names]
    assert file_of("a-b") == "a-b"


@pytest.mark.parametrize(
    ("given", "path"),
    [("/srv/x/", "/srv/x"), ("//srv//x", "/srv/x"), ("/a/../b/.", "/b"), ("/a b/$c", "/a b/$c")],
)
def test_folders_in_the_image(given, path):
    assert check_directory(given) == path


@pytest.mark.parametrize("path", ["", "srv", "/", "//", "/a/..", "/a\n", "/a\0", "/\ud800", 1, "."])
def test_folders_that_cannot_be_are_an_error(path):
    with pytest.raises(ConfigurationError):
        check_directory(path)


@pytest.mark.parametrize(
    "path", ["", "a.py", "/", "/a/", "/a/..", "/a//b", "/a/./b", "/a\n", "//a"]
)
def test_paths_of_flows_that_cannot_be_are_an_error(path):
    with pytest.raises(ConfigurationError, match="cannot be the path of a flow"):
        check_file(path)


@pytest.mark.parametrize(
    "text",
    ["-r x", " --index-url=x", "-", "a\nb", "a\0", "a\tb", "\ufeffa", "a\u2028b", "\ud800", ""],
)
def test_requirements_that_cannot_be_are_an_error(text):
    with pytest.raises(ConfigurationError, match="python_dependencies"):
        Docker(python_dependencies=["fine", text])


def test_requirements_are_a_list_of_their_own():
    given = ["a[b]>=1,<2; python_version > '3'", "c @ https://host.test/c.whl"]
    assert check_requirements(given) == given
    assert check_requirements(given) is not given
    assert check_requirements("a") == ["a"]
    assert check_requirements([]) is None


def test_no_flow_takes_the_place_of_what_the_image_keeps_of_it(tmp_path):
    storage = Docker(path="/opt/flowhold/flows/etl.json")
    storage.add_flow(Flow("etl"))
    with pytest.raises(ConfigurationError, match="where the image keeps its own"):
        storage.create_dockerfile_object(tmp_path / "context")


def test_arguments_of_a_build_are_those_that_are_not_ours():
    assert check_build_kwargs({"network_mode": "host"}) == {"network_mode": "host"}
    assert check_build_kwargs({}) is None
    for wrong in ({"tag": "x"}, {"dockerfile": "x", "fileobj": 1}, ["tag"]):
        with pytest.raises(ConfigurationError, match="build_kwargs"):
            check_build_kwargs(wrong)


ORIGINS = {
    "https://host.test/team/flows.git": "https://host.test/team/flows.git",
    "https://someone:hunter2@host.test:8443/x": "https://host.test:8443/x",
    "https://hunter2@host.test/x": "https://host.test/x",
    "https://a:hun@ter2@host.test/x@y": "https://host.test/x@y",
    "https://host.test/x?private_token=hunter2": "https://host.test/x",
    "ssh://git@host.test/x": "ssh://host.test/x",
    "git@host.test:team/x.git": "git@host.test:team/x.git",
    "/home/someone/x": None,
    "file:///home/someone/x": None,
    "../x": None,
}


@pytest.mark.parametrize("url", ORIGINS)
def test_the_origin_of_a_script_is_told_without_a_login(url, tmp_path):
    (tmp_path / ".git").mkdir()
    config = (
        f'[core]\n\turl = wrong\n[remote "origin"]\n\tfetch = +x\n\turl = {url}\n[x]\n\turl = no\n'
    )
    (tmp_path / ".git/config").write_text(config)
    script = tmp_path / "deep/etl.py"
    assert source_of(script) == ORIGINS[url]
    storage = Docker(local_script_path=str(script))
    assert "hunter2" not in str(storage.serialize())


def test_there_may_be_no_origin(tmp_path):
    assert source_of(None) is None
    (tmp_path / ".git").mkdir()
    assert source_of(tmp_path / "etl.py") is None
    (tmp_path / ".git/config").write_text('[remote "other"]\n\turl = https://host.test/x\n')
    assert source_of(tmp_path / "etl.py") is None
    (tmp_path / ".git/config").write_bytes(b"\xff")
    assert source_of(tmp_path / "etl.py") is None


def test_the_origin_of_a_folder_above_is_not_that_of_a_submodule(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text('[remote "origin"]\n\turl = https://host.test/x\n')
    (tmp_path / "part").mkdir()
    assert source_of(tmp_path / "part/etl.py") == "https://host.test/x"
    (tmp_path / "part/.git").write_text("gitdir: ../.git/modules/part")
    assert source_of(tmp_path / "part/etl.py") is None
