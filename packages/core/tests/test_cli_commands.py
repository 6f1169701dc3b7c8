from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowhold import Catalog, load
from flowhold.cli.app import COMMANDS, run
from flowhold.storage import Local

SCRIPT = """
from flowhold import Flow, Parameter, task

@task
def measure(town):
    print("measuring", town)
    return [len(town), 2.0]

@task
def mean(values):
    return sum(values) / len(values)

with Flow("weather") as flow:
    mean(measure(Parameter("town", default="Bern")))
"""

TWO = """
from flowhold import Flow, flow
from flowhold.storage import Local

@flow
def first():
    return 1

@flow(storage=Local("own", labels=["mine"]))
def second():
    return 2

def plain(x):
    return x

def make():
    return Flow("made")
"""


@pytest.fixture
def weather():
    path = Path("weather.py")
    path.write_text(SCRIPT)
    return path


@pytest.fixture
def two():
    path = Path("two.py")
    path.write_text(TWO)
    return path


def test_a_registered_script_is_listed_shown_and_run(command, output, weather):
    assert output("register", weather).startswith("registered weather@1 (pickle in local, ")
    heading, line = output("list").splitlines()
    assert heading.split() == ["flow", "version", "storage", "kind", "pinned", "labels", "created"]
    assert line.split()[:5] == ["weather", "1", "local", "pickle", "pinned"]
    weather.unlink()
    shown = output("show", "weather")
    assert "kind           pickle, pinned\n" in shown
    assert load("weather")._source.sha256 in shown
    code, out, err = command("run", "weather", "-p", "town=Oslo")
    assert (code, out) == (0, "measuring Oslo\n3.0\n")
    assert err.split() == ["task", "state", "measure", "success", "mean", "success"]


def test_an_unchanged_flow_adds_no_version_unless_forced(output, weather):
    output("register", weather)
    assert output("register", weather).startswith("unchanged weather@1 (")
    assert output("register", weather, "--json")[0]["unchanged"] is True
    assert output("register", weather, "--force").startswith("registered weather@2 (")


def test_all_flows_of_a_script_are_registered_each_in_its_own_storage(output, two):
    first, second = output("register", two, "--json")
    assert (first["flow"], second["flow"]) == ("first", "second")
    assert first["storage"]["options"]["directory"] != second["storage"]["options"]["directory"]
    assert second["storage"]["options"]["directory"] == os.path.abspath("own")
    assert second["storage"]["labels"] == ["mine"]


@pytest.mark.parametrize(
    ("wanted", "flow"), [("second", "second"), ("plain", "plain"), ("make", "made")]
)
def test_one_flow_is_named_by_its_name_its_function_or_what_makes_it(output, two, wanted, flow):
    assert [row["flow"] for row in output("register", f"{two}:{wanted}", "--json")] == [flow]


def test_labels_are_added_to_a_flows_own_storage(output, two):
    (row,) = output("register", f"{two}:second", "-l", "gpu", "--no-default-labels", "--json")
    assert row["storage"]["labels"] == ["gpu", "mine"]
    assert row["storage"]["default_labels"] == []
    assert row["storage"]["options"]["directory"] == os.path.abspath("own")


def test_labels_are_put_on_flows_without_a_storage_of_their_own(output, weather):
    (row,) = output("register", weather, "-l", "gpu", "--label", "big", "--json")
    assert row["storage"]["labels"] == ["big", "gpu"]
    assert len(row["storage"]["default_labels"]) == 1


def test_options_replace_a_flows_own_storage(output, two):
    arguments = ["--storage", "local", "-o", "directory=other", "-o", "labels=a,b", "-l", "c"]
    rows = output("register", two, *arguments, "--json")
    for row in rows:
        assert row["storage"]["options"]["directory"] == os.path.abspath("other")
        assert row["storage"]["labels"] == ["a", "b", "c"]


def test_the_storage_of_the_settings_takes_the_options_where_none_is_named(
    output, weather, monkeypatch
):
    monkeypatch.setenv("FLOWHOLD_STORAGE", "bytes")
    (row,) = output("register", weather, "-o", "labels=a", "--json")
    assert row["storage"]["type"] == "bytes"


def test_a_script_is_stored_with_its_files(output, weather):
    (row,) = output("register", weather, "--script", "--json")
    assert row["kind"] == "script"
    Path("towns.csv").write_text("Bern\n")
    Path("notes.txt").touch()
    arguments = ["--script", "-o", "include=*.csv", "-o", "include=*.txt"]
    (row,) = output("register", weather, *arguments, "--json")
    assert row["kind"] == "bundle"
    assert row["storage"]["options"]["include"] == ["*.csv", "*.txt"]


def test_a_script_can_be_registered_in_place(command, output, weather):
    (row,) = output("register", weather, "--script", "-o", f"path={weather}", "--json")
    assert (row["kind"], row["sha256"]) == ("script", None)
    weather.write_text(SCRIPT.replace("2.0", "6.0"))
    assert json.loads(command("run", "weather", "--json")[1])["result"] == 5.0


def test_a_module_stays_where_it_is(output, tmp_path, monkeypatch):
    module = tmp_path / "lib" / "weather_module.py"
    module.parent.mkdir()
    module.write_text(SCRIPT.replace('    print("measuring", town)\n', ""))
    monkeypatch.syspath_prepend(module.parent)
    (row,) = output("register", "-m", "weather_module", "--json")
    assert (row["kind"], row["location"]) == ("module", "weather_module")
    (row,) = output("register", "-m", "weather_module:flow", "-l", "gpu", "--json")
    assert (row["location"], row["storage"]["labels"]) == ("weather_module:flow", ["gpu"])
    assert output("run", "weather", "--json")["result"] == 3.0
    (row,) = output("register", "-m", "weather_module", "--storage", "module", "--json")
    assert row["location"] == "weather_module"
    (row,) = output("register", "-m", "weather_module", "--script", "--json")
    assert (row["kind"], row["storage"]["type"]) == ("script", "local")
    (row,) = output("register", "-m", "weather_module", "--pickle", "--json")
    assert row["kind"] == "pickle"


def test_list_shows_the_newest_version_of_each_flow(command, output, two):
    code, out, err = command("list")
    assert (code, out) == (0, "")
    assert "no flows in" in err
    assert output("list", "--json") == []
    output("register", two)
    output("register", f"{two}:first", "--force")
    rows = output("list", "--json")
    assert [(row["flow"], row["version"]) for row in rows] == [("first", 2), ("second", 1)]
    keys = {"flow", "version", "storage", "kind", "pinned", "signed", "labels", "created"}
    assert all(row.keys() == keys and row["pinned"] is True for row in rows)


def test_another_catalog_can_be_named(output, weather, tmp_path):
    url = (tmp_path / "elsewhere").as_uri()
    output("register", weather, "--catalog", url)
    assert output("list", "--json") == []
    assert output("list", "--catalog", url, "--json")[0]["flow"] == "weather"
    assert output("show", "weather", "--catalog", url, "--json")["version"] == 1


def test_show_gives_the_references_fields_and_they_are_a_reference(command, output, weather):
    output("register", weather)
    fields = output("show", "weather@1", "--json")
    assert fields == Catalog().get("weather", 1).to_dict()
    Path("weather.json").write_text(json.dumps(fields))
    assert output("show", "weather.json", "--json") == fields
    assert command("run", "weather.json")[0] == 0


def test_run_gives_state_result_and_tasks(output, capfd, weather):
    assert run(["run", "weather.py", "-p", "town=Oslo", "--json"]) == 0
    out, err = capfd.readouterr()
    assert err == "measuring Oslo\n"
    assert json.loads(out) == {
        "flow": "weather",
        "version": None,
        "state": "success",
        "result": 3.0,
        "tasks": {
            "measure": {"state": "success", "error": None},
            "mean": {"state": "success", "error": None},
        },
        "error": None,
    }


def test_parameters_are_json_or_else_text(output):
    Path("echo.py").write_text(
        "from flowhold import flow\n@flow\ndef echo(a, b, c, d, e):\n    return [a, b, c, d, e]\n"
    )
    given = ["-p", "a=1", "-p", 'b=["x", null]', "-p", "c=2024-01-01", "-p", "d=", "-p", "e=NaN"]
    outcome = output("run", "echo.py", *given, "--json")
    assert outcome["result"] == [1, ["x", None], "2024-01-01", "", "NaN"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("'two\\nlines'", "two\nlines\n"),
        ("{1, }", "{1}\n"),
        ("None", ""),
        ("float('nan')", "nan\n"),
        ("Bad()", "<Bad whose repr fails>\n"),
    ],
)
def test_the_result_is_printed_as_text_or_repr(command, value, shown):
    Path("it.py").write_text(
        "from flowhold import flow\nclass Bad:\n    def __repr__(self): raise ValueError\n"
        f"@flow\ndef it():\n    return {value}\n"
    )
    assert command("run", "it.py")[:2] == (0, shown)
    expected = None if value == "None" else shown.removesuffix("\n")
    assert json.loads(command("run", "it.py", "--json")[1])["result"] == expected


def test_a_failed_task_is_one_line_with_its_place_in_the_script(command):
    Path("bad.py").write_text(
        "from flowhold import Flow, task\n"
        "@task\ndef fails():\n    raise ValueError('no\\nluck')\n"
        "@task\ndef after(x): pass\n"
        "with Flow('bad') as flow:\n    after(fails())\n"
    )
    code, out, err = command("run", "bad.py")
    assert (code, out) == (1, "")
    *table, error = err.splitlines()
    assert [line.split() for line in table[1:]] == [["fails", "failed"], ["after", "skipped"]]
    assert error == "error: task 'fails' of 'bad' failed: ValueError: no luck (bad.py, line 4)"
    code, out, err = command("run", "bad.py", "--json")
    outcome = json.loads(out)
    assert (code, err, outcome["state"]) == (1, "", "failed")
    assert outcome["error"] == outcome["tasks"]["fails"]["error"]
    assert outcome["error"]["type"] == "ValueError"
    assert outcome["tasks"]["after"] == {"state": "skipped", "error": None}
    assert "Traceback" in command("run", "bad.py", "--debug")[2]


def test_each_of_several_errors_is_shown(command):
    Path("bad.py").write_text(
        "from flowhold import Flow, task\n"
        "@task\ndef fails(x):\n    raise ValueError(x)\n"
        "with Flow('bad') as flow:\n    fails('one'), fails('two')\n"
    )
    err = command("run", "bad.py")[2]
    assert "fails    failed  ValueError: one (bad.py, line 4)" in err
    assert "fails-2  failed  ValueError: two (bad.py, line 4)" in err


def test_an_object_with_a_name_and_a_run_method_is_run(command):
    Path("own.py").write_text(
        "class Own:\n    name = 'own'\n    def run(self, parameters={}):\n"
        "        return parameters['x'] * 2\n"
        "flow = Own()\n"
    )
    assert command("run", "own.py:flow", "-p", "x=4")[:2] == (0, "8\n")
    code, _, err = command("run", "own.py:flow")
    assert (code, err) == (1, "error: flow 'own' failed: KeyError: 'x' (own.py, line 4)\n")


@pytest.mark.parametrize("executor", ["threads:2", "threads", "processes:2"])
def test_a_flow_runs_on_an_executor(command, weather, executor):
    assert command("register", weather)[0] == 0
    code, out, _ = command("run", "weather", "--executor", executor, "--json")
    assert code == 0
    assert json.loads(out)["result"] == 3.0


def test_plugins_are_listed(output):
    rows = output("plugins", "--json")
    keys = {"name", "distribution", "version", "status", "hint", "error"}
    assert all(keys <= row.keys() for row in rows)
    status = {row["name"]: row["status"] for row in rows}
    assert status["local"] == "built-in"
    assert "local       storage  flowhold" in output("plugins")
    assert output("plugins", "--check", "--json") == rows


def test_plugins_check_fails_where_one_is_broken(command, tmp_path, monkeypatch):
    info = tmp_path / "site" / "acme_store-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-store\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[flowhold.storage.v1]\nacme = no_such_module\n")
    monkeypatch.syspath_prepend(info.parent)
    from flowhold import plugins

    monkeypatch.setattr(plugins, "_registry", lambda: new)
    from flowhold._registry import Registry

    new = Registry()
    assert command("plugins")[0] == 0
    code, out, _ = command("plugins", "--check")
    assert code == 1
    assert "acme-store" in out
    assert "broken" in out
    code, out, _ = command("doctor", "--json")
    check = {each["name"]: each for each in json.loads(out)["checks"]}["plugins"]
    assert (code, check["ok"]) == (1, False)
    assert "no_such_module" in check["detail"]


def test_doctor_finds_a_sound_installation_and_leaves_nothing(output, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    report = output("doctor", "--json")
    assert report["ok"] is True
    assert {check["name"] for check in report["checks"]} == {
        "python",
        "flowhold",
        "settings",
        "catalog",
        "storage",
        "cache",
        "plugins",
        "signing",
        "secrets",
    }
    assert all(check["ok"] for check in report["checks"])
    assert str(tmp_path / "flowhold" / "data" / "catalog") in output("doctor")
    assert sorted(tmp_path.rglob("*")) == before


def test_doctor_says_where_settings_and_secrets_come_from_and_no_value(
    output, tmp_path, monkeypatch
):
    config = tmp_path / "flowhold" / "config"
    (config / "config.toml").write_text("storage = 'module'\ncache_max_bytes = 1\n")
    (config / "secrets.toml").write_text("KEY = 'hidden-1'\n")
    (config / "secrets.toml").chmod(0o600)
    Path("flowhold.toml").write_text("storage = 'bytes'\n")
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", "hidden-2")
    (tmp_path / "mounted").mkdir()
    monkeypatch.setenv("FLOWHOLD_SECRETS_DIR", str(tmp_path / "mounted"))
    text = output("doctor")
    assert f"storage from {Path('flowhold.toml').absolute()}" in text
    assert f"cache_max_bytes from {config / 'config.toml'}" in text
    assert "data_dir from FLOWHOLD_DATA_DIR" in text
    assert "variables FLOWHOLD_SECRET_TOKEN; folder" in text
    assert "secrets.toml" in text
    assert "hidden" not in text


@pytest.mark.parametrize(
    ("name", "prepare", "said"),
    [
        ("settings", {"config.toml": "storag = 1"}, "did you mean storage"),
        ("secrets", {"secrets.toml": ""}, "chmod 600"),
        ("secrets", {"FLOWHOLD_SECRETS_DIR": "nowhere"}, "correct FLOWHOLD_SECRETS_DIR"),
        ("storage", {"FLOWHOLD_STORAGE": "s3"}, 'pip install "flowhold[s3]"'),
        ("catalog", {"FLOWHOLD_CATALOG": "a_file"}, "is not a folder"),
        ("catalog", {"FLOWHOLD_CATALOG": "s3://bucket"}, "pip install"),
        ("cache", {"FLOWHOLD_CACHE_DIR": "a_file/cache"}, "correct FLOWHOLD_CACHE_DIR"),
    ],
)
def test_doctor_says_what_is_wrong_and_what_to_do(
    command, core_alone, tmp_path, monkeypatch, name, prepare, said
):
    Path("a_file").touch()
    for key, value in prepare.items():
        if key.endswith(".toml"):
            (tmp_path / "flowhold" / "config" / key).write_text(value)
        else:
            monkeypatch.setenv(key, value)
    code, out, err = command("doctor")
    assert (code, err) == (1, "")
    line = next(line for line in out.splitlines() if line.split()[1:2] == [name])
    assert line.startswith("fail")
    assert said in line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_a_shell(command, shell):
    code, out, _ = command("completion", shell)
    assert code == 0
    assert "_FLOWHOLD_COMPLETE" in out
    assert json.loads(command("completion", shell, "--json")[1])["shell"] == shell


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("flowhold re", {"register"}),
        ("flowhold show wea", {"weather"}),
        ("flowhold show weather@", {"weather@1", "weather@2"}),
        ("flowhold run wea", {"weather", "wea"}),
        ("flowhold register --storage lo", {"local"}),
        ("flowhold list --cat", {"--catalog"}),
    ],
)
def test_a_shell_completes_commands_flows_and_storages(
    command, output, weather, monkeypatch, words, found
):
    output("register", weather)
    output("register", weather, "--force")
    monkeypatch.setenv("_FLOWHOLD_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    code, out, _ = command()
    assert code == 0
    assert {line.partition(",")[2] for line in out.split()} == found


def test_bash_completes_the_name_of_a_flow_to_run(output, weather, tmp_path):
    output("register", weather)
    (tmp_path / "completion").write_text(output("completion", "bash"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = (
        f"source {tmp_path}/completion; COMP_WORDS=(flowhold run wea); COMP_CWORD=2; "
        '_flowhold_completion flowhold 2>/dev/null; echo "${COMPREPLY[*]}"'
    )
    done = subprocess.run(
        ["bash", "-c", shell], env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "weather"


@pytest.mark.parametrize("words", ["flowhold show x", "flowhold register --storage x"])
def test_completion_is_silent_where_the_settings_are_wrong(command, monkeypatch, words):
    Path("flowhold.toml").write_text("storag = 1")
    monkeypatch.setenv("_FLOWHOLD_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert command() == (0, "\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_has_an_example(output, name):
    text = output(name, "--help")
    assert f"Example:\n    flowhold {name}" in text
    assert "--json" in text


def test_the_version_is_that_of_the_package(output):
    from flowhold import __version__

    assert output("--version") == f"flowhold {__version__}\n"
    assert output("--version", "--json") == {"version": __version__}
    assert output("--json", "list") == []


def test_local_storage_of_the_command_line_and_of_python_are_the_same(output, weather):
    (row,) = output("register", weather, "--storage", "local", "--json")
    assert row["storage"]["options"] == Local().serialize()["options"]
