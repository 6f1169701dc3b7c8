"""A commit is fetched once, for all flows and processes, and costs no request again."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from git_repositories import FLOW, make_repository

from flowhold import Flow, cache
from flowhold.errors import AccessDeniedError, StorageUnavailableError
from flowhold_storage_git import Git

from .loads import LISTED, load, value

# Loads the scripts that are named, when it is told to, and tells what their flows give.
CHILD = """
import sys
from flowhold_storage_git import Git
url, commit, *paths = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
flows = [Git(path, git_clone_url=url, commit=commit).get_flow(path) for path in paths]
print(sum(sum(flow.run().result) for flow in flows), flush=True)
sys.stdin.readline()
"""


def asked(server):
    """Return what was asked since the last time: methods and commands."""
    asked = [request.command or request.method for request in server.requests]
    server.reset()
    return asked


def trees():
    return [entry for entry in cache.entries() if entry.kind == "tree"]


def start(storage, *paths):
    """Start a process that loads scripts at a commit when it is told to."""
    words = [sys.executable, "-c", CHILD, storage.git_clone_url, storage.commit, *paths]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(words, text=True, **pipes)
    line = process.stdout.readline()
    assert line == "ready\n", process.communicate()[1]
    return process


def tell(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def ended(process):
    output, errors = process.communicate("go\n", timeout=120)
    assert process.returncode == 0, errors
    return output.strip()


def test_a_pinned_commit_in_the_cache_needs_no_server(server, storage, repository):
    pinned = storage(commit=repository.head())
    assert value(pinned) == [0]
    server.stop()
    assert value(pinned) == [0]
    assert value(storage("flows/flow_0007.py", commit=repository.head())) == [7]
    with pytest.raises(StorageUnavailableError):
        load(storage())


def test_a_branch_that_is_cached_costs_one_question(server, storage):
    load(storage(branch_name="trunk"))
    assert asked(server).count("fetch") == 1
    load(storage(branch_name="trunk"))
    assert asked(server) == ["GET", "ls-refs"]
    load(storage())
    assert asked(server) == ["GET", "ls-refs"]


def test_a_branch_that_moved_is_fetched_and_the_old_commit_stays(server, storage, repository):
    old = repository.head()
    assert value(storage()) == [0]
    repository.commit({"flows/flow_0000.py": LISTED.format(number=1000)})
    asked(server)
    assert value(storage()) == [1000]
    assert asked(server).count("fetch") == 1
    assert value(storage(commit=old)) == [0]
    assert asked(server) == []


def test_what_was_pinned_stays_when_the_branch_moves(server, storage, repository):
    pinned = storage(pin=True)
    pinned.add_flow(Flow("flow-0"))
    pinned.build()
    repository.commit({"flows/flow_0000.py": "raise AssertionError\n"})
    assert pinned.get_flow("flow-0").run().result == [0]
    asked(server)
    assert pinned.get_flow("flow-0").run().result == [0]
    assert asked(server) == []


def test_a_hundred_flows_of_a_commit_are_one_fetch(server, tmp_path):
    repository = make_repository(tmp_path / "served" / "hundred.git")
    paths = [f"flows/flow_{number:04}.py" for number in range(100)]
    sha = repository.commit({path: FLOW.format(number=n) for n, path in enumerate(paths)})
    for named, questions in (({"commit": sha}, 0), ({"branch_name": "trunk"}, 100)):
        for number, path in enumerate(paths):
            storage = Git(path, git_clone_url=f"{server.url}/hundred.git", **named)
            assert load(storage).name == f"flow-{number}"
            if not number:
                first = server.ls_refs
        assert server.ls_refs - first == max(0, questions - 1)
        assert server.fetches == 1


def test_another_process_fetches_nothing(server, storage, repository):
    pinned = storage(commit=repository.head())
    load(pinned)
    server.reset()
    assert ended(start(pinned, "flows/flow_0003.py")) == "3"
    assert server.requests == []


def test_sixteen_processes_that_load_twenty_flows_at_once_fetch_once(server, storage, repository):
    paths = [f"flows/flow_{number:04}.py" for number in range(20)]
    pinned = storage(commit=repository.head())
    processes = [start(pinned, *paths) for _ in range(16)]
    for process in processes:
        tell(process)
    assert [ended(process) for process in processes] == ["190"] * 16
    assert server.fetches == 1
    assert len(trees()) == 1


@pytest.mark.parametrize(
    "options", [{"directories": ["flows"]}, {"submodules": True}, {"lfs": True}]
)
def test_other_options_are_another_checkout(options, server, storage, repository):
    load(storage(commit=repository.head()))
    fetches = server.fetches
    load(storage(commit=repository.head(), **options))
    assert server.fetches > fetches
    assert len(trees()) == 2


def test_directories_in_another_order_are_the_same_checkout(server, storage, repository):
    for folders in (["flows", "other"], ["other", "flows"], ["other/", "flows/"]):
        load(storage(commit=repository.head(), directories=folders))
    assert len(trees()) == 1


def test_another_token_shares_the_checkout_and_a_branch_still_asks_for_it(
    server, storage, repository, monkeypatch
):
    server.users = {None: "first-token"}
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", "first-token")
    options = {"git_token_secret_name": "TOKEN"}
    load(storage(**options))
    assert server.fetches == 1
    server.users = {None: "second-token"}
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", "second-token")
    assert value(storage(**options)) == [0]
    assert server.fetches == 1
    # Who may read this user's files may read what is cached, so a pinned commit asks nobody.
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", "wrong-token")
    assert value(storage(commit=repository.head(), **options)) == [0]
    with pytest.raises(AccessDeniedError):
        load(storage(**options))


def test_a_checkout_in_use_is_never_removed(storage, repository):
    flow = load(storage())
    assert cache.prune(everything=True) == []
    prune = "from flowhold import cache; print(len(cache.prune(everything=True)))"
    done = subprocess.run([sys.executable, "-c", prune], capture_output=True, text=True)
    assert done.stdout == "0\n", done.stderr
    assert flow.run().result == [0]


def test_a_checkout_that_another_process_uses_stays_until_that_ends(storage, repository):
    process = start(storage(commit=repository.head()), "flows/flow_0002.py")
    tell(process)
    assert process.stdout.readline() == "2\n"
    assert cache.prune(everything=True) == []
    ended(process)
    assert len(cache.prune(everything=True)) == 1
    assert trees() == []


def by_another_process(storage, commit):
    """Check out a commit by a process that has ended, and return its entry in the cache."""
    before = {entry.digest for entry in trees()}
    pinned = storage(commit=commit)
    ended(start(pinned, "flows/flow_0000.py"))
    return next(iter({entry.digest for entry in trees()} - before), None)


def test_checkouts_stay_below_the_size_of_the_cache(storage, repository, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CACHE_MAX_BYTES", "250000")
    found = []
    for number in range(4):
        sha = repository.commit({"other/file.txt": os.urandom(50_000).hex() + str(number)})
        found.append(by_another_process(storage, sha))
        assert sum(entry.size for entry in trees()) <= 250_000
    assert [entry.digest for entry in trees()] == found[2:]


def test_checkouts_that_were_not_used_for_days_are_removed_once_a_day(
    storage, repository, monkeypatch, tmp_path
):
    monkeypatch.setenv("FLOWHOLD_CACHE_MAX_DAYS", "7")
    shas = [repository.commit({"other/file.txt": str(number)}) for number in range(4)]
    old, new = (by_another_process(storage, sha) for sha in shas[:2])
    home = tmp_path / "flowhold/cache"
    for digest, days in ((old, 8), (new, 6)):
        when = time.time() - days * 86_400
        os.utime(home / "trees" / digest, (when, when))
    third = by_another_process(storage, shas[2])
    assert {entry.digest for entry in trees()} == {old, new, third}
    yesterday = time.time() - 90_000
    os.utime(home / "aged", (yesterday, yesterday))
    fourth = by_another_process(storage, shas[3])
    assert {entry.digest for entry in trees()} == {new, third, fourth}
