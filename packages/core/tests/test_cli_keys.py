"""``flowhold keys``, and what the other commands tell of signatures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from flowhold import Catalog, keyring
from flowhold.keys import PublicKey

CONFIG = Path("../flowhold/config")


@pytest.fixture(autouse=True)
def etl():
    Path("etl.py").write_text("from flowhold import flow\n\n@flow\ndef etl():\n    return 1\n")


@pytest.fixture
def release(output):
    document = output("keys", "new", "release", "--json")
    return PublicKey.from_text(document["public"])


def error(result):
    code, out, err = result
    assert (out, "Traceback" in err) == ("", False)
    return code, err.splitlines()[0].removeprefix("error: ")


def test_a_new_key_is_shown_with_what_to_pass_on(output, command):
    first, line = output("keys", "new", "release", "--expires", "2030-12-31").splitlines()
    (key,) = keyring.own()
    path = keyring.folder() / "release.pub"
    assert first == f"made {key}; its public key, in {path}:"
    assert line == key.to_text() == path.read_text().rstrip()
    assert line.endswith(" release expires=2030-12-31")
    document = output("keys", "new", "other", "--json")
    assert document.keys() == {"name", "id", "state", "expires", "public", "path"}
    assert "PRIVATE" not in json.dumps(document)
    assert error(command("keys", "new", "other"))[0] == 2
    assert error(command("keys", "new", "x", "--expires", "tomorrow"))[0] == 2
    assert error(command("keys", "new", "a/b"))[0] == 2


def test_keys_are_listed_with_what_they_are(output, command, release):
    (path,) = CONFIG.glob("keys/*.pub")
    old = PublicKey(bytes(32), "old").to_text()
    output("keys", "trust", path)
    output("keys", "trust", old, "--name", "theirs", "--expires", "2020-01-31")
    output("keys", "revoke", "0123456789abcdef")
    rows = {row["name"]: row for row in output("keys", "list", "--json")}
    assert rows["release"] == {
        "name": "release",
        "id": release.id,
        "state": "ok",
        "expires": None,
        "private": True,
        "trusted": True,
    }
    theirs = rows["theirs"]
    assert (theirs["state"], theirs["private"], theirs["trusted"]) == ("expired", False, True)
    assert rows[None]["state"] == "revoked"
    lines = [line.split() for line in output("keys", "list").splitlines()]
    assert lines[0] == ["name", "id", "state", "expires", "private", "trusted"]
    assert ["release", release.id, "ok", "yes", "yes"] in lines


def test_where_there_are_no_keys_the_list_says_how_to_make_one(command):
    code, out, err = command("keys", "list")
    assert (code, out) == (0, "")
    assert "`flowhold keys new NAME` makes one" in err


def test_a_key_is_trusted_by_file_text_or_name(output, command, release):
    shutil.copy(CONFIG / "keys" / "release.pub", "their.pub")
    for given in ("their.pub", release.to_text(), "release"):
        text = output("keys", "trust", given)
        assert text.startswith(f"{release} is trusted")
    document = output("keys", "trust", "release", "--json")
    assert Path(document["path"]).read_text() == release.to_text() + "\n"
    for given in ("nothing.pub", "no key", "etl.py"):
        assert error(command("keys", "trust", given))[0] == 2


def test_a_last_day_can_only_be_brought_forward(output):
    line = PublicKey(bytes(32), "their").to_text() + " expires=2030-06-01"
    for given, expected in (("2029-01-01", "2029-01-01"), ("2031-01-01", "2030-06-01")):
        document = output("keys", "trust", line, "--expires", given, "--json")
        assert document["expires"] == expected


def test_a_setting_that_chooses_other_keys_is_told(command, release, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_TRUSTED_KEYS", PublicKey(bytes(32), "other").to_text())
    code, _, err = command("keys", "trust", "release")
    assert (code, err) == (
        0,
        "warning: the setting trusted_keys names others; add 'release' to it\n",
    )


def test_flows_are_signed_listed_shown_and_verified(output, command, release):
    line = output("register", "etl.py", "--sign", "release")
    assert line.endswith(f"pinned, labels {Catalog().get('etl').labels[0]}, signed by {release})\n")
    (row,) = output("register", "etl.py", "--sign", "release", "--json")
    assert row["unchanged"] is True
    assert row["signed"]["signatures"][0]["keyid"] == release.id
    assert "pinned, signed" in output("list")
    assert output("list", "--json")[0]["signed"] is True
    assert f"signed by      {release}\n" in output("show", "etl")
    assert "not checked: no key is trusted here" in output("verify", "etl")
    output("keys", "trust", "release")
    assert f"signed by {release}, trusted" in output("verify", "etl")
    assert command("run", "etl")[:2] == (0, "1\n")
    Path("etl.json").write_text(json.dumps(output("show", "etl", "--json")))
    assert command("run", "etl.json")[:2] == (0, "1\n")


def test_flows_that_are_not_signed_are_refused_and_how_to_go_on_is_said(output, command, release):
    output("register", "etl.py")
    assert output("list", "--json")[0]["signed"] is False
    output("keys", "trust", "release")
    code, _, err = command("run", "etl")
    assert code == 1
    assert "the reference of 'etl' is not signed, and only signed ones load here" in err
    assert "`--sign KEY`" in err
    assert error(command("run", "etl.py"))[0] == 1
    code, out, _ = command("verify", "etl", "--json")
    assert (code, json.loads(out)["checks"][0]["ok"]) == (1, False)
    assert "etl@2" in output("register", "etl.py", "--sign", "release")
    assert command("run", "etl")[0] == 0


def test_a_flow_is_signed_with_several_keys_and_one_from_a_file(output, release):
    output("keys", "new", "next")
    Path("elsewhere").mkdir()
    for kind in ("key", "pub"):
        (CONFIG / "keys" / f"next.{kind}").rename(f"elsewhere/ci.{kind}")
    output("register", "etl.py", "--sign", "release", "--sign", "elsewhere/ci.key")
    text = output("show", "etl")
    assert text.splitlines()[-1].startswith(f"signed by      {release}, ")
    output("keys", "trust", "elsewhere/ci.pub")
    assert "signed by next (" in output("verify", "etl")


def test_a_key_that_is_wrong_is_told_before_anything_is_stored(command, output, release):
    for key in ("nobody", "etl.py", "./none.key"):
        assert error(command("register", "etl.py", "--sign", key))[0] == 2
    output("keys", "revoke", "release")
    assert (
        "is revoked, so it does not sign"
        in error(command("register", "etl.py", "--sign", "release"))[1]
    )
    assert not [*Path("../flowhold/data").rglob("*")]


def test_a_revoked_key_counts_no_more(output, command, release):
    output("register", "etl.py", "--sign", "release")
    output("keys", "trust", "release")
    assert output("keys", "revoke", release.id) == (
        f"{release} is revoked: what it has signed does not load here\n"
    )
    assert output("keys", "revoke", "release", "--json") == {"id": release.id, "names": ["release"]}
    assert "is revoked" in command("run", "etl")[2]
    assert error(command("keys", "revoke", "nobody"))[0] == 2


def test_a_rollback_is_signed(output, command, release):
    output("register", "etl.py", "--sign", "release")
    assert error(command("rollback", "etl", 1)) == (
        1,
        "etl@1 is signed, and a new version needs a signature of its own",
    )
    document = output("rollback", "etl", 1, "--sign", "release", "--json")
    assert (document["version"], "signed" in document) == (2, True)


def test_copies_are_signed_or_it_is_said_that_they_are_not(output, command, release):
    output("register", "etl.py", "--sign", "release")
    code, out, err = command("copy", "etl", "--to", "bytes", "--json")
    assert code == 0
    assert err == (
        "warning: the copies are not signed, as the originals are; --sign KEY signs copies\n"
    )
    assert "signed" in json.loads(out)[0]["copied_from"]
    (row,) = output("copy", "etl@1", "--to", "bytes", "--sign", "release", "--json")
    assert row["signed"]["signatures"][0]["keyid"] == release.id
    output("keys", "trust", "release")
    text = output("verify", "etl", "--no-load")
    assert f"signed by {release}, trusted; a copy of etl@1, signed by {release}, trusted" in text


def test_doctor_tells_what_is_asked_for_and_what_is_wrong(output, command, release):
    def check():
        report = json.loads(command("doctor", "--json")[1])
        return next(check for check in report["checks"] if check["name"] == "signing")

    assert check()["detail"] == "no signature is asked for: unsigned flows load"
    output("keys", "trust", "release")
    assert check()["detail"] == f"trusted: {release}"
    output("keys", "trust", PublicKey(bytes(32), "old").to_text(), "--expires", "2020-01-01")
    assert check()["detail"].endswith("expired on 2020-01-01")
    assert check()["ok"] is True
    output("keys", "revoke", "release")
    assert (check()["ok"], check()["hint"]) == (False, "`flowhold keys trust FILE` adds one")
    keyring.private_path("release").chmod(0o644)
    assert "other users may read" in check()["detail"]


def test_a_catalog_that_was_set_back_is_told(output, command):
    for _ in range(2):
        output("register", "etl.py", "--force")
    Path("../flowhold/data/catalog/etl/0000000002.json").unlink()
    code, _, err = command("run", "etl")
    assert code == 1
    assert "had version 2 of 'etl', and its newest is 1 now" in err
    code, out, _ = command("list", "--json")
    assert (code, json.loads(out)[0]["error"]["type"]) == (1, "IntegrityError")
    assert command("run", "etl@1")[0] == 0
