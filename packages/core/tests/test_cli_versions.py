"""The commands for what is stored: fetch, verify, diff, rollback, prune, copy, cache, secrets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from flowhold import Catalog

SCRIPT = """
from flowhold import Flow, Parameter, task

@task
def measure(town):
    return [len(town), 2.0]

@task
def mean(values):
    return sum(values) / len(values)

with Flow("weather") as flow:
    mean(measure(Parameter("town", default="Bern")))
"""


@pytest.fixture
def weather(output):
    """Two versions, stored as scripts."""
    path = Path("weather.py")
    for number in ("2.0", "6.0"):
        path.write_text(SCRIPT.replace("2.0", number))
        output("register", path, "--script", "-o", "secrets=KEY")
    os.environ["FLOWHOLD_SECRET_KEY"] = "hidden-value"
    yield "weather"
    del os.environ["FLOWHOLD_SECRET_KEY"]


def error(result):
    code, out, err = result
    assert (out, "Traceback" in err) == ("", False)
    return code, err.splitlines()[0].removeprefix("error: ")


def test_a_version_is_fetched(output, command, weather):
    assert output("fetch", "weather@1", "out").splitlines() == [
        "out/reference.json",
        "out/weather.py",
    ]
    assert Path("out/weather.py").read_text() == SCRIPT
    assert json.loads(Path("out/reference.json").read_text()) == (
        output("show", "weather@1", "--json")
    )
    again = output("fetch", "out/reference.json", "other", "--json")
    assert again["files"] == ["reference.json", "weather.py"]
    assert again["folder"] == os.path.abspath("other")
    assert again["version"] == 1
    assert error(command("fetch", "weather", "out")) == (
        2,
        f"{os.path.abspath('out')} is not empty",
    )


def test_verify_tells_each_check_and_fails_where_one_does(output, command, weather):
    lines = output("verify", weather).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["ok", name]
        for name in [
            "signature",
            "storage",
            "credentials",
            "existence",
            "digest",
            "imports",
            "flow",
            "environment",
        ]
    ]
    assert "hidden" not in "".join(lines)
    document = output("verify", "weather@1", "--no-load", "--json")
    assert document["ok"] is True
    assert all({"name", "ok", "detail"} <= check.keys() for check in document["checks"])
    Path(Catalog().get("weather", 1).location).write_text("raise SystemExit")
    code, out, _ = command("verify", "weather@1", "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)
    code, out, _ = command("verify", "weather@1")
    assert code == 1
    assert "fail  digest" in out


def test_diff_shows_lines_and_nothing_where_nothing_differs(output, weather):
    text = output("diff", "weather@1", "weather@2")
    assert text.startswith("changed: weather.py\n--- a/weather.py\n+++ b/weather.py\n@@")
    assert "\n-    return [len(town), 2.0]\n+    return [len(town), 6.0]\n" in text
    (change,) = output("diff", "weather@1", "weather", "--json")["files"]
    assert (change["path"], change["change"]) == ("weather.py", "changed")
    assert output("diff", "weather", "weather@2") == "no difference\n"


def test_diff_shows_options_and_what_pickles_mention(output, weather):
    Path("weather.py").write_text(f"{SCRIPT}# a pickle\n")
    output("register", "weather.py", "-l", "gpu")
    found = output("diff", "weather@2", "weather@3", "--json")["options"]
    assert found["labels"] == {"before": [], "after": ["gpu"]}
    assert found["kind"] == {"before": "script", "after": "pickle"}
    lines = [line.split() for line in output("diff", "weather@2", "weather@3").splitlines()]
    assert ["options", "labels", "[]", '["gpu"]'] in lines
    assert ["options", "secrets", '["KEY"]', "[]"] in lines
    Path("weather.py").write_text(SCRIPT.replace("sum(values)", "max(values)"))
    output("register", "weather.py", "-l", "gpu")
    lines = output("diff", "weather@3", "weather@4").splitlines()
    assert lines[0].startswith("pickle: another content, ")
    assert set(lines[1:]) == {"- constant sum", "+ constant max"}


def test_diff_shows_no_control_characters(output):
    for number, text in enumerate(("one", "two\x1b]0;title\x07\ttab")):
        Path("weather.py").write_text(f"{SCRIPT}# {text}\n")
        output("register", "weather.py", "--script")
        assert number < 2
    text = output("diff", "weather@1", "weather@2")
    assert "+# two\\x1b]0;title\\x07\ttab\n" in text


def test_rollback_adds_the_old_version_again(output, command, weather):
    assert output("rollback", weather, 1) == "weather@3 is weather@1 again\n"
    shown = output("rollback", weather, 2, "--json")
    assert (shown["version"], shown["sha256"]) == (4, Catalog().get("weather", 2).sha256)
    assert error(command("rollback", weather, 9))[0] == 1
    assert error(command("rollback", weather, 0))[0] == 2


def test_prune_removes_old_versions_and_says_which(output, command, weather):
    assert output("prune", weather, "--keep", 1, "--dry-run") == "would remove weather@1\n"
    document = output("prune", weather, "--keep", 1, "--json")
    assert (document["flow"], document["dry_run"]) == ("weather", False)
    assert [each["version"] for each in document["removed"]] == [1]
    assert not Path(document["removed"][0]["location"]).exists()
    assert command("prune", weather, "--keep", 1) == (
        0,
        "",
        "weather has no more than 1 versions\n",
    )
    assert error(command("prune", weather, "--keep", 0))[0] == 2
    assert error(command("prune", weather))[0] == 2


def test_copy_puts_a_version_into_another_storage(output, command, weather):
    assert output("copy", "weather@1", "--to", "bytes") == (
        "copied weather@1 in local to weather@3 in bytes\n"
    )
    (row,) = output("copy", weather, "--to", "local", "-o", "directory=new", "--json")
    assert row["storage"]["options"]["directory"] == os.path.abspath("new")
    assert row["copied_from"]["version"] == 3
    assert json.loads(command("run", weather, "--json")[1])["result"] == 3.0


def test_copy_takes_all_versions_to_another_catalog(output, weather):
    rows = output("copy", weather, "--all", "--to", "bytes", "--to-catalog", "other", "--json")
    assert [row["version"] for row in rows] == [1, 2]
    assert output("list", "--catalog", "other", "--json")[0]["version"] == 2
    assert output("list", "--json")[0]["version"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing", "--to", "bytes"], 1, "no flow 'nothing'"),
        (["nothing", "--all", "--to", "bytes"], 1, "no flow 'nothing'"),
        (["weather@1", "--all", "--to", "bytes"], 2, "--all takes NAME"),
        (["weather", "--to", "s3"], 1, "no storage 's3' is installed"),
        (["weather", "--to", "local", "-o", "nope=1"], 2, "local storage has no option 'nope'"),
        (["weather", "--to", "module", "-o", "module=x"], 1, "Module storage keeps no copies"),
        (["weather.py", "--to", "bytes"], 2, "Invalid value for NAME[@VERSION]"),
        (["weather"], 2, "Missing option '--to'"),
    ],
)
def test_copy_says_what_is_wrong(core_alone, command, weather, arguments, code, said):
    found, message = error(command("copy", *arguments))
    assert (found, message[: len(said)]) == (code, said)
    assert Catalog().versions("weather") == [1, 2]


def test_the_cache_is_shown_and_pruned(output, command, weather):
    code, out, err = command("cache", "show")
    assert (code, out) == (0, "")
    assert "0 of 5,368,709,120 bytes" in err
    command("run", weather)
    document = output("cache", "show", "--json")
    (entry,) = document["entries"]
    assert entry["kind"] == "tree"
    assert entry["in_use"] is True
    assert document["size"] == entry["size"] > 100
    code, out, _ = command("cache", "show")
    assert entry["digest"][:16] in out
    assert output("cache", "prune", "--all") == "0 removed, 0 bytes\n"
    for arguments in ([], ["--max-bytes", "0"], ["--older-than", "1.5"]):
        assert output("cache", "prune", *arguments, "--json") == {"freed": 0, "removed": []}


def test_secrets_are_found_and_never_shown(output, command, weather, tmp_path, monkeypatch):
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "FILED").write_text("hidden-value")
    monkeypatch.setenv("FLOWHOLD_SECRETS_DIR", str(tmp_path / "mounted"))
    toml = tmp_path / "flowhold/config/secrets.toml"
    toml.write_text("LISTED = 'hidden-value'\n")
    toml.chmod(0o600)
    text = output("secrets", "check", "KEY", "FILED", "LISTED")
    assert "variable FLOWHOLD_SECRET_KEY" in text
    assert f"file {tmp_path / 'mounted' / 'FILED'}" in text
    assert f"file {toml}" in text
    assert "hidden" not in text
    document = output("secrets", "check", "--flow", "weather@1", "--json")
    assert document == {
        "ok": True,
        "secrets": [
            {
                "name": "KEY",
                "found": True,
                "where": "variable FLOWHOLD_SECRET_KEY",
                "error": None,
            }
        ],
    }


def test_a_missing_secret_or_a_file_that_others_can_read_fails(command, tmp_path):
    code, out, err = command("secrets", "check", "NONE")
    assert (code, err) == (1, "")
    assert out.splitlines()[1].split() == ["fail", "NONE", "not", "found"]
    toml = tmp_path / "flowhold/config/secrets.toml"
    toml.write_text("LISTED = 'hidden-value'\n")
    toml.chmod(0o644)
    code, out, _ = command("secrets", "check", "LISTED", "--json")
    assert code == 1
    assert "chmod 600" in json.loads(out)["secrets"][0]["error"]
    assert "hidden" not in out


def test_a_flow_without_secrets_needs_none(command, output):
    Path("weather.py").write_text(SCRIPT)
    output("register", "weather.py")
    assert command("secrets", "check", "--flow", "weather") == (
        0,
        "",
        "weather names no secrets\n",
    )
    assert error(command("secrets", "check"))[0] == 2


def test_a_flow_is_drawn(output, weather):
    text = output("show", weather, "--graph")
    assert text.startswith('flowchart TD\n    p0(["town"])\n    t0["measure"]\n')
    document = output("show", "weather@1", "--graph", "--json")
    assert document == {"flow": "weather", "version": 1, "graph": text.removesuffix("\n")}


def test_a_flow_whose_bytes_were_changed_is_not_drawn(command, weather):
    Path(Catalog().get("weather").location).write_text("open('ran', 'w')")
    code, message = error(command("show", weather, "--graph"))
    assert (code, "is not the one that was recorded" in message) == (1, True)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("group", "wrong", "said"),
    [
        ("cache", "sho", "did you mean show?"),
        ("cache", "frobnicate", "known: prune, show"),
        ("secrets", "list", "known: check"),
    ],
)
def test_commands_of_groups_are_told_with_those_like_them(command, group, wrong, said):
    code, message = error(command(group, wrong))
    assert (code, message) == (2, f"there is no command {wrong!r}; {said}")
    assert error(command(group)) == (2, "Missing command.")


@pytest.mark.parametrize("words", [("cache", "show"), ("cache", "prune"), ("secrets", "check")])
def test_help_of_each_command_of_a_group_has_an_example(output, words):
    text = output(*words, "--help")
    assert f"Example:\n    flowhold {' '.join(words)}" in text
    assert "--json" in text


def test_an_error_of_a_group_is_one_document(command):
    code, out, err = command("cache", "frobnicate", "--json")
    assert (code, err) == (2, "")
    assert json.loads(out)["error"]["type"] == "UsageError"
