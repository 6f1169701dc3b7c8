"""Whatever a repository holds, nothing is written outside of the cache, and nothing of it runs."""

from __future__ import annotations

import os

import pytest
from git_repositories import executable, symlink

from flowhold.errors import FlowholdError, FlowNotFoundError

from .evil import FILE, FOLDER, LINK, SCRIPT, SUBMODULE

UNSAFE = [
    b"..",
    b".",
    b"/",
    b"a/b",
    b"/etc/escape",
    b"../escape",
    b"a/../../escape",
    b"a//b",
    b"a/",
]
UNSAFE += [
    b".git",
    b".GIT",
    b".Git",
    b".git ",
    b".git.",
    b".git . .",
    b"...",
    b"git~1",
    b"GIT~1",
    b"gIt~1.",
]
UNSAFE += [b".git::$INDEX_ALLOCATION", b".git\\config", b"a\\.git", b"x" * 256]
UNSAFE += [text.encode() for text in (".g\u200cit", "\ufeff.git", ".gi\u200dT", "git~1\u200e")]

pytestmark = pytest.mark.promise(
    "path escapes, git: a repository writes nothing elsewhere, and runs nothing"
)


@pytest.mark.parametrize("name", UNSAFE, ids=repr)
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_names_that_leave_their_folder_or_are_gits_own_are_refused(local, name, kind):
    blob = local.repository.blob(b"/etc")
    entry = {
        "file": (FILE, name, blob),
        "link": (LINK, name, blob),
        "folder": (FOLDER, name, local.tree((FILE, b"config", blob))),
    }[kind]
    local.commit(entry)
    assert "is not safe to check out" in local.refused()


@pytest.mark.parametrize("name", [b"..", b".git", b".GIT."])
def test_such_names_are_refused_in_any_folder(hostile, name):
    inner = hostile.tree((FILE, name, hostile.repository.blob(b"x")))
    hostile.commit((FOLDER, b"a", hostile.tree((FOLDER, b"b", inner))))
    assert "'a/b/'" in hostile.refused(match="not safe")


def test_a_file_without_a_name_is_refused(local):
    local.commit((FILE, b"", local.repository.blob(b"x")))
    local.refused()


def test_a_submodule_whose_name_is_gits_own_is_refused(hostile):
    hostile.commit((SUBMODULE, b".git", "1" * 40))
    hostile.refused(match="not safe", submodules=True)


@pytest.mark.parametrize(
    "kinds", [(FILE, FILE), (FILE, FOLDER), (LINK, FOLDER), (FOLDER, LINK), (FOLDER, FOLDER)]
)
def test_two_entries_of_one_name_are_refused(hostile, kinds):
    target = hostile.repository.blob(b"..")
    folder = hostile.tree((FILE, b"escape", target))
    shas = {FILE: target, LINK: target, FOLDER: folder}
    hostile.commit(*((kind, b"twice", shas[kind]) for kind in kinds))
    hostile.refused(match="not safe")


ODD = [
    "new\nline",
    "back\\slash",
    "'quote\"",
    "-dash",
    "--upload-pack=x",
    " space ",
    "a:b",
    "$(id)",
]
ODD += ["\U0001f600", "é", "e\u0301", "\udcff\udcfe", "x" * 255, "*?[", "%s%n", "~", "\x01\x1b[2J"]
ODD += ["aux", "..a", ".gitignore", ".gitattributes", "git~2", "C:", "con.txt", "\u202egpj.exe"]


def test_odd_names_are_checked_out_as_they_are(hostile):
    blob = hostile.repository.blob(b"odd")
    entries = [(FILE, os.fsencode(name), blob) for name in ODD]
    hostile.commit(*entries, (FOLDER, b"in\n \xff", hostile.tree(*entries)))
    root = hostile.root()
    for name in ODD:
        assert (root / name).read_bytes() == b"odd"
        assert (root / "in\n \udcff" / name).read_bytes() == b"odd"
    assert len(os.listdir(root)) == len(ODD) + 2


LEAVING = {
    "absolute": {"link": "/etc/passwd"},
    "the root": {"link": "/"},
    "upwards": {"link": "../" * 30 + "etc/passwd"},
    "the cache's own file": {"link": "../manifest"},
    "from below": {"link": "a/b/c", "a/b/c": "../../../x"},
    "upwards and absolute": {"link": "a/../../../../../../../../../../../../../../etc"},
    "a chain": {"link": "a/next", "a/next": "../far", "far": "/etc"},
    "only together": {"link": "d/up/../..", "d/up": ".."},
    "out and in again": {"link": "../files/flow.py"},
    "by one that is left out": {"link": "gone/../../x", "gone": "../" * 9, "d/e": "."},
    "the home": {"link": "~/../../../../../../../../../../../etc"},
}


@pytest.mark.parametrize("case", LEAVING)
def test_links_that_lead_out_are_left_out(hostile, case, caplog):
    hostile.repository.commit(
        {"flow.py": SCRIPT} | {name: symlink(target) for name, target in LEAVING[case].items()}
    )
    root = hostile.root()
    assert not os.path.lexists(root / "link")
    for path in root.rglob("*"):
        assert path.resolve().is_relative_to(root)
    assert "leads out of the repository and is left out" in caplog.text


NOWHERE = {
    "itself": b"link",
    "each other": b"other",
    "itself, and deeper": b"link/link",
    "nothing": b"",
    "a target with a zero byte": b"/etc\0",
    "a target that is too long": b"a/" * 3000,
    "a name that is too long": b"a" * 300,
    "a place that is not there": b"not/there",
    "no text": b"\xff\xfe\n",
}


@pytest.mark.parametrize("case", NOWHERE)
def test_links_to_nowhere_do_no_harm(hostile, case):
    hostile.repository.commit(
        {"flow.py": SCRIPT, "link": symlink(NOWHERE[case]), "other": symlink("link")}
    )
    root = hostile.root()
    with pytest.raises(OSError, match=r"."):
        (root / "link").read_bytes()


def test_a_chain_of_thousands_of_links_does_no_harm(local):
    chain = {f"{number:04}": symlink(f"{number + 1:04}") for number in range(3000)}
    for end in ("/etc", "flow.py"):
        local.repository.commit({"flow.py": SCRIPT, **chain, "3000": symlink(end)})
        root = local.root()
        for path in root.iterdir():
            assert not os.path.realpath(path).startswith("/etc")


def test_a_script_that_is_a_link_out_of_the_repository_is_not_there(hostile, tmp_path):
    secret = tmp_path / "secret.py"
    secret.write_bytes(SCRIPT)
    hostile.repository.commit({"flow.py": symlink(str(secret))})
    with pytest.raises(FlowNotFoundError, match=r"no file flow\.py"):
        hostile.load()


def test_nothing_in_a_repository_runs(hostile, tmp_path):
    ran = tmp_path / "work" / "ran"
    program = executable(f"#!/bin/sh\ntouch {ran}\n")
    config = f'[core]\n\tfsmonitor = touch {ran}\n\thooksPath = hooks\n[filter "x"]\n'
    config += f"\tsmudge = touch {ran}\n\tprocess = touch {ran}\n\trequired = true\n"
    names = ["applypatch-msg", "fsmonitor-watchman", "post-checkout", "post-merge", "pre-commit"]
    hooks = {f"{folder}/{name}": program for folder in ("hooks", ".githooks") for name in names}
    hostile.repository.commit(
        {
            "flow.py": SCRIPT,
            ".gitattributes": "* filter=x diff=x merge=x\n",
            ".gitconfig": config,
            ".lfsconfig": f"[lfs]\n\turl = ext::touch {ran}\n",
            "bare/HEAD": "ref: refs/heads/main\n",
            "bare/config": config,
            "bare/objects/x": "",
            "bare/refs/x": "",
            "conftest.py": f"open({str(ran)!r}, 'w')\n",
            "sitecustomize.py": f"open({str(ran)!r}, 'w')\n",
            "flow.pth": f"import os; open({str(ran)!r}, 'w')\n",
            **hooks,
        }
    )
    own = hostile.repository.path
    (own / "hooks").mkdir()
    for name in names:
        (own / "hooks" / name).write_text(program.content)
        (own / "hooks" / name).chmod(0o700)
    with open(own / "config", "a") as file:
        file.write(config)
    hostile.root()
    assert not ran.exists()


def test_a_folder_that_is_a_file_is_refused(local):
    local.commit((FOLDER, b"a", local.repository.blob(b"x")))
    local.refused()
    local.commit((FILE, b"a", local.tree()))
    local.refused()


@pytest.mark.parametrize("text", ["", "tree\n", "tree 123\n", "parent x\n", "tree " + "g" * 40])
def test_a_commit_that_is_damaged_is_refused(local, text):
    sha = local.repository.git(
        "hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=text.encode()
    )
    local.refused(FlowholdError, commit=sha)
