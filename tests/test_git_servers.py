"""The git servers and repositories that other tests use: git's command line is their client."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from git_repositories import (
    ISOLATED,
    big_repository,
    executable,
    gitlink,
    make_repository,
    symlink,
)
from git_servers import serving_git, serving_http, serving_ssh

PARTIAL = ("--filter=blob:none", "--no-checkout")


def git(*words, cwd=None, status=0, **env):
    """Run git, and return what it says."""
    done = subprocess.run(
        ["git", *map(str, words)],
        cwd=cwd,
        env=ISOLATED | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert (done.returncode == 0) == (status == 0), done.stdout
    return done.stdout.strip()


@pytest.fixture
def served(tmp_path):
    """A folder with the repository owner/flows.git, and where to clone it to."""
    folder = tmp_path / "served folder"
    repository = make_repository(folder / "owner" / "flows.git")
    sha = repository.commit({"flow.py": "flow = 1\n", "data/a b.txt": b"\0\xff"})
    clone = tmp_path / "clone"
    return SimpleNamespace(folder=folder, repository=repository, sha=sha, clone=clone)


def proves(served):
    assert git("rev-parse", "HEAD", cwd=served.clone) == served.sha
    assert (served.clone / "data" / "a b.txt").read_bytes() == b"\0\xff"


def test_http_serves_a_clone_and_counts_it(served):
    with serving_http(served.folder) as server:
        git("clone", "-q", f"{server.url}/owner/flows.git", served.clone)
        proves(served)
        assert (server.ls_refs, server.fetches) == (1, 1)
        first = server.requests[0]
        assert first[:3] == ("GET", "/owner/flows.git/info/refs", "service=git-upload-pack")
        assert first.headers["git-protocol"] == "version=2"
        assert first.status == 200
        server.reset()
        git("fetch", "-q", cwd=served.clone)
        assert (server.ls_refs, server.fetches) == (1, 0)


def test_http_of_an_old_server_lists_references_at_once(served):
    with serving_http(served.folder, protocol_v0=True) as server:
        git("clone", "-q", f"{server.url}/owner/flows.git", served.clone)
        proves(served)
        assert (server.ls_refs, server.fetches, len(server.requests)) == (1, 1, 2)


def test_http_counts_a_request_that_is_compressed(served):
    for number in range(60):
        served.repository.commit({"n": str(number)}, branch=f"branch-{number}")
    with serving_http(served.folder) as server:
        git("clone", "-q", f"{server.url}/owner/flows.git", served.clone)
        (fetch,) = [it for it in server.requests if it.command == "fetch"]
        assert fetch.headers["content-encoding"] == "gzip"
        assert server.fetches == 1


@pytest.mark.parametrize(
    ("login", "accepted"),
    [
        ("", False),
        ("ann:pass%40word@", True),
        ("ann:wrong@", False),
        ("eve:token@", True),
        ("token@", True),
    ],
)
def test_http_with_logins_lets_in_who_has_one(served, login, accepted):
    with serving_http(served.folder, users={"ann": "pass@word", None: "token"}) as server:
        url = f"{server.url}/owner/flows.git".replace("//", f"//{login}", 1)
        git("clone", "-q", url, served.clone, status=not accepted, GIT_ASKPASS="true")
        statuses = [it.status for it in server.requests]
        assert statuses[0] == 401
        assert (200 in statuses) == accepted
        assert server.fetches == accepted


def test_https_serves_whoever_trusts_its_certificate(served, git_certificate):
    with serving_http(served.folder, certificate=git_certificate) as server:
        url, _ = address(server)
        assert url.startswith(f"https://{server.host}/")
        assert "certificate" in git("clone", "-q", url, served.clone, status=128)
        assert not server.requests
        git("clone", "-q", url, served.clone, GIT_SSL_CAINFO=str(git_certificate))
        proves(served)


def test_http_of_a_repository_that_is_not_there_is_not_found(served):
    with serving_http(served.folder) as server:
        said = git("clone", "-q", f"{server.url}/owner/none.git", served.clone, status=128)
        assert "not found" in said
        assert [it.status for it in server.requests] == [404]


@pytest.mark.parametrize("serving", [serving_http, serving_git, serving_ssh])
def test_a_filter_is_heeded_only_where_it_is_allowed(served, serving):
    for allowed in (True, False):
        with serving(served.folder, allow_filter=allowed) as server:
            url, env = address(server)
            clone = served.folder / f"clone-{allowed}"
            said = git("clone", "-q", *PARTIAL, url, clone, **env)
            missing = git("rev-list", "--objects", "--all", "--missing=print", cwd=clone)
            assert ("filtering not recognized" in said) == (not allowed)
            assert ("?" in missing) == allowed


def address(server):
    """Return the URL of the repository, and the environment of git for it."""
    if callable(server.url):
        return server.url("owner/flows.git"), {"GIT_SSH_COMMAND": server.command()}
    return f"{server.url}/owner/flows.git", {}


def test_http_may_refuse_a_filter_that_it_offered(served):
    with serving_http(served.folder) as server:
        server.refuse_filter = True
        url, _ = address(server)
        git("clone", "-q", *PARTIAL, url, served.clone, status=128)
        git("clone", "-q", url, served.clone)


@pytest.mark.parametrize("allowed", [True, False])
def test_any_commit_can_be_fetched_from_an_old_server_where_that_is_allowed(served, allowed):
    served.repository.commit({"flow.py": "flow = 2\n"})
    with serving_http(served.folder, allow_any=allowed, protocol_v0=True) as server:
        git("init", "-q", served.clone)
        git("fetch", "-q", address(server)[0], served.sha, cwd=served.clone, status=not allowed)


def test_http_spoils_answers_as_told(served):
    with serving_http(served.folder) as good, serving_http(served.folder) as server:
        url, _ = address(server)
        server.fail, server.retry_after = [503, 429], 7
        for status in (503, 429, 200):
            answer = get(server)
            assert answer.status == status
            assert answer.getheader("Retry-After") == (None if status == 200 else "7")
        server.truncate = 20
        with pytest.raises(http.client.IncompleteRead):
            get(server)
        git("clone", "-q", url, served.clone, status=128)
        server.reset()
        server.stall = 60
        with pytest.raises(TimeoutError):
            get(server, timeout=0.1)
        server.reset()
        server.redirect_to = good.url
        git("clone", "-q", url, served.clone)
        proves(served)
        assert (good.fetches, server.fetches) == (1, 0)


def get(server, timeout=30):
    """Ask for the references, and return the answer."""
    connection = http.client.HTTPConnection(*server.server_address, timeout=timeout)
    try:
        connection.request("GET", "/owner/flows.git/info/refs?service=git-upload-pack")
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()


def test_http_keeps_a_connection_and_ends_with_those_that_are_open(served):
    with serving_http(served.folder) as server:
        client = http.client.HTTPConnection(*server.server_address, timeout=30)
        for _ in range(2):
            client.request("POST", "/owner/flows.git/git-upload-pack", iter([b"00", b"00"]))
            client.getresponse().read()
        assert len(server.requests) == 2
        assert len(server.connections) == 1
    with client.sock:
        assert ends(client.sock)
    assert refused(server.server_address)


def refused(where):
    with socket.socket() as end:
        return end.connect_ex(where) != 0


def test_http_serves_many_clients_at_once(served):
    with serving_http(served.folder) as server, ThreadPoolExecutor(16) as pool:
        url, _ = address(server)
        list(pool.map(lambda n: git("clone", "-q", url, f"{served.clone}{n}"), range(16)))
        assert server.fetches == 16


def test_git_daemon_serves_a_clone_and_ends_with_its_connections(served):
    with serving_git(served.folder) as server:
        url, _ = address(server)
        git("clone", "-q", url, served.clone)
        proves(served)
        where = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        said = git("ls-remote", f"{server.url}/none.git", status=128)
        assert "not exported" in said
        idle = socket.create_connection(where, 30)
        asked = b"git-upload-pack /owner/flows.git\0host=127.0.0.1\0"
        idle.sendall(b"%04x%s" % (len(asked) + 4, asked))
        assert idle.recv(1) == b"0"
    with idle:
        assert ends(idle)
    assert refused(where)


def ends(connection):
    """Wait for the end of a connection."""
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(4096):
            continue
    return True


def test_ssh_lets_in_the_right_key(served):
    with serving_ssh(served.folder) as server:
        url, env = address(server)
        git("clone", "-q", url, served.clone, GIT_PROTOCOL="version=2", **env)
        proves(served)
    assert refused((server.host, server.port))


def test_ssh_refuses_another_key(served):
    with serving_ssh(served.folder) as server:
        url, _ = address(server)
        refusal = server.command(key=server.other_key)
        for _ in range(3):
            said = git("clone", url, served.clone, status=128, GIT_SSH_COMMAND=refusal)
            assert "Permission denied (publickey)" in said
        git("clone", "-q", url, served.clone, GIT_SSH_COMMAND=server.command())


def test_ssh_is_not_trusted_by_another_host_key(served):
    with serving_ssh(served.folder) as server:
        url, _ = address(server)
        wary = server.command(known_hosts=server.wrong_known_hosts)
        said = git("clone", url, served.clone, status=128, GIT_SSH_COMMAND=wary)
        assert "Host key verification failed" in said


@pytest.mark.parametrize("name", ["git_http_server", "git_daemon", "git_ssh_server"])
def test_fixtures_serve_one_folder(name, request, git_folder, tmp_path):
    server = request.getfixturevalue(name)
    sha = make_repository(git_folder / f"{name}.git").commit({"a": "a"})
    url, env = address(server)
    url = url.replace("owner/flows", name)
    assert sha in git("ls-remote", url, **env)


def test_a_test_gets_the_server_as_if_it_were_new(git_http_server, request):
    git_http_server.fail = [500]
    assert request.getfixturevalue("git_http").fail == []


def test_a_repository_is_the_same_each_time_it_is_made(tmp_path):
    first, second = (make_repository(tmp_path / name).commit({"a": "a"}) for name in "ab")
    assert first == second


def test_a_repository_has_files_of_each_mode_and_loses_those_that_are_removed(tmp_path):
    repository = make_repository(tmp_path / "a.git", default="main-line")
    names = {"run": executable("#!/bin/sh\n"), "link": symlink("run"), 'a "b\\\né': "text"}
    first = repository.commit(names | {"gone/file": b""})
    second = repository.commit({"gone": None, "module": gitlink(first)})
    listed = repository.git("ls-tree", "-r", "-z", second).split("\0")
    assert [it.partition("\t")[::2] for it in listed if it] == [
        (f"100644 blob {repository.blob(b'text')}", 'a "b\\\né'),
        (f"120000 blob {repository.blob(b'run')}", "link"),
        (f"160000 commit {first}", "module"),
        (f"100755 blob {repository.blob(b'#!/bin/sh' + bytes([10]))}", "run"),
    ]
    assert repository.git("rev-parse", f"{second}^") == first
    assert repository.head() == second


def test_branches_begin_at_the_default_one_and_tags_name_what_they_should(tmp_path):
    repository = make_repository(tmp_path / "a.git")
    first = repository.commit({"a": "a"})
    second = repository.commit({"b": "b"}, branch="side")
    assert repository.git("rev-parse", "side^", "HEAD") == f"{first}\n{first}"
    repository.branch("-dash", second)
    assert repository.head("-dash") == second
    assert repository.tag("light", first) == first
    annotated = repository.tag("-told", first, annotated=True)
    assert annotated != first
    assert repository.git("rev-parse", "refs/tags/-told^{commit}") == first


def test_trees_may_be_hostile(tmp_path):
    repository = make_repository(tmp_path / "a.git")
    blob = repository.blob(b"evil")
    inner = repository.raw_tree([(b"100644", b"config", blob)])
    names = (b"..", b".GIT ", b".git", b"a/../b", b"\xff")
    sha = repository.commit_tree(repository.raw_tree([(b"40000", it, inner) for it in names]))
    listed = repository.git("ls-tree", "-z", "--name-only", sha).split("\0")[:-1]
    assert [os.fsencode(it) for it in listed] == list(names)


def test_a_big_repository_has_what_was_asked_for(tmp_path):
    repository = big_repository(tmp_path / "big.git", files=60, commits=30, folders=5, flows=10)
    listed = repository.git("ls-tree", "-r", "--name-only", "HEAD").splitlines()
    assert len(listed) == 60
    assert len([it for it in listed if it.startswith("flows/")]) == 10
    assert repository.git("rev-list", "--count", "HEAD") == "30"
    compile(repository.git("show", "HEAD:flows/flow_0009.py"), "flow", "exec")
