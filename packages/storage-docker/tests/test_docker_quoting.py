"""What options say is what a container of the image finds, whatever characters are in it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import docker_engine
import pytest

from flowhold import Flow, Parameter, task
from flowhold_storage_docker import Docker

VALUES = [
    "",
    " ",
    "  a  b  ",
    "\t",
    "it's",
    'a "quoted" word',
    "'\"'\"",
    "\\",
    "\\\\",
    "a\\",
    'a\\n\\t\\$\\"',
    "C:\\Program Files\\x",
    "`date`",
    "`",
    "``a```",
    "#",
    "a # b",
    "a=b=c",
    "; rm -rf /",
    "a && b | c > d < e",
    "<<EOF",
    "*?[a]{b,c}~!",
    '["json", "like"]',
    '{"a": "b"}',
    "-n",
    "--from=x",
    "%s %d {0}",
    "\u540d\u524d \xe9 e\u0301",
    "\U0001f600",
    "\ufeffa",
    "a\u2028b\u2029c\x85d",
    "\x01\x1b[31m\x7f",
    "\x0b\x0c",
    "x" * 20_000,
]
# What is written, and what it is where A is "a" and B is not there.
DOLLARS = {
    "$A": "a",
    "${A}": "a",
    "x$A:modules/": "xa:modules/",
    "$A$A": "aa",
    "${A}b$A-b": "aba-b",
    "$B": "",
    "x${B}y": "xy",
    "$AB": "",
    "$$": "$",
    "$$A": "$A",
    "$$$A": "$a",
    "$$$$": "$$",
    "$${A}": "${A}",
    "\\$A": "\\a",
    "'$A'": "'a'",
    '"$A"': '"a"',
    "`$A`": "`a`",
    "$": "$",
    "5$": "5$",
    "$ A": "$ A",
    "$5 $1 $@ $* $# $? $! $-": "$5 $1 $@ $* $# $? $! $-",
    "$(id)": "$(id)",
    "${": "${",
    "${}": "${}",
    "${A": "${A",
    "${A:-b}": "${A:-b}",
    "${B:+c}": "${B:+c}",
    "${A B}": "${A B}",
    "$\u540d": "$\u540d",
}
NAMES = ["plain.txt", "with space", "line\nbreak", "it's", '"', "$HOME", "${A}", "$$", "a\\b", "\\"]
NAMES += [
    "`",
    "#x",
    "-rf",
    "<<EOF",
    "*",
    "[a]",
    "\u540d",
    "\U0001f600",
    "e\u0301",
    "\xe9",
    "\ufeffx",
]
NAMES += ["a\tb", "a\u2028b", "\x01", "~", ".hidden", "a,b", '"]', "\\n", "x" * 255]
FLOWS = ["etl", "A B", "a-b", "A_B", "!!!", "???", "\u540d\u524d", 'it\'s "x" $HOME \\', "a\nb"]
FLOWS += ["../up", "/root", "a/b", "${A}", "`id`", "#", "-x", "flow", "x" * 300]

# Prints what a process in the container finds.
LOOK = """
import json, os, sys
from importlib import metadata
from flowhold_storage_docker.inside import references_inside
from flowhold.loading import load_reference
def tree(top):
    found = {}
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            found[path] = open(path, encoding="utf-8", errors="surrogateescape").read()
    return found
flows = {}
for reference in references_inside(sys.argv[1]):
    flow = load_reference(reference)
    flows[reference.flow] = [flow.name, flow.run().result]
distributions = {it.metadata["Name"]: it.version for it in metadata.distributions()}
urls = {it.metadata["Name"]: json.loads(it.read_text("direct_url.json") or "{}").get("url")
        for it in metadata.distributions()}
data = {path: text for top in json.loads(sys.argv[2]) for path, text in tree(top).items()}
print(json.dumps([dict(os.environ), data, flows, distributions, urls]))
"""


@task
def give(value):
    return value


def make_flow(name, value):
    with Flow(name) as flow:
        give(Parameter("value", value))
    return flow


def look(engine, image, directory, *tops):
    """Return what a process in a container of the image finds."""
    with engine.client() as client:
        said = client.containers.run(
            image,
            ["python", "-c", LOOK, directory, json.dumps(tops)],
            network_mode="none",
            remove=True,
        )
        labels = client.images.get(image).labels
    return [*json.loads(said), labels]


def variables():
    """Return variables to set, and what they are then."""
    given = {"A": "a"} | {f"V{number}": value for number, value in enumerate(VALUES)}
    wanted = dict(given)
    for number, (text, meaning) in enumerate(DOLLARS.items()):
        given[f"D{number}"], wanted[f"D{number}"] = text, meaning
    # Of the base, of one that comes before, and of one that is not there.
    given |= {"PATH": "$PATH:/own/bin", "LATER": "$V5 ${V1}", "PYTHONPATH": "$PYTHONPATH:modules/"}
    wanted |= {"PATH": "/usr/local/bin:/usr/bin:/bin:/own/bin", "LATER": f"{VALUES[5]} {VALUES[1]}"}
    wanted["PYTHONPATH"] = ":modules/"
    given |= {"with.dot": "1", "with-dash": "2", "_": "3"}
    return given, wanted | {"with.dot": "1", "with-dash": "2", "_": "3"}


def files_named(folder, names):
    """Write files of hostile names; return sources with places, and what is where then."""
    files, wanted = {}, {}
    (folder / "tree").mkdir(parents=True)
    for number, name in enumerate(names):
        place = folder / str(number) / name
        place.parent.mkdir()
        for path in (place, folder / "tree" / name):
            path.write_text(f"text {number}")
        wanted[f"/data/tree/{name}"] = f"text {number}"
        # By its own name in a folder that is called so, or as a name that it gets.
        if number % 2:
            files[str(place)], path = f"/data/in/{name}/", f"/data/in/{name}/{name}"
        else:
            files[str(place)] = path = f"/data/as/{name}"
        wanted[path] = f"text {number}"
    # No destination can be called so, but what is in a folder may be.
    odd = os.fsdecode(b"bytes\xff")
    (folder / "tree" / odd).write_text("odd")
    wanted[f"/data/tree/{odd}"] = "odd"
    files[str(folder / "tree")] = "/data/tree"
    return files, wanted


@pytest.fixture
def index(docker_index):
    """An index of packages, of which two are to be installed for a condition that holds."""
    docker_index.add(
        "quoting-alpha", "1.0", extras={"fast": ["quoting-beta<2; python_version>'3'"]}
    )
    docker_index.add("quoting-alpha", "2.0")
    for version in ("1.5", "2.0"):
        docker_index.add("quoting-beta", version)
    for name in ("gamma", "delta", "never", "wheel"):
        docker_index.add(f"quoting-{name}", "1.0")
    return docker_index


def test_an_image_has_what_the_options_say(engine, index, make, tmp_path):
    given, wanted = variables()
    files, placed = files_named(tmp_path / "files", NAMES)
    wheel = f"{index.url}/quoting-wheel/quoting_wheel-1.0-py3-none-any.whl"
    storage = make(
        image_name="quoting",
        image_tag="all",
        env_vars={**given, "PIP_INDEX_URL": index.url},
        python_dependencies=[
            "quoting-alpha[fast] >= 1, < 2",
            "quoting-gamma~=1.0; python_version >= '3' and os_name != \"nt\"",
            'quoting-never>=1; python_version < "3"',
            " quoting_Delta ===1.0",
            f"quoting-wheel @ {wheel}",
        ],
        files=files,
        flowhold_directory='/srv/it\'s "$A" \\ \u540d #',
        build_kwargs={"network_mode": "host"},
    )
    for number, name in enumerate(FLOWS):
        storage.add_flow(make_flow(name, number))
    storage.build()
    found = look(engine, "quoting:all", storage.flows_directory, "/data")
    environment, data, flows, distributions, urls, labels = found
    assert {name: environment.get(name) for name in wanted} == wanted
    assert data == placed
    assert flows == {name: [name, number] for number, name in enumerate(FLOWS)}
    mine = {name.lower(): text for name, text in distributions.items() if "quoting" in name}
    assert mine == {
        "quoting-alpha": "1.0",
        "quoting-beta": "1.5",
        "quoting-gamma": "1.0",
        "quoting-delta": "1.0",
        "quoting-wheel": "1.0",
    }
    assert urls["quoting-wheel"] == wheel
    assert json.loads(labels["flowhold.flows"]) == FLOWS
    title = ", ".join(FLOWS)[:200].replace("\n", " ")
    assert labels["org.opencontainers.image.title"] == title


@pytest.mark.long
def test_an_image_of_a_dockerfile_with_another_escape_character_has_it_too(engine, tmp_path):
    given, wanted = variables()
    files, placed = files_named(tmp_path / "files", NAMES[2:13])
    Path("app").mkdir()
    Path("app/of mine.txt").write_text("mine")
    Path("app/secret.txt").write_text("secret")
    Path(".dockerignore").write_text("**/secret.*\n")
    Path("Own.dockerfile").write_bytes(
        b"# escape=`\r\nFROM %s\r\nENV OWN=c:\\ `\r\n# of a line that goes on\r\n  MORE=a`$b\r\n"
        b'COPY ["app/", "/app/"]\r\nWORKDIR /place' % docker_engine.BASE.encode()
    )
    storage = Docker(
        image_name="quoting",
        image_tag="backtick",
        dockerfile="Own.dockerfile",
        env_vars=given,
        files=files | {os.path.abspath("app"): "\ufeffrelative"},
        flowhold_directory='/srv/it\'s "$A" \\ `',
        extra_dockerfile_commands=["ENV LAST=`$A `\n  LAST2=`\\", "# A comment `"],
        # Nothing is asked of an index.
        build_kwargs={"network_mode": "none"},
    )
    storage.add_flow(make_flow("etl", 7))
    storage.build()
    found = look(engine, "quoting:backtick", storage.flows_directory, "/data", "/app", "/place")
    environment, data, flows, *_ = found
    wanted |= {"OWN": "c:\\", "MORE": "a$b", "LAST": "$A", "LAST2": "\\"}
    assert {name: environment.get(name) for name in wanted} == wanted
    mine = {"/app/of mine.txt": "mine", "/place/\ufeffrelative/of mine.txt": "mine"}
    assert data == placed | mine
    assert flows == {"etl": ["etl", 7]}


def steps(engine, image):
    """Return the steps of an image, the first one first: its image then, and what it does."""
    with engine.client() as client:
        history = client.images.get(image).history()
    return [(it["Id"], it["CreatedBy"]) for it in reversed(history)]


def test_a_changed_flow_builds_its_layer_and_the_health_check_only(engine, make, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").write_text("")

    def built(tag, value):
        storage = make(image_name="quoting", image_tag=tag, files={str(tmp_path / "data"): "/data"})
        storage.add_flow(make_flow("one", 1))
        storage.add_flow(make_flow("two", value))
        storage.build()
        return steps(engine, f"quoting:{tag}")

    first, second, again = built("first", 2), built("second", 3), built("again", 2)
    [at] = [number for number, (_, done) in enumerate(first) if "/opt/flowhold/flows/" in done][:1]
    assert "/data/" in first[at - 1][1]
    assert "healthcheck" in first[-1][1] or "healthcheck" in first[-2][1]
    assert second[:at] == first[:at]
    assert {key for key, _ in second[at:]}.isdisjoint(key for key, _ in first[at:])
    # But for the label with its tag nothing is built anew where nothing has changed.
    kept = [number for number, (_, done) in enumerate(first) if "image.version" not in done]
    assert [again[number] for number in kept] == [first[number] for number in kept]
