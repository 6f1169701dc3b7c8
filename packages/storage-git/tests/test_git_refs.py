"""From names of branches, tags and commits to commits, whatever a server can do."""

from __future__ import annotations

import hashlib

import pytest
from git_repositories import make_repository
from git_servers import serving_git, serving_http, serving_ssh

from flowhold.errors import (
    FlowNotFoundError,
    IntegrityError,
    RevisionNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold_storage_git import Git
from flowhold_storage_git.address import Address
from flowhold_storage_git.repository import open_repository
from flowhold_storage_git.source import GitSource

TRANSPORTS = ("http", "ssh", "git", "file")


def load(place, path="single.py", name=None, **options):
    """Return the value of a flow."""
    storage = Git(path, git_clone_url=place, **{"timeout": 10, "retries": 0, **options})
    return storage.get_flow(name or path).run().result


def shown(place):
    """Return a URL as messages show it."""
    return repr(GitSource(place))


@pytest.fixture(params=TRANSPORTS)
def place(request, url, history):
    """Return a function that gives the URL of a repository, by each protocol in turn."""
    return lambda name=history.name: url(request.param, name)


@pytest.fixture(scope="session")
def ambiguous(git_folder):
    """The repository `team/ambiguous.git`, of which two commits begin with the same four digits."""
    repository = make_repository(git_folder / "team" / "ambiguous.git")
    base = repository.commit({"single.py": "flow = 1\n"})
    tree = repository.git("rev-parse", f"{base}^{{tree}}")
    seen = {}
    for number in range(10_000):
        text = f"tree {tree}\nparent {base}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n"
        data = f"{text}{number}\n".encode()
        sha = hashlib.sha1(b"commit %d\0" % len(data) + data).hexdigest()
        if other := seen.get(sha[:4]):
            break
        seen[sha[:4]] = data
    shas = [
        repository.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=each)
        for each in (other, data)
    ]
    for number, each in enumerate(shas):
        repository.branch(f"branch-{number}", each)
    return shas


@pytest.fixture(scope="session")
def empty(git_folder):
    """The repository `team/empty.git`, without a commit."""
    return make_repository(git_folder / "team" / "empty.git")


class TestWhatIsNotThere:
    def test_an_unknown_branch_is_told_with_those_that_are_like_it(self, place):
        with pytest.raises(RevisionNotFoundError, match=r"no branch 'feature/onee'$") as caught:
            load(place(), branch_name="feature/onee")
        assert caught.value.hint == "there are: feature/one"
        assert caught.value.location == shown(place())

    def test_a_branch_like_no_other_is_told_with_all(self, place):
        with pytest.raises(RevisionNotFoundError) as caught:
            load(place(), branch_name="zzz")
        assert caught.value.hint == "there are: feature/one, main, master, trunk"

    def test_a_part_of_a_branchs_name_is_not_the_branch(self, place):
        for name in ("one", "refs/heads/trunk"):
            with pytest.raises(RevisionNotFoundError, match="no branch"):
                load(place(), branch_name=name)

    def test_an_unknown_tag_is_told_with_those_that_are_like_it(self, place):
        with pytest.raises(RevisionNotFoundError, match=r"no tag 'anotated'$") as caught:
            load(place(), tag="anotated")
        assert caught.value.hint == "there are: annotated"

    def test_a_branch_that_is_named_as_a_tag_and_the_other_way_round(self, place):
        with pytest.raises(RevisionNotFoundError, match="no tag 'trunk'") as caught:
            load(place(), tag="trunk")
        assert caught.value.hint == "it is a branch: name it as such"
        with pytest.raises(RevisionNotFoundError, match="no branch 'outer'") as caught:
            load(place(), branch_name="outer")
        assert caught.value.hint == "it is a tag: name it as such"

    def test_an_unknown_commit(self, place):
        with pytest.raises(RevisionNotFoundError, match="1" * 40) as caught:
            load(place(), commit="1" * 40)
        assert shown(place()) in str(caught.value)

    def test_an_unknown_short_commit(self, place):
        with pytest.raises(RevisionNotFoundError, match="no commit begins with 00000000") as caught:
            load(place(), commit="00000000")
        assert caught.value.hint == "check the SHA"

    def test_a_short_commit_that_could_be_several(self, place, ambiguous):
        short = ambiguous[0][:4]
        with pytest.raises(RevisionNotFoundError, match=f"2 commits begin with {short}") as caught:
            load(place("team/ambiguous.git"), commit=short)
        assert all(sha in str(caught.value) for sha in ambiguous)
        assert caught.value.hint == "give more of the SHA"

    def test_the_sha_of_a_file_or_a_tag_is_not_that_of_a_commit(self, place, history):
        file, tag = history.repository.git("rev-parse", "trunk:single.py", "annotated").split()
        with pytest.raises(RevisionNotFoundError, match="no commit"):
            load(place(), commit=tag[:12])
        for sha in (file, tag):
            with pytest.raises(IntegrityError, match="commit"):
                load(place(), commit=sha)

    def test_an_unknown_script(self, place, history):
        with pytest.raises(FlowNotFoundError, match=r"no file flows/none\.py in ") as caught:
            load(place(), "flows/none.py")
        assert history.shas[6][:12] in str(caught.value)

    def test_a_folder_is_no_script(self, place):
        with pytest.raises(FlowNotFoundError, match=r"no file company/flows\.py"):
            load(place(), "company/flows.py")

    def test_an_unknown_flow(self, place):
        with pytest.raises(FlowNotFoundError, match="'third'") as caught:
            load(place(), "two.py", flow_name="third")
        assert "'one'" in f"{caught.value} {caught.value.hint}"

    def test_an_unknown_repository(self, place):
        with pytest.raises(StorageError, match=r"there is no (git )?repository") as caught:
            load(place("team/none.git"))
        assert type(caught.value) is StorageError
        assert "none.git" in str(caught.value)

    def test_a_repository_without_a_commit(self, place, empty):
        with pytest.raises(RevisionNotFoundError, match="has no default branch") as caught:
            load(place("team/empty.git"))
        assert caught.value.hint == "it is empty"
        with pytest.raises(RevisionNotFoundError, match="no branch 'trunk'") as caught:
            load(place("team/empty.git"), branch_name="trunk")
        assert caught.value.hint == "there is no branch at all"
        with pytest.raises(RevisionNotFoundError, match="no commit"):
            load(place("team/empty.git"), commit="0123456789")
        with pytest.raises(RevisionNotFoundError):
            load(place("team/empty.git"), commit="1" * 40)

    def test_a_default_branch_that_is_gone_is_told_with_the_others(self, place, git_folder):
        path = git_folder / "team" / "headless.git"
        if not path.exists():
            repository = make_repository(path, default="gone")
            repository.commit({"single.py": ""}, branch="there")
        with pytest.raises(RevisionNotFoundError, match="has no default branch") as caught:
            load(place("team/headless.git"))
        assert caught.value.hint == "name a branch: there"


def test_a_host_that_does_not_answer(unused, monkeypatch):
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -F none")
    for scheme in ("http", "ssh", "git"):
        place = f"{scheme}://127.0.0.1:{unused}/team/flows.git"
        with pytest.raises(StorageUnavailableError, match=r"cannot be reached.*refused") as caught:
            load(place)
        assert f"{scheme}://127.0.0.1:{unused}" in str(caught.value)


def test_a_host_that_is_unknown(monkeypatch):
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -F none")
    for scheme in ("https", "ssh", "git"):
        with pytest.raises(StorageUnavailableError, match="cannot be reached"):
            load(f"{scheme}://host.invalid/team/flows.git")


@pytest.mark.parametrize("kind", ["tree", "blob"])
def test_a_tag_that_names_no_commit(place, git_folder, kind):
    path = git_folder / "team" / f"tag-of-a-{kind}.git"
    if not path.exists():
        repository = make_repository(path)
        repository.commit({"single.py": ""})
        named = {"tree": "trunk^{tree}", "blob": "trunk:single.py"}[kind]
        repository.git("update-ref", "refs/tags/odd", repository.git("rev-parse", named))
    with pytest.raises(IntegrityError, match="commit"):
        load(place(f"team/tag-of-a-{kind}.git"), tag="odd")


OLD = {
    "of today": {},
    "without filters": {"allow_filter": False},
    "of old": {"protocol_v0": True},
    "of old, for tips only": {"protocol_v0": True, "allow_any": False},
    "of old, without filters": {"protocol_v0": True, "allow_filter": False},
}
WAYS = {
    "default branch": lambda shas: ({}, 6),
    "branch": lambda shas: ({"branch_name": "feature/one"}, 7),
    "annotated tag": lambda shas: ({"tag": "annotated"}, 1),
    "tag of a tag": lambda shas: ({"tag": "outer"}, 2),
    "full SHA": lambda shas: ({"commit": shas[3]}, 3),
    "short SHA": lambda shas: ({"commit": shas[4][:10]}, 4),
}


class TestServers:
    @pytest.fixture(params=OLD)
    def old(self, request, git_folder, history):
        with serving_http(git_folder, **OLD[request.param]) as server:
            yield server

    @pytest.mark.parametrize("way", WAYS)
    def test_all_that_can_be_named_is_found(self, old, history, way):
        named, number = WAYS[way](history.shas)
        assert load(f"{old.url}/{history.name}", "siblings.py", **named) == number

    @pytest.mark.parametrize("way", WAYS)
    def test_of_some_folders_the_flow_gets_these(self, old, history, way, tmp_path):
        named, number = WAYS[way](history.shas)
        options = {"git_clone_url": f"{old.url}/{history.name}", "directories": ["data"], **named}
        storage = Git("reads.py", **options)
        assert storage.get_flow("reads.py").run().result == number
        storage.extract("reads.py", tmp_path / "there")
        there = {path.relative_to(tmp_path / "there").as_posix() for path in files(tmp_path)}
        assert there == {"reads.py", "data/value.txt"}

    def test_what_is_not_there_is_told(self, old, history):
        place = f"{old.url}/{history.name}"
        with pytest.raises(RevisionNotFoundError, match="1" * 40):
            load(place, commit="1" * 40)
        with pytest.raises(RevisionNotFoundError, match="begins with 00000000"):
            load(place, commit="00000000")
        with pytest.raises(RevisionNotFoundError, match="no branch 'none'"):
            load(place, branch_name="none")
        with pytest.raises(StorageError, match="there is no repository"):
            load(f"{old.url}/team/none.git")

    @pytest.mark.parametrize("serving", [serving_git, serving_ssh])
    @pytest.mark.parametrize("filters", [True, False])
    def test_folders_by_other_protocols(self, serving, filters, git_folder, history, monkeypatch):
        with serving(git_folder, allow_filter=filters) as server:
            if serving is serving_ssh:
                monkeypatch.setenv("GIT_SSH_COMMAND", server.command())
                place = server.url(history.name)
            else:
                place = f"{server.url}/{history.name}"
            options = {"directories": "company", "commit": history.shas[3]}
            assert load(place, "company/flows/relative.py", **options) == 3

    def test_an_old_server_by_ssh(self, git_folder, history, monkeypatch):
        with serving_ssh(git_folder, protocol_v0=True, allow_any=False) as server:
            monkeypatch.setenv("GIT_SSH_COMMAND", server.command())
            place = server.url(history.name)
            assert load(place, tag="outer") == 2
            assert load(place, commit=history.shas[3]) == 3

    def test_a_filter_that_is_offered_and_refused(self, git_http, history):
        git_http.refuse_filter = True
        assert load(f"{git_http.url}/{history.name}", "reads.py", directories=["data"]) == 6

    def test_a_folder_that_is_not_there(self, git_http, history):
        with pytest.raises(FlowNotFoundError, match="there is no none in the repository"):
            load(f"{git_http.url}/{history.name}", "reads.py", directories=["data", "none"])

    def test_more_history_makes_no_difference(self, git_http, history):
        for depth in (2, 1000):
            options = {"clone_depth": depth, "commit": history.shas[depth % 5]}
            assert load(f"{git_http.url}/{history.name}", **options) == depth % 5


def files(folder):
    return [path for path in (folder / "there").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("file", "data", "said"),
    [
        ("config", b"[", "config of the repository .* is damaged"),
        ("packed-refs", b"", "refs of the repository are damaged"),
        ("packed-refs", b"\xff\n", "refs of the repository are damaged"),
    ],
)
def test_a_damaged_repository_in_a_folder_is_told_of(tmp_path, file, data, said):
    repository = make_repository(tmp_path / "a.git")
    repository.commit({"etl.py": ""})
    (repository.path / file).write_bytes(data)
    address = Address.parse(f"file://{repository.path}")
    with (
        pytest.raises(IntegrityError, match=said),
        open_repository(address, timeout=1, retries=0) as opened,
    ):
        opened.refs("HEAD")
