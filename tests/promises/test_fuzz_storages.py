"""Whatever storages are given as options, files and answers: a value, or an error of Flowhold."""

from __future__ import annotations

import io
import json
import struct
import tempfile
from contextlib import suppress

import pytest
import requests
import urllib3
from hostile_values import document, leaves, mutated, texts, values, words
from hypothesis import strategies as st

from flowhold.bundles import collect
from flowhold.errors import StorageError
from flowhold.manifest import Manifest
from flowhold.storage import Bytes, Local, Module, Storage
from flowhold_storage_docker import Docker
from flowhold_storage_docker.connecting import connect
from flowhold_storage_docker.ignore import Ignore, read_ignore
from flowhold_storage_docker.image import Image
from flowhold_storage_git import Bitbucket, CodeCommit, Git, GitHub, GitLab
from flowhold_storage_git.address import Address
from flowhold_storage_git.lfs import fetch_files
from flowhold_storage_git.objects import COMMIT, PackedObjects, tree_entries
from flowhold_storage_git.repository import open_repository
from flowhold_storage_webhook import Webhook

SHA = "0123456789" * 4
CALL = {
    "url": "https://127.0.0.1:9/{slug}",
    "headers": {"A": "${HOME}"},
    "params": {"a": ["$HOME"]},
    "timeout": [1, 2],
    "auth": None,
}
PLUGGED = {
    "webhook": lambda: Webhook(CALL, "PUT", CALL, "GET"),
    "docker": lambda: Docker(base_image="python:3.12", registry_url="localhost:9"),
    "git": lambda: Git(git_clone_url="https://127.0.0.1:9/a.git", flow_path="etl.py"),
    "github": lambda: GitHub("team/flows", "etl.py"),
    "gitlab": lambda: GitLab("team/flows", path="etl.py"),
    "bitbucket": lambda: Bitbucket("team", "flows", path="etl.py", workspace="team"),
    "codecommit": lambda: CodeCommit("flows", "etl.py", commit=SHA),
}


@pytest.mark.parametrize("known", ["local", "bytes", "module"])
def test_serialized_storages(fuzz, known):
    storage = {"local": Local, "bytes": Bytes, "module": lambda: Module("etl")}[known]()
    good = storage.serialize()
    options = document({**good["options"], "key": None, "include": None, "path": None})
    documents = document(good) | options.map(lambda changed: {**good, "options": changed})

    def read(fields):
        revived = Storage.deserialize(fields)
        repr(revived)
        revived.get_flow("etl")

    fuzz(documents, reader=read)


@pytest.mark.parametrize("known", PLUGGED)
def test_serialized_storages_of_plugins(fuzz, known):
    good = PLUGGED[known]().serialize()
    options = document(good["options"]).map(lambda changed: {**good, "options": changed})

    def read(fields):
        revived = Storage.deserialize(fields)
        repr(revived)
        assert json.loads(json.dumps(revived.serialize()))["type"] == known

    fuzz(document(good) | options, reader=read)


def test_templates_of_webhooks(fuzz):
    inner = st.text("${}ab_ HOMEslug", max_size=12) | leaves
    nested = st.lists(inner, max_size=2) | st.dictionaries(texts | words, inner, max_size=2)
    names = st.sampled_from([*CALL, "data", "json", "cookies", "verify", "cert", "proxies"])
    changed = st.dictionaries(names, inner | nested, max_size=3)

    def read(edit, method):
        storage = Webhook({**CALL, **edit}, method, {**CALL, **edit}, "GET")
        assert storage.url
        json.dumps(storage.serialize())

    fuzz(changed, st.sampled_from(["PUT", "POST"]) | texts, reader=read)


PATTERNS = st.lists(st.text("a*?[]!^-/\\.#{b \n", max_size=9) | texts, max_size=4).map("\n".join)


def test_files_that_say_what_to_ignore(fuzz, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").write_text("")

    def read(text, include):
        (root / ".flowholdignore").write_bytes(text.encode(errors="replace"))
        collect(root, include, ["a"])

    fuzz(PATTERNS, st.lists(st.text("a*[]!/.\\", max_size=5), max_size=2), reader=read)


def test_files_that_say_what_docker_ignores(fuzz, tmp_path):
    path = tmp_path / "ignored"

    def read(data, name):
        path.write_bytes(data)
        ignore = Ignore(read_ignore(path))
        ignore.leaves_out(name)
        ignore.may_keep_below(name)

    raw = PATTERNS.map(lambda text: text.encode(errors="replace"))
    fuzz(raw | st.binary(max_size=30), texts, reader=read)


def test_images_in_references(fuzz):
    good = {"registry": "a:5000", "name": "flows", "tag": "x", "digest": "sha256:" + "0" * 64}
    fuzz(document(good) | values, reader=Image.from_json)


def test_configurations_of_docker(fuzz, home, monkeypatch):
    folder = home / ".docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    good = {
        "auths": {"a.test": {"auth": "YTpi", "identitytoken": "x"}},
        "credHelpers": {"b.test": "none"},
        "credsStore": "none",
        "proxies": {"default": {"httpProxy": "http://a"}},
        "HttpHeaders": {"A": "b"},
    }
    flat = {"a.test": {"auth": "YTpi", "email": "x"}}
    raw = mutated(json.dumps(good).encode()) | mutated(b"auth = YTpi\nemail = x\n")
    documents = document(good) | document(flat) | values

    def read(data):
        (folder / "config.json").write_bytes(data)
        connect("tcp://127.0.0.1:9", None)

    fuzz(documents.map(lambda told: json.dumps(told).encode()) | raw, reader=read)


def test_manifests(fuzz):
    good = Manifest.of({"a": "0" * 64, "b/c": "1" * 64}).data

    def read(data, name):
        with suppress(ValueError, LookupError):
            manifest = Manifest(data)
            assert all(isinstance(path, str) for path in manifest)
            assert isinstance(manifest[name], str)

    fuzz(mutated(good) | st.binary(max_size=40), st.sampled_from(["a", "b/c"]) | texts, reader=read)


def test_packs_of_git(fuzz):
    head = b"PACK" + struct.pack(">II", 2, 1)
    blob = bytes.fromhex("33789c4bcccd2f4a05000675021d")
    good = head + blob + bytes(20)

    def read(data):
        with PackedObjects() as objects, tempfile.TemporaryFile() as file:
            file.write(data)
            objects.add_pack(file)
            for sha in objects.shas(COMMIT):
                objects.read(sha, COMMIT)

    fuzz(mutated(good) | st.binary(max_size=60), reader=read)


def test_trees_of_git(fuzz):
    good = b"100644 a\0" + bytes(20) + b"40000 b\0" + bytes(20)
    fuzz(mutated(good) | st.binary(max_size=60), reader=lambda data: list(tree_entries(data)))


def test_folders_of_git(fuzz, tmp_path):
    root = tmp_path / "a.git"
    for name in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
        (root / name).mkdir(parents=True)
    head, packed = b"ref: refs/heads/main\n", f"# pack-refs\n{SHA} refs/tags/a\n^{SHA}\n".encode()
    near = st.tuples(mutated(head), mutated(f"{SHA}\n".encode()), mutated(packed), st.binary())

    def read(files):
        names = ("HEAD", "refs/heads/main", "packed-refs", "config")
        for name, data in zip(names, files, strict=True):
            (root / name).write_bytes(data)
        address = Address.parse(f"file://{root}")
        with open_repository(address, 1, 0) as repository:
            refs = repository.refs("HEAD", "refs/heads/", "refs/tags/")
            assert all(isinstance(sha, str) for sha in refs.values())
            list(repository.commits(refs))

    fuzz(near, reader=read)


def test_pointers_of_lfs(fuzz, tmp_path):
    good = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 12\n" % (b"0" * 64)
    place = tmp_path / "files"
    place.mkdir()

    def read(data):
        (place / "a").write_bytes(data)
        fetch_files(Address.parse(f"file://{tmp_path}/a.git"), place, {"a": "0" * 64}, 1, 0)

    fuzz(mutated(good) | st.binary(max_size=60), reader=read)


def answered(status, data, kind):
    response = requests.Response()
    response.status_code, response.reason = status, "told"
    response.raw = urllib3.HTTPResponse(io.BytesIO(data), preload_content=False)
    response.headers.update({"content-type": kind, "x-gitlab-commit-id": SHA})
    return response


STATUSES = st.sampled_from([200, 200, 200, 404, 403, 409, 429, 500])
KINDS = st.sampled_from(["application/json", "text/plain", "text/html", ""])
ANSWERS = {
    "github": {"default_branch": "main", "message": "no", "sha": SHA},
    "gitlab": {"message": "404 File Not Found", "error": "x"},
    "bitbucket": {"mainbranch": {"name": "main"}, "target": {"hash": SHA}, "values": []},
}


@pytest.mark.parametrize("known", ANSWERS)
def test_answers_of_forges(fuzz, known, monkeypatch):
    good = ANSWERS[known]
    bodies = (document(good) | values).map(lambda told: json.dumps(told).encode())
    bodies |= mutated(json.dumps(good).encode()) | st.just(SHA.encode()) | st.binary(max_size=30)
    answers = st.lists(st.tuples(STATUSES, bodies, KINDS), min_size=1, max_size=4)
    storages = [PLUGGED[known]()]
    if known == "bitbucket":
        host = "https://127.0.0.1:9"
        storages.append(Bitbucket("TEAM", "flows", path="etl.py", host=host))
    for storage in storages:
        storage.retries = 0

    def read(told):
        for storage in storages:
            waiting = iter([*told, *[(404, b"", "")] * 9])
            with monkeypatch.context() as patch:
                ask = "flowhold_storage_git.forge_http.ask"
                patch.setattr(ask, lambda *_, waiting=waiting, **__: answered(*next(waiting)))
                source = storage.open_source()
                with suppress(StorageError):
                    assert len(source.resolve()) == 40
                with tempfile.TemporaryFile() as file:
                    source._fetch(SHA, file)

    fuzz(answers, reader=read)


def test_answers_of_lfs(fuzz, tmp_path, monkeypatch):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA[:32] * 2}\nsize 1\n"
    each = {"oid": SHA[:32] * 2, "size": 1, "authenticated": True, "error": {"code": 500}}
    each["actions"] = {"download": {"href": "https://127.0.0.1:9/a", "header": {"A": "b"}}}
    entries = st.lists(document(each) | values, max_size=2)
    entries |= document(each["actions"]).map(lambda told: [{**each, "actions": told, "error": {}}])
    entries |= document(each["error"]).map(lambda told: [{**each, "error": told}])
    bodies = (entries.map(lambda told: {"objects": told}) | values).map(
        lambda told: json.dumps(told).encode()
    )
    place = tmp_path / "files"
    place.mkdir()
    address = Address.parse("https://127.0.0.1:9/a.git")

    def read(status, body, content):
        (place / "a").write_text(pointer)
        waiting = iter([(status, body, ""), (200, content, "")])
        ask = "flowhold_storage_git.lfs.ask"
        monkeypatch.setattr(ask, lambda *_, waiting=waiting, **__: answered(*next(waiting)))
        fetch_files(address, place, {"a": "0" * 64}, 1, 0)

    fuzz(STATUSES, bodies | st.binary(max_size=30), st.binary(max_size=2), reader=read)
