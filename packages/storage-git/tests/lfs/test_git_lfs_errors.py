"""What an LFS server lacks, refuses or garbles is an error that says so."""

from __future__ import annotations

import pytest

from flowhold.errors import (
    AccessDeniedError,
    IntegrityError,
    StorageError,
    StorageUnavailableError,
)

from .cases import CONTENT, refused
from .server import LFSHandler, pointer


def test_a_login_that_lfs_refuses_is_told_of(server, storage):
    server.lfs.status = 401
    refused(storage(), AccessDeniedError)


def test_a_file_that_the_server_does_not_have_is_named(server, storage):
    server.lfs.contents.clear()
    error = refused(storage(), StorageError, r"does not have model\.bin")
    assert error.hint == "push it: `git lfs push --all origin`"


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (404, StorageError, "does not have model"),
        (410, StorageError, "does not have model"),
        (403, AccessDeniedError, "only for some"),
        (422, StorageError, "only for some"),
        (503, StorageUnavailableError, "only for some"),
    ],
)
def test_an_error_of_one_file_is_told_of(server, storage, code, kind, words):
    server.lfs.errors = dict.fromkeys(server.lfs.contents, (code, "only\nfor some"))
    assert words in str(refused(storage(), kind))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, AccessDeniedError),
        (404, StorageError),
        (413, StorageError),
        (422, StorageError),
        (429, StorageUnavailableError),
        (500, StorageUnavailableError),
        (501, StorageError),
        (503, StorageUnavailableError),
    ],
)
@pytest.mark.parametrize("of", ["batch", "content"])
def test_an_answer_that_is_an_error_is_told_of(server, storage, status, kind, of):
    if of == "batch":
        server.lfs.status = status
    else:
        server.lfs.content_status = status
    assert type(refused(storage(), kind)) is kind


def test_a_server_without_lfs_is_told_of(server, storage):
    server.lfs.status = 404
    assert "has no LFS" in str(refused(storage(), StorageError))


@pytest.mark.parametrize(
    "content",
    [b"", CONTENT[:-1], CONTENT + b"x", b"x" * len(CONTENT)],
    # pytest puts the name of a test into the environment, where long ones leave no room for git.
    ids=["empty", "shorter", "longer", "other"],
)
def test_a_content_that_is_not_what_the_commit_names_is_refused(server, storage, content):
    server.lfs.contents = dict.fromkeys(server.lfs.contents, content)
    refused(storage(), IntegrityError, r"model\.bin that arrived is not the one")


def test_a_size_that_is_wrong_is_refused(server, storage, repository):
    text = server.lfs.add(b"content").replace("size 7", "size 8")
    repository.commit({"wrong": text})
    refused(storage(), IntegrityError, "wrong that arrived")


def test_more_than_allowed_is_not_even_asked_for(server, storage, repository, monkeypatch):
    repository.commit({"huge": pointer("1" * 64, 10**15)})
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "1000000000")
    refused(storage(), IntegrityError, "larger than allowed")
    assert server.lfs.batches == []


ACTIONS = ["7", '"x"', '{"download": 7}', '{"download": {}}']
HREFS = ["null", '"x"', '"file:///etc/passwd"', '"http://127.0.0.1:1/", "header": 7']
HREFS += [
    f'"http://127.0.0.1:1/", "header": {text}' for text in ('["x"]', '{"a": 7}', '{"a\\n": "b"}')
]
ACTIONS += ['{"download": {"href": HREF}}'.replace("HREF", text) for text in HREFS]
OBJECTS = ["7", "[7]", "[{}]"]
OBJECTS += ['[{"oid": "OID", "actions": ACTIONS}]'.replace("ACTIONS", text) for text in ACTIONS]
OBJECTS += [
    '[{"oid": "OID", "error": ERROR}]'.replace("ERROR", text)
    for text in ("7", '"x"', '{"code": "x"}')
]
ANSWERS = [
    "x",
    "[]",
    "{}",
    "null",
    *('{"objects": OBJECTS}'.replace("OBJECTS", text) for text in OBJECTS),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_makes_no_sense_is_an_error(server, storage, answer):
    (oid,) = server.lfs.contents
    server.lfs.answer = answer.replace("OID", oid)
    assert "\n" not in str(refused(storage(), StorageError))


def test_a_connection_that_breaks_off_is_told_of(server, storage, monkeypatch):
    original = LFSHandler.reply

    def reply(handler, status, body, headers=None):
        if "/contents/" in handler.path:
            headers, handler.close_connection = {"Content-Length": str(len(body) + 9)}, True
        original(handler, status, body, headers)

    monkeypatch.setattr(LFSHandler, "reply", reply)
    refused(storage(), StorageUnavailableError)
