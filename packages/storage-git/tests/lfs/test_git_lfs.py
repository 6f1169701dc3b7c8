"""Files that LFS keeps are in place of the pointers to them, where that is asked for."""

from __future__ import annotations

import os
import stat

import pytest
from git_repositories import executable

from flowhold.errors import AccessDeniedError, IntegrityError

from .cases import CONTENT, SCRIPT, TOKEN, checked_out, load, refused, sent
from .server import pointer, serving_lfs


def test_files_are_in_place_of_their_pointers(storage):
    assert load(storage()).run().result == len(CONTENT)
    assert (checked_out() / "model.bin").read_bytes() == CONTENT


def test_without_it_the_pointers_are_there(server, storage):
    load(storage(lfs=False))
    assert (checked_out() / "model.bin").read_text().startswith("version https://git-lfs")
    assert server.lfs.batches == []


def test_a_cached_checkout_has_its_files(server, storage, repository):
    load(storage(commit=repository.head()))
    server.stop()
    assert load(storage(commit=repository.head())).run().result == len(CONTENT)


def test_a_repository_without_pointers_asks_no_lfs_server(server, storage, repository):
    repository.commit({"model.bin": "small"})
    server.lfs.status = 404
    assert load(storage()).run().result == 5


def test_modules_that_lfs_keeps_are_imported_and_verified(server, storage, repository):
    module = b"VALUE = 7\n" + b"#" * 2_000
    repository.commit({"values.py": server.lfs.add(module), "flow.py": f"import values\n{SCRIPT}"})
    load(storage())
    path = checked_out() / "values.py"
    assert path.read_bytes() == module
    repository.commit({"other": ""})
    source = storage().open_source()
    path = source.checkout(source.resolve()).root / "values.py"
    path.chmod(0o600)
    path.write_text("VALUE = 8\n")
    with pytest.raises(IntegrityError):
        load(storage())


def test_programs_stay_programs_and_files_are_for_reading(server, storage, repository):
    repository.commit({"tool": executable(server.lfs.add(b"#!/bin/sh\n"))})
    load(storage())
    modes = {
        name: stat.S_IMODE((checked_out() / name).stat().st_mode)
        for name in os.listdir(checked_out())
    }
    assert modes == {"tool": 0o500, "model.bin": 0o400, "flow.py": 0o400, ".gitattributes": 0o400}


def test_hundreds_of_files_are_asked_for_together(server, storage, repository):
    files = {f"data/{n}": server.lfs.add(f"content {n}".encode()) for n in range(250)}
    repository.commit(files | {"again": files["data/7"]})
    load(storage())
    assert [len(batch) for batch in server.lfs.batches] == [100, 100, 52]
    for number in range(250):
        assert (checked_out() / f"data/{number}").read_text() == f"content {number}"
    assert (checked_out() / "again").read_text() == "content 7"


def test_only_files_in_wanted_folders_are_asked_for(server, storage, repository):
    repository.commit({"data/a": server.lfs.add(b"a"), "other/b": server.lfs.add(b"b")})
    load(storage(directories=["data"]))
    assert [len(batch) for batch in server.lfs.batches] == [1]
    assert (checked_out() / "data/a").read_bytes() == b"a"


NEAR = [
    "version https://git-lfs.github.com/spec/v2\noid sha256:" + "1" * 64 + "\nsize 1\n",
    pointer("1" * 63, 1),
    pointer("1" * 64, -1),
    pointer("G" * 64, 1),
    pointer("1" * 64, 1) + "more\n",
    "#" * 2_000 + pointer("1" * 64, 1),
]


def test_what_only_looks_like_a_pointer_stays(server, storage, repository):
    repository.commit({f"near/{number}": text for number, text in enumerate(NEAR)})
    load(storage())
    for number, text in enumerate(NEAR):
        assert (checked_out() / f"near/{number}").read_text() == text


def test_a_pointer_with_extensions_is_one(server, storage, repository):
    first, rest = server.lfs.add(b"extended").split("\n", 1)
    repository.commit({"extended": f"{first}\next-0-foo sha256:{'2' * 64}\n{rest}"})
    load(storage())
    assert (checked_out() / "extended").read_bytes() == b"extended"


def test_the_login_of_the_repository_is_for_its_lfs_too(private, storage):
    load(storage(git_token_secret_name="TOKEN"))
    assert len(sent(private, "/objects/batch")) == len(sent(private)) == 1
    for headers in [*sent(private), *sent(private, "/objects/batch")]:
        assert headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize("header", [{}, {"X-Part": "of it"}, {"authorization": "Bearer other"}])
def test_what_is_to_be_sent_for_contents_is_sent(private, storage, header):
    private.lfs.header = private.lfs.wanted = {name.lower(): text for name, text in header.items()}
    load(storage(git_token_secret_name="TOKEN"))
    own = sent(private)[0]["authorization"]
    assert own == header.get("authorization", own)


def test_contents_that_need_no_login_get_none(private, storage):
    private.lfs.authenticated = True
    load(storage(git_token_secret_name="TOKEN"))
    assert "authorization" not in sent(private)[0]


@pytest.mark.parametrize("header", [None, {}, {"X-Signature": "signed"}])
def test_contents_of_another_host_get_only_the_headers_that_are_named(
    private, storage, tmp_path, header
):
    with serving_lfs(tmp_path / "served") as other:
        other.lfs.contents = private.lfs.contents
        other.lfs.wanted = {name.lower(): text for name, text in (header or {}).items()}
        private.lfs.href, private.lfs.header = other.url, header
        assert load(storage(git_token_secret_name="TOKEN")).run().result == len(CONTENT)
        assert [*map(len, (sent(private), sent(other)))] == [0, 1]
        assert "authorization" not in sent(other)[0]
        assert TOKEN not in repr(sent(other))


def test_another_host_that_wants_a_login_gets_none(private, storage, tmp_path):
    with serving_lfs(tmp_path / "served") as other:
        other.lfs.contents = private.lfs.contents
        other.lfs.wanted = {"authorization": "anything"}
        private.lfs.href = other.url
        refused(storage(git_token_secret_name="TOKEN"), AccessDeniedError)
        assert "authorization" not in sent(other)[0]
