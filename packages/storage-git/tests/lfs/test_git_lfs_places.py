"""Where LFS is: in a repository's folder, or where its host says by ssh."""

from __future__ import annotations

import json
import shlex
import sys

import pytest

from flowhold.errors import FlowholdError, StorageError

from .cases import CONTENT, TOKEN, checked_out, load, refused, sent


@pytest.mark.parametrize("place", ["lfs", ".git/lfs"])
def test_files_of_a_folder_are_found_in_it(server, storage, repository, tmp_path, place):
    (oid,) = server.lfs.contents
    work = tmp_path / "served" / "work"
    repository.git("clone", "-q", repository.url, str(work), "--bare" if place == "lfs" else "-q")
    file = work / place / "objects" / oid[:2] / oid[2:4] / oid
    refused(storage(git_clone_url=work.as_uri()), StorageError, r"does not have model\.bin")
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    assert load(storage(git_clone_url=work.as_uri())).run().result == len(CONTENT)
    assert (checked_out() / "model.bin").read_bytes() == CONTENT


SSH = """
import os, sys
words = sys.argv[1:]
place, command = words[words.index("--") + 1:]
open({log!r}, "a").write(command + "\\n")
if command.startswith("git-lfs-authenticate"):
    print({answer!r})
    sys.exit({status})
os.execvp("sh", ["sh", "-c", command])
"""


@pytest.fixture
def by_ssh(tmp_path, monkeypatch, repository, storage):
    """Return a function that makes the storage by an ssh that answers for LFS as told."""

    def by_ssh(answer, status=0):
        program = tmp_path / "ssh.py"
        text = json.dumps(answer) if isinstance(answer, dict) else answer
        program.write_text(SSH.format(log=str(tmp_path / "log"), answer=text, status=status))
        monkeypatch.setenv("GIT_SSH_COMMAND", shlex.join([sys.executable, str(program)]))
        return storage(git_clone_url=f"ssh://git@127.0.0.1{repository.path}")

    return by_ssh


def test_by_ssh_the_host_tells_where_lfs_is_and_the_login(
    by_ssh, server, secured, certificate, monkeypatch, tmp_path, repository
):
    url = f"https://127.0.0.1:{secured(server.server_address[1])}"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[1]))
    server.users = {"remote": "auth"}
    server.lfs.href = url
    login = {"Authorization": "Basic cmVtb3RlOmF1dGg="}
    answer = {"href": f"{url}/flows.git/info/lfs", "header": login, "expires_in": 60}
    assert load(by_ssh(answer)).run().result == len(CONTENT)
    assert sent(server, "/objects/batch")[0]["authorization"] == login["Authorization"]
    asked = (tmp_path / "log").read_text().splitlines()[-1]
    assert asked == f"git-lfs-authenticate {str(repository.path).lstrip('/')} download"


def test_by_ssh_nothing_is_sent_in_clear_text(by_ssh, server):
    answer = {"href": f"{server.url}/flows.git/info/lfs", "header": {"Authorization": TOKEN}}
    refused(by_ssh(answer), StorageError, "connection in clear text")
    assert server.requests == []


@pytest.mark.parametrize("answer", ["", "x", "[]", "{}", "null"])
def test_by_ssh_a_host_without_lfs_is_told_of(by_ssh, answer):
    assert isinstance(refused(by_ssh(answer, status=1), FlowholdError), StorageError)
