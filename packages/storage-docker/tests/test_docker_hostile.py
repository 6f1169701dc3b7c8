"""Whatever an option has in it: an error, or it arrives as it is and is no instruction.

`dockerfile_reader` tells what instructions there are, by the rules that Docker documents.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from pathlib import Path

import hypothesis
import pytest
from dockerfile_reader import expanded, instructions
from hypothesis import HealthCheck
from hypothesis import strategies as st

from flowhold import Flow, task
from flowhold.errors import ConfigurationError
from flowhold_storage_docker import Docker
from flowhold_storage_docker.context import write_context
from flowhold_storage_docker.dockerfile import render
from flowhold_storage_docker.recipes import patterns_of

PROMISE = "options of images inject no instruction and arrive as they are"

HOSTILE = [
    "a\nRUN touch /injected",
    "a\rRUN touch /injected",
    "a\r\nRUN touch /injected",
    "\nUSER nobody",
    "a\n",
    "\n",
    "a\0b",
    '"',
    "'",
    "a\"b'c",
    '"; RUN x; "',
    '", "--index-url", "http://evil.test',
    '"]\nRUN ["touch", "/injected',
    "\\",
    "a\\",
    "a\\\\",
    "a\\ ",
    "a\\\t",
    "a\\n",
    '\\"',
    "$HOME",
    "${HOME}",
    "$$HOME",
    "${HOME:-x}",
    "${HOME:?x}",
    "${",
    "$",
    "a$",
    "$(touch /injected)",
    "$@ $* $# $1 $0",
    "`touch /injected`",
    "`",
    "a`",
    "#",
    "# escape=`",
    "a # b",
    "<<EOF",
    "<<EOF\nRUN x\nEOF",
    "a <<EOF b",
    "<<<EOF",
    "3<<-EOF",
    "a; touch /injected",
    "a && b | c > d < e",
    "x" * 70_000,
    "\u00e9" * 35_000,
    "a\u2028RUN touch /injected",
    "a\u2029b",
    "a\x85b",
    "a\x0bb\x0cc",
    "\ufeff",
    "\ufeffa",
    "a\ufeff",
    "\ud800",
    "a\udcffb",
    "\x1b[31m",
    "\u202egnp.exe",
    "ONBUILD RUN touch /injected",
    "FROM scratch",
    "--from=other",
    "--chown=0:0",
    "-r /etc/passwd",
    "--index-url=http://evil.test",
    "-",
    "..",
    "../../etc/passwd",
    "/..",
    "/../../etc",
    "/a/../../b",
    "/",
    "//",
    ".",
    "./",
    "~",
    "*",
    "a*b?[c]",
    "[",
    '["a", "b"]',
    "{}",
    " ",
    "  a  ",
    "\t",
    "a b",
    "a=b c=d",
    "=",
    "a=",
    "%s {0} {name}",
    "\u540d\u524d",
    "e\u0301",
    "\U0001f600",
    "https://user:secret@host/x",
    "C:\\Windows\\",
]

DOCKERFILES = {
    "base": None,
    "own": "FROM python:3.11-slim AS last\nRUN true\n",
    "backtick": "# syntax=docker/dockerfile:1\n# escape=`\nFROM python:3.11-slim\nRUN a `\n b",
}
HOME = {"HOME": "/root"}


class Impossible(Exception):
    """There can be no such thing to try."""


@task
def one():
    return 1


def make_flow(name="etl"):
    with Flow(name) as flow:
        one()
    return flow


def recipe_of(flow="etl", **options):
    storage = Docker(**options)
    storage.add_flow(make_flow(flow))
    return storage._recipe()


@pytest.fixture(params=DOCKERFILES)
def base(request, tmp_path):
    """Options with the image to build on, in three forms."""
    text = DOCKERFILES[request.param]
    if text is None:
        return {"base_image": "python:3.11-slim"}
    path = tmp_path / "own.Dockerfile"
    path.write_text(text)
    return {"dockerfile": str(path)}


def plain(recipe, documents=False):
    return instructions(render(recipe), HOME, documents=documents)


def holding(base, documents=False, **options):
    """Return what a Dockerfile is with options, as its reader finds it, and what it is without."""
    return plain(recipe_of(**base, **options), documents), plain(recipe_of(**base))


def at_first_copy(lines):
    return next(number for number, (name, _) in enumerate(lines) if name == "COPY")


def try_env_value(base, value, folder):
    found, usual = holding(base, env_vars={"NAME": value})
    # As documented: $$ is a dollar, $VAR and ${VAR} are variables, and any other dollar is one.
    wanted = re.sub(
        r"\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})",
        lambda it: "$" if it[1] else HOME.get(it[2] or it[3], ""),
        value,
    )
    at = at_first_copy(usual)
    assert found == [*usual[:at], ("ENV", {"NAME": wanted}), *usual[at:]]


def try_env_name(base, value, folder):
    found, usual = holding(base, env_vars={value: "v"})
    at = at_first_copy(usual)
    assert found == [*usual[:at], ("ENV", {value: "v"}), *usual[at:]]


def try_requirement(base, value, folder):
    found, usual = holding(base, python_dependencies=["other", value])
    at = at_first_copy(usual)
    [(name, arguments)] = found[at : -len(usual[at:])]
    assert (found[:at], found[-len(usual[at:]) :]) == (usual[:at], usual[at:])
    assert (name, arguments[-3:]) == ("RUN", ["--", "other", value])


def try_destination(base, value, folder):
    source = folder / "file"
    source.write_text("")
    for given in (source, folder):
        found, usual = holding(base, files={str(given): value})
        at = len(usual) - 1 - next(n for n, it in enumerate(reversed(usual)) if it[0] == "COPY")
        [(name, [copied, place])] = found[at : -len(usual[at:])]
        assert (found[:at], found[-len(usual[at:]) :]) == (usual[:at], usual[at:])
        assert (name, copied) == ("COPY", ".flowhold-image/files/0/")
        if given == folder or value.endswith("/") or os.path.basename(value) in (".", ".."):
            assert place == (value if value.endswith("/") else f"{value}/")
        else:
            [copy] = recipe_of(**base, files={str(given): value}).copies
            arrives = place + copy.name
            wanted = re.sub("/+", "/", value)
            assert re.sub("/+", "/", arrives) in (wanted, f"./{wanted}")


def try_source(base, value, folder):
    source = folder / value
    try:
        if source.parent != folder or source.name != value:
            raise Impossible
        source.write_text("")
    except (OSError, ValueError):
        raise Impossible from None
    found, usual = holding(base, files={str(source): "/app/"})
    assert [it for it in found if it not in usual] == [
        ("COPY", [".flowhold-image/files/0/", "/app/"])
    ]
    assert recipe_of(**base, files={str(source): "/app/"}).copies[0].name == value


def try_folder(base, value, folder):
    for given in (value, f"/{value}"):
        found = plain(recipe_of(**base, flowhold_directory=given))
        usual = plain(recipe_of(**base, flowhold_directory="/standard"))
        place = "/" + os.path.normpath(given).lstrip("/")
        assert found == replaced(usual, "/standard", place)


def replaced(lines, old, new):
    """Return instructions with another folder in them."""
    return [
        (name, [re.sub(f"^{old}(?=/)", lambda _: new, word) for word in it])
        if isinstance(it, list)
        else (name, it)
        for name, it in lines
    ]


def try_path(base, value, folder):
    for given in (value, f"/app/{value}", f"/{value}/etl.py"):
        found = plain(recipe_of(**base, path=given))
        usual = plain(recipe_of(**base, path="/standard/x.flow"))
        assert found == replaced(usual, "/standard", os.path.dirname(given).rstrip("/"))


def try_flow(base, value, folder):
    recipe = recipe_of(value, **base)
    found, usual = plain(recipe), plain(recipe_of(**base))
    assert [it for it in found if it[0] != "LABEL"] == [it for it in usual if it[0] != "LABEL"]
    labels = {name: text for kind, it in found if kind == "LABEL" for name, text in it.items()}
    names = {name for kind, it in usual if kind == "LABEL" for name in it}
    assert labels.keys() == names - ({"flowhold.flows"} if len(value) > 5_000 else set())
    # What a label cannot hold becomes a space; no more than the beginning is the title.
    title = re.sub("[\n\r\0]+", " ", value)[:200].encode(errors="replace").decode()
    assert labels["org.opencontainers.image.title"] == title
    assert all(re.fullmatch(r"[a-z0-9._-]{1,200}", name) for name in recipe.flows)


def try_base_image(base, value, folder):
    for given in (value, f"python:{value}", f"host:5000/{value}"):
        [first, *_] = plain(recipe_of(base_image=given))
        assert first == ("FROM", given)
        assert re.fullmatch(r"[A-Za-z0-9_.:/@\[\]-]+", given)


def try_names(base, value, folder):
    for option in ("image_name", "image_tag", "registry_url"):
        Docker(**base, **{option: value})
        assert re.fullmatch(r"[A-Za-z0-9_.:/\[\]-]+", value)
        found, usual = holding(base, **{option: value})
        assert found == usual


def try_version(base, value, folder):
    for given in (value, f"flowhold{value}", f"flowhold @ {value}", f"1.0{value}"):
        found = plain(recipe_of(**base, flowhold_version=given))
        usual = plain(recipe_of(**base, flowhold_version="1.0"))
        assert found == [
            (name, [*it[:-1], given if given.startswith("flowhold") else f"flowhold=={given}"])
            if isinstance(it, list) and it[-1] == "flowhold==1.0"
            else (name, it)
            for name, it in usual
        ]


def try_commands(base, value, folder):
    for given in (value, f"RUN {value}", f"RUN a \\\n# {value}", f"RUN a `\n\n  # {value}"):
        found, usual = holding(base, documents=True, extra_dockerfile_commands=[given])
        # They are instructions, but those around them are not a part of them.
        assert found[: len(usual) - 1] == usual[:-1]
        assert found[-1] == usual[-1]


def try_dockerfile(base, value, folder):
    usual = plain(recipe_of(base_image="python:3.11-slim"))[1:]
    for number, given in enumerate((value, f"RUN {value}", f"RUN a \\\n# {value}")):
        path = folder / f"Dockerfile{number}"
        path.write_bytes(f"FROM x\n{given}".encode(errors="surrogatepass"))
        recipe = recipe_of(dockerfile=str(path))
        assert plain(recipe, documents=True)[-len(usual) :] == usual
        assert render(recipe).startswith(f"FROM x\n{given}".rstrip("\r\n"))


def try_ignore(base, value, folder):
    if "base_image" in base:
        raise Impossible
    path = folder / "ignored"
    path.write_bytes(value.encode(errors="surrogatepass"))
    storage = Docker(**base, dockerignore=str(path))
    storage.add_flow(make_flow())
    (folder / "work").mkdir(exist_ok=True)
    os.chdir(folder / "work")
    found = write_context(storage._recipe(), folder / "context", patterns_of(storage))
    assert instructions(found.read_text(), HOME) == plain(recipe_of(**base))
    assert (found.parent / ".flowhold-image/wheels").is_dir()


def try_origin(base, value, folder):
    if "dockerfile" in base:
        raise Impossible
    folder.joinpath(".git").mkdir(exist_ok=True)
    url = f"https://user:pass@host.test/{value}"
    config = f'[remote "origin"]\n\turl = {url}\n'
    folder.joinpath(".git/config").write_bytes(config.encode(errors="surrogatepass"))
    script = folder / "etl.py"
    script.write_text("")
    recipe = recipe_of(**base, local_script_path=str(script))
    found, usual = plain(recipe), plain(recipe_of(**base))
    more = [it for it in found if it not in usual]
    assert "pass" not in render(recipe).replace("passwd", "")
    if more:
        [(kind, labels)] = more
        assert (kind, list(labels)) == ("LABEL", ["org.opencontainers.image.source"])


OPTIONS = {
    "env_vars, a value": try_env_value,
    "env_vars, a name": try_env_name,
    "python_dependencies": try_requirement,
    "files, a destination": try_destination,
    "files, a source": try_source,
    "flowhold_directory": try_folder,
    "path": try_path,
    "name of a flow": try_flow,
    "base_image": try_base_image,
    "names of images": try_names,
    "flowhold_version": try_version,
    "extra_dockerfile_commands": try_commands,
    "dockerfile": try_dockerfile,
    "dockerignore": try_ignore,
    "URL of a git repository": try_origin,
}


def tell(request, tried, held):
    request.node.user_properties.append(("promise", (PROMISE, tried, held)))


def attempt(option, base, value, folder):
    """Try a value and return whether it could be tried.

    An error has a text of few lines, and hides what may be a secret.
    """
    problem = None
    try:
        OPTIONS[option](base, value, folder)
    except Impossible:
        return False
    except ConfigurationError as error:
        problem = error
    if problem is not None:
        assert isinstance(problem, ValueError)
        assert 0 < len(str(problem)) < 1000
        if option == "env_vars, a value" and len(value) > 5:
            assert value not in str(problem)
    return True


@pytest.mark.parametrize("option", OPTIONS)
def test_hostile_values_are_refused_or_arrive_as_they_are(option, base, tmp_path, request):
    folder = tmp_path / "files"
    folder.mkdir()
    held = 0
    for number, value in enumerate(HOSTILE):
        place = folder / str(number)
        place.mkdir()
        try:
            held += attempt(option, base, value, place)
        except BaseException as problem:
            tell(request, held + 1, held)
            pytest.fail(f"{option} {value[:200]!r}: {type(problem).__name__}: {problem}")
    tell(request, held, held)


def test_there_are_enough_hostile_inputs():
    assert len(set(HOSTILE)) * len(OPTIONS) > 1000


fragments = st.sampled_from([it for it in HOSTILE if len(it) < 100])
values = st.text(max_size=30) | st.lists(fragments | st.text(max_size=4), max_size=5).map("".join)
# Nothing at all is the default of most options.
values = values.filter(len)


@pytest.mark.parametrize("count", [100, pytest.param(5_000, marks=pytest.mark.long)])
def test_random_values_are_refused_or_arrive_as_they_are(request, rounds, tmp_path, base, count):
    tried = itertools.count()

    @hypothesis.settings(max_examples=count, suppress_health_check=list(HealthCheck))
    @hypothesis.given(st.sampled_from(sorted(OPTIONS)), values)
    def each(option, value):
        with tempfile.TemporaryDirectory(dir=tmp_path) as place:
            if attempt(option, base, value, Path(place)):
                next(tried)
            os.chdir(tmp_path)

    rounds(each)
    held = next(tried)
    tell(request, held, held)


def test_the_reader_would_notice():
    assert instructions("FROM a\nRUN b \\\n# c\n d\nENV A=1 B='$A'\nENV C=\"$A\"") == [
        ("FROM", "a"),
        ("RUN", "b  d"),
        ("ENV", {"A": "1", "B": "$A"}),
        ("ENV", {"C": "1"}),
    ]
    assert instructions("# escape=`\nRUN a `\n b\nCOPY [\"a\\\\\", 'b']") == [
        ("RUN", "a  b"),
        ("COPY", "[\"a\\\\\", 'b']"),
    ]
    assert expanded('"a\\$b\\\\${HOME}$$"', HOME) == "a$b\\/root"
    with pytest.raises(AssertionError):
        instructions("RUN a \\\n")
    with pytest.raises(AssertionError):
        instructions("RUN cat <<EOF")
