"""Bad input on the command line: one or two lines that help, exit code 1 or 2, nothing written."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from flowhold import Catalog

GOOD = """
from flowhold import Flow, task

@task
def answer():
    return 42

with Flow("good") as flow:
    answer()
"""


@pytest.fixture
def good(command):
    path = Path("good.py")
    path.write_text(GOOD)
    assert command("register", path)[0] == 0
    return path


@pytest.fixture
def refused(command, tmp_path):
    """Run a command that must fail, in both forms, and return the lines it says."""

    def contents():
        return {
            path: path.read_bytes() if path.is_file() else None
            for path in sorted(tmp_path.rglob("*"))
            # What Python keeps of an imported module is not Flowhold's.
            if "__pycache__" not in path.parts
        }

    def refused(*arguments, code):
        before = contents()
        found, out, err = command(*arguments)
        lines = err.splitlines()
        assert (found, out) == (code, ""), err
        assert 1 <= len(lines) <= 2, err
        assert lines[0].startswith("error: ")
        assert all(line.startswith("hint: ") for line in lines[1:])
        assert "Traceback" not in err
        found, out, err = command(*arguments, "--json")
        error = json.loads(out)["error"]
        assert (found, err) == (code, "")
        assert error.keys() == {"type", "message", "hint"}
        assert lines[0] == f"error: {' '.join(error['message'].split())}"
        assert contents() == before
        return [*lines, ""][:2]

    return refused


def edit(version=1, **fields):
    """Replace fields of the entry of the flow in the catalog."""
    catalog = Catalog()
    reference = catalog.get("good", version)
    catalog.store.put(f"good/{version:010}.json", replace(reference, **fields).to_json().encode())


@pytest.mark.parametrize("verb", ["show", "run"])
def test_an_unknown_flow(refused, good, verb):
    error, hint = refused(verb, "godo", code=1)
    assert error.startswith("error: no flow 'godo' in the catalog ")
    assert "flowhold list" in hint


def test_an_unknown_version(refused, good):
    error, _ = refused("run", "good@7", code=1)
    assert "no version 7" in error
    assert "versions: 1" in error


@pytest.mark.parametrize("name", ["good@", "good@x", "@1", "good@0"])
def test_what_is_no_version(refused, good, name):
    error, hint = refused("show", name, code=2)
    assert name in error
    assert "versions are whole numbers" in hint


def test_a_file_in_the_working_directory_does_not_shadow_a_name(refused):
    Path("etl").write_text(GOOD)
    assert "no flow 'etl'" in refused("run", "etl", code=1)[0]


def test_an_ambiguous_flow(refused):
    Path("two.py").write_text(
        "from flowhold import Flow\nFlow1, b = Flow('same'), Flow('same')\nc = Flow('other')\n"
    )
    error, hint = refused("run", "two.py", code=1)
    assert "has several flows: 'same', 'other'" in error
    assert "name" in hint
    error, hint = refused("register", "two.py", code=1)
    assert "has 2 flows named 'same'" in error
    assert "FILE:ATTRIBUTE" in hint
    assert "has 2 flows named 'same'" in refused("register", "two.py:same", code=1)[0]


def test_a_flow_that_the_script_does_not_have(refused, good):
    error, _ = refused("register", "good.py:bad", code=1)
    assert "'bad'" in error
    assert "good" in error.replace("good.py", "")
    Path("none.py").write_text("x = 1\n")
    error, hint = refused("register", "none.py", code=1)
    assert "none.py has no flow" in error
    assert "@flow" in hint


def test_a_syntax_error_in_the_script(refused):
    Path("bad.py").write_text("x = 1\ndef f(:\n")
    for verb in ("register", "run"):
        error, _ = refused(verb, "bad.py", code=1)
        assert "SyntaxError: invalid syntax (bad.py, line 2)" in error


def test_a_script_that_raises(refused):
    Path("sibling.py").write_text("def fail():\n    raise KeyError('lost')\n")
    Path("bad.py").write_text("import sibling\n\nsibling.fail()\n")
    for verb in ("register", "run"):
        error, hint = refused(verb, "bad.py", code=1)
        assert error == (
            "error: the script bad.py could not be loaded: KeyError: 'lost' (sibling.py, line 2)"
        )
        assert "--debug" in hint


@pytest.mark.parametrize("statement", ["raise SystemExit(3)", "import sys; sys.exit()"])
def test_a_script_that_exits(refused, statement):
    Path("bad.py").write_text(statement)
    assert "SystemExit" in refused("register", "bad.py", code=1)[0]


def test_a_script_that_misses_a_module(refused):
    Path("bad.py").write_text("import no_such_module_anywhere\n")
    error, hint = refused("register", "bad.py", code=1)
    assert "ModuleNotFoundError: No module named 'no_such_module_anywhere'" in error
    assert "install" in hint


@pytest.mark.parametrize("verb", ["register", "run"])
@pytest.mark.parametrize("path", ["missing.py", "missing/etl.py", "folder.py", "./text.txt"])
def test_a_missing_file(refused, verb, path):
    Path("folder.py").mkdir()
    Path("text.txt").touch()
    error, hint = refused(verb, path, code=1)
    assert Path(path).name in error
    assert "check the path" in hint


def test_a_missing_reference_file(refused):
    error, _ = refused("run", "missing.json", code=2)
    assert "missing.json cannot be read: No such file" in error


def test_a_module_that_is_not_there(refused):
    error, hint = refused("register", "-m", "no_such_module_anywhere", code=1)
    assert "there is no module 'no_such_module_anywhere' here" in error
    assert "PYTHONPATH" in hint


@pytest.mark.parametrize(
    ("closed", "arguments"),
    [
        ("scripts", ["register", "scripts/good.py"]),
        ("scripts", ["run", "scripts/good.py"]),
        ("scripts/good.py", ["register", "scripts/good.py"]),
        ("data", ["register", "scripts/good.py"]),
        ("data/catalog", ["list"]),
        ("data/catalog", ["show", "good"]),
        ("data/flows", ["run", "good"]),
        ("data/flows", ["register", "scripts/good.py", "--force"]),
    ],
)
def test_an_unreadable_directory(command, as_anybody, monkeypatch, closed, arguments):
    Path("scripts").mkdir()
    Path("scripts/good.py").write_text(GOOD)
    monkeypatch.setenv("FLOWHOLD_DATA_DIR", os.path.abspath("data"))
    assert command("register", "scripts/good.py")[0] == 0
    mode = Path(closed).stat().st_mode
    Path(closed).chmod(0)
    try:
        done = as_anybody("-m", "flowhold", *arguments)
    finally:
        Path(closed).chmod(mode)
    first, *others = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert first.startswith("error: ")
    assert "internal error" not in first
    assert closed.partition("/")[0] in first
    assert len(others) <= 1
    assert Catalog().versions("good") == [1]
    assert len([each for each in Path("data/flows").rglob("*") if each.is_file()]) == 1


def test_a_wrong_option_of_the_storage(refused, good):
    error, hint = refused("register", good, "-o", "directry=x", code=2)
    assert error == "error: local storage has no option 'directry'"
    assert "did you mean directory?" in hint
    error, _ = refused("register", good, "-o", "overwrite=perhaps", code=2)
    assert error == "error: option overwrite of local storage must be true or false"


@pytest.mark.parametrize("option", ["key", "=x", ""])
def test_an_option_that_is_no_pair(refused, good, option):
    refused("register", good, "-o", option, code=2)


def test_an_option_that_the_storage_refuses(refused, good):
    given = ["-o", "path=x", "-o", "key=y"]
    assert "path= and key= exclude each other" in refused("register", good, *given, code=2)[0]


def test_a_storage_that_needs_options(refused, good):
    error, hint = refused("register", good, "--storage", "module", code=2)
    assert "module" in error
    assert "options of module: module" in hint


def test_a_storage_that_is_not_there(core_alone, refused, good):
    error, hint = refused("register", good, "--storage", "s3", code=1)
    assert "no storage 's3' is installed" in error
    assert hint.count("pip install") + error.count("pip install") == 1
    assert "local" in " ".join(refused("register", good, "--storage", "locla", code=1))


def test_a_storage_that_does_not_keep_flows_that_way(refused, good):
    error, _ = refused("register", good, "--storage", "module", "--pickle", code=2)
    assert error == "error: module storage does not keep a pickle"
    assert "in this process only" in refused("register", good, "--storage", "memory", code=1)[0]


def test_a_flow_that_cannot_be_pickled(refused):
    Path("bad.py").write_text(
        "from flowhold import Flow\nimport threading\n"
        "flow = Flow('bad')\nflow.lock = threading.Lock()\n"
    )
    assert "lock" in refused("register", "bad.py", code=1)[0]


def test_a_reference_of_a_newer_schema(refused, good):
    fields = {**Catalog().get("good").to_dict(), "schema": "flowhold.reference/2"}
    Path("newer.json").write_text(json.dumps(fields))
    for verb in ("run", "show"):
        error, hint = refused(verb, "newer.json", code=1)
        assert "flowhold.reference/2" in error
        assert "upgrade flowhold" in hint


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', "\x00"])
def test_what_is_no_reference(refused, content):
    Path("bad.json").write_text(content)
    assert "this is not a reference" in refused("run", "bad.json", code=1)[0]


@pytest.mark.parametrize("content", [b"{", b'{"schema": "flowhold.reference/9"}', b"\xff"])
def test_a_corrupt_catalog_entry(refused, good, content):
    Catalog().store.put("good/0000000001.json", content)
    for arguments in (["run", "good"], ["show", "good@1"], ["register", good]):
        error, _ = refused(*arguments, code=1)
        assert "good/0000000001.json is damaged" in error


def test_a_corrupt_catalog_entry_does_not_hide_the_others(command, good):
    Path("other.py").write_text(GOOD.replace('"good"', '"other"'))
    assert command("register", "other.py")[0] == 0
    Catalog().store.put("good/0000000002.json", b"{")
    code, out, err = command("list")
    assert code == 1
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["other", "1"]]
    assert err.startswith("error: the catalog entry good/0000000002.json is damaged")
    code, out, err = command("list", "--json")
    broken, sound = json.loads(out)
    assert (code, err) == (1, "")
    assert (broken["flow"], broken["version"], broken["storage"]) == ("good", 2, None)
    assert broken["error"]["type"] == "SerializationError"
    assert (sound["flow"], "error" in sound) == ("other", False)


def test_a_catalog_that_cannot_be_read_is_an_error(core_alone, refused):
    assert "pip install" in " ".join(refused("list", "--catalog", "s3://bucket", code=1))
    Path("a_file").touch()
    refused("list", "--catalog", "a_file/below", "--bogus", code=2)


def test_a_flipped_byte_runs_nothing(refused, good):
    reference = Catalog().get("good")
    stored = Path(reference.location)
    data = bytearray(stored.read_bytes())
    data[-3] ^= 1
    stored.chmod(0o600)
    stored.write_bytes(data)
    error, _ = refused("run", "good", code=1)
    assert "is not the one that was recorded" in error


def test_bytes_without_a_digest_are_run_only_if_that_is_asked_for(command, refused, good):
    edit(sha256=None)
    error, hint = refused("run", "good", code=1)
    assert "nothing is recorded to check" in error
    assert "--allow-unverified" in hint
    assert command("run", "good", "--allow-unverified")[:2] == (0, "42\n")


def test_a_missing_secret(refused, command, good, monkeypatch):
    assert command("register", good, "-o", "secrets=TOKEN")[0] == 0
    error, hint = refused("run", "good", code=1)
    assert error.startswith("error: no secret 'TOKEN' in ")
    assert "FLOWHOLD_SECRET_TOKEN" in hint
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", "x")
    assert command("run", "good")[:2] == (0, "42\n")


def test_another_hosts_label(refused, command, good):
    reference = Catalog().get("good")
    edit(storage={**reference.storage, "default_labels": ["laptop-7"]})
    error, hint = refused("run", "good", code=1)
    assert "flow 'good' is in local storage of host laptop-7, and this is host " in error
    assert "--any-host" in hint
    assert "--no-default-labels" in hint
    assert command("run", "good", "--any-host")[:2] == (0, "42\n")


def test_a_flow_without_default_labels_runs_on_any_host(command, good):
    reference = Catalog().get("good")
    edit(storage={**reference.storage, "default_labels": [], "labels": ["gpu"]})
    assert command("run", "good")[0] == 0


def test_wrong_parameters(refused, good):
    error, hint = refused("run", "good", "-p", "x=1", code=2)
    assert "no parameter 'x'" in error
    assert "its parameters: none" in hint
    assert "-p" in refused("run", "good", "-p", "x", code=2)[0]
    assert "given twice" in refused("run", "good", "-p", "x=1", "-p", "x=2", code=2)[0]


@pytest.mark.parametrize(
    "executor", ["fast", "threads:0", "threads:x", "threads:-1", "dask", "dask:nonsense://x:1", ""]
)
def test_a_wrong_executor(refused, good, executor):
    error, _ = refused("run", "good", "--executor", executor, code=2)
    assert "is not threads:N, processes:N or dask:HOST:PORT" in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lsit"], "did you mean list?"),
        (["frobnicate"], "known: register, list"),
        (["list", "--bogus"], "--bogus"),
        (["run"], "Missing argument"),
        (["show", "a", "b"], "unexpected extra argument"),
        (["register"], "give either FILE[:FLOW] or -m MODULE[:FLOW]"),
        (["register", "a.py", "-m", "b"], "give either FILE[:FLOW] or -m MODULE[:FLOW]"),
        (["register", "a.py:"], "nothing on one side of the colon"),
        (["completion", "tcsh"], "tcsh"),
        (["show", "a.py"], "'a.py' is a script"),
    ],
)
def test_wrong_usage(refused, arguments, said):
    assert said in refused(*arguments, code=2)[0]


def test_no_command_at_all_shows_the_help(command):
    code, out, err = command()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: flowhold")
    code, out, _ = command("--json")
    assert code == 2
    assert json.loads(out)["error"]["type"] == "UsageError"


def test_wrong_settings(refused):
    Path("flowhold.toml").write_text("storag = 'local'\n")
    error, hint = refused("list", code=2)
    assert "unknown setting 'storag'" in error
    assert "did you mean storage?" in hint


def test_nothing_is_stored_of_a_registration_that_fails(refused):
    Path("two.py").write_text(
        "from flowhold import Flow\nimport threading\n"
        "first, flow = Flow('first'), Flow('second')\nflow.lock = threading.Lock()\n"
    )
    refused("register", "two.py", code=1)
