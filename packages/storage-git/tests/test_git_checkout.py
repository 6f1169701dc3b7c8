"""A flow has its work tree for as long as it lives: modules, data files and links, as committed."""

from __future__ import annotations

import gc
import multiprocessing
import os
import stat
import subprocess
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from textwrap import dedent

import pytest
from git_repositories import ISOLATED, Repository, executable, make_repository, symlink
from git_servers import serving_http

import flowhold
from flowhold import cache
from flowhold.errors import FlowholdError, FlowNotFoundError, IntegrityError
from flowhold_storage_git import Git

SCRIPT = dedent(
    '''
    """A flow that uses its whole work tree."""

    from pathlib import Path

    import neighbour
    from company.helpers import double
    from flowhold import Flow, task

    HERE = Path(__file__).parent


    @task
    def read():
        return int((HERE.parent / "data/number.txt").read_text())


    @task
    def late(number):
        from company.late import STEP

        return double(number) + STEP


    @task
    def where():
        return str(HERE)


    with Flow("etl") as flow:
        late(read())
    '''
)
FILES = {
    "flows/etl.py": SCRIPT,
    "flows/neighbour.py": "NAME = 'neighbour'\n",
    "company/__init__.py": "",
    "company/helpers.py": "from .factor import FACTOR\n\ndef double(n):\n    return FACTOR * n\n",
    "company/factor.py": "FACTOR = 2\n",
    "company/late.py": "STEP = 1\n",
    "data/number.txt": "20",
    "bin/tool": executable("#!/bin/sh\necho tool\n"),
}


@pytest.fixture
def repository(tmp_path):
    repository = make_repository(tmp_path / "served" / "flows.git")
    repository.commit(FILES)
    return repository


@pytest.fixture(params=["http", "file"])
def storage(request, tmp_path, repository):
    """The storage of the script, in a folder or behind a server."""
    if request.param == "file":
        yield Git("flows/etl.py", git_clone_url=repository.url)
    else:
        with serving_http(tmp_path / "served") as server:
            yield Git("flows/etl.py", git_clone_url=f"{server.url}/flows.git")


def load(storage):
    return storage.get_flow(storage.flow_path)


def checked_out():
    """Return the folder with the files of the only checkout."""
    (entry,) = (entry for entry in cache.entries() if entry.kind == "tree")
    return entry.path / "files"


def test_modules_and_data_files_are_found_also_late(storage):
    assert load(storage).run().result == 41


def test_the_work_tree_outlives_the_storage(storage, tmp_path):
    flow = load(storage)
    del storage
    gc.collect()
    (tmp_path / "served").rename(tmp_path / "moved")
    cache.prune(everything=True)
    assert flow.run().result == 41


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_tasks_in_other_processes_have_it_too(storage, method):
    reference = flowhold.register(load(storage), storage=storage)
    flow = flowhold.load(reference)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        run = flow.run(executor=pool)
    assert run.error is None
    assert run.result == 41


def test_tasks_in_threads_have_it_too(storage):
    with ThreadPoolExecutor(4) as pool:
        assert load(storage).run(executor=pool).result == 41


def test_two_commits_run_side_by_side_with_their_own_modules(storage, repository):
    old = load(storage)
    repository.commit({"company/factor.py": "FACTOR = 3\n", "company/late.py": "STEP = 5\n"})
    new = load(storage)
    assert (old.run().result, new.run().result) == (41, 65)


def test_a_checkout_has_exactly_the_files_of_the_commit(storage):
    load(storage)
    root = checked_out()
    found = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
    assert found == set(FILES)
    for name, content in FILES.items():
        text = content if isinstance(content, str) else content.content
        assert (root / name).read_text() == text


def test_files_are_for_reading_and_programs_for_running(storage):
    load(storage)
    root = checked_out()
    for name in FILES:
        mode = stat.S_IMODE((root / name).stat().st_mode)
        assert mode == (0o500 if name == "bin/tool" else 0o400), name


def test_only_the_user_can_look_into_a_checkout(storage):
    load(storage)
    assert stat.S_IMODE(os.stat(checked_out()).st_mode) == 0o700


@pytest.mark.parametrize("name", ["flows/etl.py", "flows/neighbour.py", "company/factor.py"])
def test_a_module_that_was_changed_in_the_cache_does_not_run(storage, name, monkeypatch, tmp_path):
    sha = storage.open_source().resolve()
    root = storage.open_source().checkout(sha).root
    ran = tmp_path / "ran"
    (root / name).chmod(0o600)
    (root / name).write_text(f"open({str(ran)!r}, 'w')\n")
    with pytest.raises(IntegrityError, match="is not the file that was stored"):
        load(storage)
    assert not ran.exists()


def test_a_module_that_was_changed_in_the_cache_is_not_imported_late(storage, tmp_path):
    flow = load(storage)
    ran = tmp_path / "ran"
    path = checked_out() / "company/late.py"
    path.chmod(0o600)
    path.write_text(f"open({str(ran)!r}, 'w')\nSTEP = 1\n")
    run = flow.run()
    assert run.state == "failed"
    assert isinstance(run.error, IntegrityError)
    assert not ran.exists()


def test_a_module_that_was_added_in_the_cache_does_not_run(storage, tmp_path):
    sha = storage.open_source().resolve()
    root = storage.open_source().checkout(sha).root
    ran = tmp_path / "ran"
    (root / "flows/pathlib.py").write_text(f"open({str(ran)!r}, 'w')\n")
    with pytest.raises(IntegrityError):
        load(storage)
    assert not ran.exists()


def test_a_checkout_whose_manifest_is_damaged_is_made_anew(storage):
    flow = load(storage)
    (checked_out().parent / "manifest").write_bytes(b"")
    assert load(storage).run().result == 41
    assert flow.run().result == 41


def test_byte_code_is_never_written_into_a_checkout(storage):
    assert load(storage).run().result == 41
    assert [*checked_out().rglob("__pycache__")] == []


def test_links_inside_of_the_tree_lead_where_they_led(storage, repository):
    links = {
        "linked.py": symlink("flows/etl.py"),
        "package": symlink("company"),
        "flows/deep/link": symlink("../../data"),
        "data/dangling": symlink("nowhere"),
    }
    repository.commit(links)
    assert load(storage).run().result == 41
    root = checked_out()
    assert os.readlink(root / "flows/deep/link") == "../../data"
    assert (root / "flows/deep/link/number.txt").read_text() == "20"
    assert os.readlink(root / "data/dangling") == "nowhere"


def test_a_package_that_is_a_link_is_imported(storage, repository):
    repository.commit(
        {
            "flows/shared": symlink("../company"),
            "flows/etl.py": SCRIPT.replace("from company.", "from shared."),
        }
    )
    assert load(storage).run().result == 41


def test_a_module_that_is_a_link_is_imported_and_checked(storage, repository, tmp_path):
    repository.commit({"company/factor.py": symlink("../values.py"), "values.py": "FACTOR = 4\n"})
    assert load(storage).run().result == 81
    repository.commit({"values.py": "FACTOR = 5\n"})
    root = storage.open_source().checkout(repository.head()).root
    (root / "values.py").chmod(0o600)
    (root / "values.py").write_text("FACTOR = 6\n")
    with pytest.raises(IntegrityError):
        load(storage)


def test_a_script_that_is_a_link_runs(storage, repository):
    repository.commit({"flows/etl.py": symlink("../scripts/real.py"), "scripts/real.py": SCRIPT})
    assert load(storage).run().result == 41


def test_a_script_through_a_folder_that_is_a_link_is_not_found_but_named(storage, repository):
    repository.commit({"alias": symlink("flows")})
    linked = Git("alias/etl.py", git_clone_url=storage.git_clone_url)
    with pytest.raises(FlowNotFoundError, match=r"no file alias/etl\.py"):
        load(linked)


@pytest.fixture(params=["http", "file"])
def of_sha256(request, tmp_path):
    """The URL of a repository whose objects are named by SHA-256, and its commit."""
    path = tmp_path / "served" / "new.git"
    words = ["git", "init", "-q", "--bare", "--object-format=sha256", "-b", "trunk", str(path)]
    subprocess.run(words, env=ISOLATED, check=True)
    repository = Repository(path, "trunk")
    commit = repository.commit({"flow.py": "flow = 1\n"})
    with serving_http(tmp_path / "served") as server:
        yield (repository.url if request.param == "file" else f"{server.url}/new.git"), commit


@pytest.mark.parametrize("options", [{}, {"branch_name": "trunk"}])
def test_a_repository_of_sha256_is_named_as_what_it_is(of_sha256, options):
    with pytest.raises(FlowholdError, match="SHA-256"):
        Git("flow.py", git_clone_url=of_sha256[0], **options).get_flow("flow.py")


def test_a_repository_of_sha256_does_not_have_a_commit_of_sha1(of_sha256):
    with pytest.raises(FlowholdError):
        Git("flow.py", git_clone_url=of_sha256[0], commit="a" * 40).get_flow("flow.py")
