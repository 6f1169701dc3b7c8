"""Submodules come with a repository where they are asked for; no login goes to other hosts."""

from __future__ import annotations

import pytest
from git_repositories import gitlink, make_repository, symlink
from git_servers import serving_http

from flowhold import cache
from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowholdError,
    FlowNotFoundError,
    RevisionNotFoundError,
    StorageError,
)
from flowhold_storage_git import Git

SCRIPT = """
from library.values import VALUE
from flowhold import Flow, task

@task
def value():
    return VALUE

with Flow("etl") as flow:
    value()
"""
TOKEN = "canary-token-4711"


def modules(**urls):
    """Return the text of a list of submodules."""
    return "".join(
        f'[submodule "{name}"]\n\tpath = {name}\n\turl = {url}\n' for name, url in urls.items()
    )


@pytest.fixture
def folder(tmp_path):
    """The folder of the server."""
    return tmp_path / "served"


@pytest.fixture
def library(folder):
    library = make_repository(folder / "team" / "library.git")
    library.commit(
        {"values.py": "from .more.deep import DEEP as VALUE\n", "more/deep.py": "DEEP = 7\n"}
    )
    return library


@pytest.fixture
def flows(folder):
    return make_repository(folder / "team" / "flows.git")


@pytest.fixture
def server(folder):
    with serving_http(folder) as server:
        yield server


@pytest.fixture
def private(server, monkeypatch):
    """The server, which wants a token that a secret has."""
    server.users = {None: TOKEN}
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", TOKEN)
    return server


@pytest.fixture
def storage(server):
    """Return a function that makes the storage of a script in the repository, with submodules."""

    def storage(path="flow.py", submodules=True, **options):
        url = options.pop("git_clone_url", f"{server.url}/team/flows.git")
        return Git(path, git_clone_url=url, submodules=submodules, retries=0, **options)

    return storage


def load(storage):
    return storage.get_flow(storage.flow_path)


def using(flows, library, url, /, **more):
    """Commit the script with the library as its submodule."""
    files = {"flow.py": SCRIPT, ".gitmodules": modules(library=url)}
    return flows.commit(files | {"library": gitlink(library.head())} | more)


def checked_out():
    (entry,) = (entry for entry in cache.entries() if entry.kind == "tree")
    return entry.path / "files"


def test_modules_in_submodules_are_imported(server, storage, flows, library):
    using(flows, library, f"{server.url}/team/library.git")
    assert load(storage()).run().result == 7
    assert server.fetches == 2


def test_a_submodule_is_at_the_commit_that_is_named(server, storage, flows, library):
    using(flows, library, f"{server.url}/team/library.git")
    library.commit({"more/deep.py": "DEEP = 8\n"})
    assert load(storage()).run().result == 7


def test_a_cached_checkout_has_its_submodules(server, storage, flows, library):
    sha = using(flows, library, f"{server.url}/team/library.git")
    load(storage(commit=sha))
    server.stop()
    assert load(storage(commit=sha)).run().result == 7


def test_without_them_their_folder_is_empty(server, storage, flows, library):
    using(
        flows,
        library,
        f"{server.url}/team/library.git",
        **{"flow.py": SCRIPT.replace("from lib", "#")},
    )
    load(storage(submodules=False))
    assert [*(checked_out() / "library").iterdir()] == []
    assert server.fetches == 1


@pytest.mark.parametrize("url", ["../library.git", "../../team/library.git", "./../library.git"])
@pytest.mark.parametrize("transport", ["http", "file"])
def test_urls_may_be_relative(server, storage, flows, library, url, transport):
    using(flows, library, url)
    options = {"git_clone_url": flows.url} if transport == "file" else {}
    assert load(storage(**options)).run().result == 7


@pytest.mark.parametrize("url", ["../library.git", "{url}/team/library.git"])
def test_private_ones_get_the_same_login(private, storage, flows, library, url):
    using(flows, library, url.format(url=private.url))
    assert load(storage(git_token_secret_name="TOKEN")).run().result == 7
    assert {request.status for request in private.requests} == {200}


def test_another_host_gets_no_login(private, storage, flows, library, folder):
    with serving_http(folder) as other:
        using(flows, library, f"{other.url}/team/library.git")
        assert load(storage(git_token_secret_name="TOKEN")).run().result == 7
        assert other.fetches == 1
        assert all("authorization" not in request.headers for request in other.requests)


def test_another_host_that_wants_a_login_is_refused_one(private, storage, flows, library, folder):
    with serving_http(folder, users={None: TOKEN}) as other:
        using(flows, library, f"{other.url}/team/library.git")
        with pytest.raises(AccessDeniedError) as caught:
            load(storage(git_token_secret_name="TOKEN"))
        assert other.url in str(caught.value)
        assert TOKEN not in repr(caught.value)
        assert all("authorization" not in request.headers for request in other.requests)


def test_a_login_in_the_list_of_submodules_is_not_used(private, storage, flows, library, folder):
    with serving_http(folder) as other:
        url = f"{other.url}/team/library.git".replace("//", "//user:password@")
        using(flows, library, url)
        load(storage(git_token_secret_name="TOKEN"))
        assert all("authorization" not in request.headers for request in other.requests)


def test_submodules_may_have_submodules(server, storage, flows, library, folder):
    inner = make_repository(folder / "team" / "inner.git")
    inner.commit({"deep.py": "DEEP = 9\n", "link": symlink("deep.py"), "out": symlink("/etc")})
    library.commit({"more": None})
    library.commit({".gitmodules": modules(more="../inner.git"), "more": gitlink(inner.head())})
    using(flows, library, "../library.git")
    assert load(storage()).run().result == 9
    assert (checked_out() / "library/more/link").read_text() == "DEEP = 9\n"
    assert not (checked_out() / "library/more/out").is_symlink()


def test_a_link_may_lead_into_a_submodule_and_not_out_of_all(server, storage, flows, library):
    library.commit({"up": symlink("../flow.py"), "out": symlink("../../x")})
    using(flows, library, "../library.git", values=symlink("library/values.py"))
    load(storage())
    root = checked_out()
    assert (root / "values").read_text().startswith("from .more")
    assert (root / "library/up").read_text() == SCRIPT
    assert not (root / "library/out").is_symlink()


def test_a_submodule_in_one_of_the_folders_that_are_wanted_is_there(
    server, storage, flows, library
):
    flows.commit(
        {
            "flows/flow.py": SCRIPT.replace("library.", "flows.library."),
            "flows/library": gitlink(library.head()),
            "other/library": gitlink(library.head()),
            ".gitmodules": modules(**{"flows/library": "../library.git", "other/library": "no:no"}),
        }
    )
    assert load(storage("flows/flow.py", directories=["flows"])).run().result == 7
    assert not (checked_out() / "other").exists()


def test_repositories_that_are_their_own_submodules_come_to_an_end(server, storage, flows):
    sha = flows.commit({"flow.py": "", ".gitmodules": modules(again="../flows.git")})
    for _ in range(20):
        sha = flows.commit({"again": gitlink(sha)})
    with pytest.raises(StorageError, match="nested too deeply"):
        load(storage())
    assert cache.entries() == []


@pytest.mark.parametrize(
    "listed",
    [None, "", modules(other="../library.git"), '[submodule "library"]\n\tpath = library\n'],
)
def test_a_submodule_without_a_url_is_named(server, storage, flows, library, listed):
    using(flows, library, "../library.git", **{".gitmodules": listed})
    with pytest.raises(StorageError, match="submodule library") as caught:
        load(storage())
    assert ".gitmodules" in caught.value.hint


@pytest.mark.parametrize("listed", ["[submodule", "\xff\0", "[submodule 'x']\n=\n", "x" * 100])
def test_a_list_that_is_damaged_is_told_of(server, storage, flows, library, listed):
    using(flows, library, "../library.git", **{".gitmodules": listed.encode("latin-1")})
    with pytest.raises(StorageError):
        load(storage())


def test_a_list_that_is_a_link_is_not_read(server, storage, flows, library):
    lists = {".gitmodules": symlink("list"), "list": modules(library="../library.git")}
    using(flows, library, "../library.git", **lists)
    with pytest.raises(StorageError, match="submodule library"):
        load(storage())


def test_a_commit_that_is_missing_is_told_of(server, storage, flows, library):
    using(flows, library, "../library.git", library=gitlink("12" * 20))
    with pytest.raises(RevisionNotFoundError, match=r"library\.git"):
        load(storage())
    assert cache.entries() == []


def test_a_repository_that_is_missing_is_told_of(server, storage, flows, library):
    using(flows, library, "../nowhere.git")
    with pytest.raises(StorageError, match=r"nowhere\.git"):
        load(storage())


REFUSED = ["ext::sh -c touch% ran", "ext::touch", "--upload-pack=touch ran", "-oProxyCommand=touch"]
REFUSED += ["ssh://-oProxyCommand=touch/x", "-oProxyCommand=touch:x", "ssh://-l@127.0.0.1/x"]
REFUSED += ["file:///etc", "/etc", "../../../../../x.git", "fd::7", "ftp://127.0.0.1/x.git"]
REFUSED += ["library.git", "http://", "~/library.git", "http://[x/y"]


@pytest.mark.parametrize("url", REFUSED)
def test_urls_that_are_no_place_for_a_submodule_are_refused(server, storage, flows, library, url):
    using(flows, library, url)
    with pytest.raises(ConfigurationError, match="the submodule library of") as caught:
        load(storage())
    assert "\n" not in str(caught.value)
    assert cache.entries() == []
    assert server.fetches == 1


def test_a_folder_may_have_a_submodule_in_a_folder(storage, flows, library):
    using(flows, library, library.url)
    assert load(storage(git_clone_url=flows.url)).run().result == 7


def test_a_script_that_is_not_in_the_submodule_is_told_of(server, storage, flows, library):
    using(flows, library, "../library.git")
    with pytest.raises(FlowNotFoundError, match=r"no file library/none\.py"):
        load(storage("library/none.py"))


def test_files_of_submodules_are_verified(server, storage, flows, library):
    using(flows, library, "../library.git")
    source = storage().open_source()
    file = source.checkout(source.resolve()).root / "library/values.py"
    file.chmod(0o600)
    file.write_text("VALUE = 666\n")
    with pytest.raises(FlowholdError, match="is not the file that was stored"):
        load(storage())
