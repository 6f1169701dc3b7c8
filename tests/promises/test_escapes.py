"""Keys, names, locations, prefixes and paths that would lead out of their folder lead nowhere.

Over HTTP the folder is what a URL has in front of a key: a bucket and prefix, a repository, the
address of a webhook. What a server is asked for is looked at as servers read it.
"""

from __future__ import annotations

import json
import os
import posixpath
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from forges.cases import FAKES, forge_of

import flowhold
from flowhold import Flow, keyring, task
from flowhold.contents import extract
from flowhold.errors import FlowholdError
from flowhold.fetching import fetch
from flowhold.filestore import FileStore
from flowhold.reference import SCHEMA, Reference
from flowhold.results import LocalResult
from flowhold.storage import Local
from flowhold.storage.keys import file_name
from flowhold.store import open_store
from flowhold.testing.faults import FaultProxy, Status

FILES = "path escapes, {}: nothing outside of its folder is read or written"
CANARY = "canary-of-what-lies-outside"

UP = ["..", "../outside", "../../outside", "a/../../outside", "a/../outside", "./../outside", "../"]
UP += ["a/b/../../../outside", "..//outside", "../outside/secret", "outside/../../outside/secret"]
UP += [".", "./", "a/./b", "a/.", "a//b", "/", "//", "a/", "", " ", "../" * 40 + "tmp/outside"]
ABSOLUTE = [
    "/etc/passwd",
    "//etc/passwd",
    "///etc/passwd",
    "/outside",
    "~/outside",
    "~root/outside",
]
ABSOLUTE += ["file:///etc/passwd", "http://127.0.0.1:1/outside", "//127.0.0.1:1/outside"]
WINDOWS = ["..\\outside", "a\\..\\..\\outside", "\\outside", "\\\\host\\share", "C:\\outside"]
WINDOWS += ["C:outside", "C:/outside", "\\\\?\\C:\\outside", "a\\b", "CON", "NUL", "aux.txt", "a:b"]
WINDOWS += ["a.", "a ", "..\\/outside", "../\\outside"]
SIGNS = [
    "a\0b",
    "\0",
    "../outside\0.txt",
    "a\nb",
    "a\r\nb",
    "\x1b[2J",
    "a\x7fb",
    "\udcff",
    "\ud800",
]
SIGNS += ["a?b", "a#b", "?", "#", "a;b", "a&b", "*", "a[b]", "{x}", "%", "%s", "$HOME", "${HOME}"]
ENCODED = ["%2e%2e/outside", "%2e%2e%2foutside", "..%2foutside", "..%5coutside", "%2foutside"]
ENCODED += ["%252e%252e%252foutside", "%00", "a%00b", "..%c0%afoutside", "%c0%ae%c0%ae/outside"]
ENCODED += ["%2E%2E/%2E%2E/outside", "a/%2e%2e/%2e%2e/outside", ".%2e/outside", "..;/outside"]
ALIKE = ["\uff0e\uff0e/outside", "..\u2215outside", "..\u2044outside", "..\uff0foutside"]
ALIKE += ["\u2024\u2024/outside", "\u2025/outside", "..\u29f8outside", "..\uff3coutside"]
ALIKE += ["\u202e/outside", "a\u200b/../outside", "\ufeff../outside", "\u3002\u3002/outside"]
LONG = [
    "a" * 255,
    "a" * 256,
    "a" * 5_000,
    "a/" * 600 + "a",
    "\u00e9" * 128,
    "../" * 400 + "outside",
]
HOSTILE = [*UP, *ABSOLUTE, *WINDOWS, *SIGNS, *ENCODED, *ALIKE, *LONG]


@task
def answer():
    return 42


def flow_of(name):
    with Flow(name) as flow:
        answer()
    return flow


@pytest.fixture
def inside(tmp_path):
    """A folder beside files that nobody is to read or write; links in it lead to them."""
    for folder in ("outside", "around/outside", "around/inside/a"):
        (tmp_path / "place" / folder).mkdir(parents=True)
    for path in ("outside/secret", "secret", "around/outside/secret", "around/secret"):
        (tmp_path / "place" / path).write_text(CANARY)
    return tmp_path / "place" / "around" / "inside"


def around(inside):
    """Return all that there is beside a folder, and what is in it."""
    top = inside.parents[1]
    places = [path for path in top.rglob("*") if not path.is_relative_to(inside)]
    places += [Path("/outside"), Path("/tmp/outside"), Path.home() / "outside"]
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in places
        if os.path.lexists(path)
    }


def on_files(name, trying, cases, inside, use):
    """Use each of some names; errors are ours, and what lies outside stays and is not told."""
    before = around(inside)
    for case in trying(FILES.format(name), cases):
        print(ascii(case)[:200])  # shown where it fails
        with suppress(FlowholdError):
            assert CANARY not in str(use(case))
        assert around(inside) == before


def test_keys_of_files(trying, inside):
    store = FileStore(inside)

    def use(key):
        found = []
        for ask in (store.get, store.head, lambda key: [*store.list(key)], store.delete):
            with suppress(FlowholdError):
                found.append(ask(key))
        store.put(key, b"x")
        assert store.get(key) == b"x"
        return found

    on_files("keys of files", trying, HOSTILE, inside, use)


def test_prefixes_of_files(trying, inside):
    """A URL says which folder it is; keys below it stay there."""
    (inside / "a" / "mine").write_text("mine")

    def use(prefix):
        return [*FileStore(inside).list(prefix)], [*FileStore(inside / "a").list(prefix, "../z")]

    on_files("prefixes", trying, HOSTILE, inside, use)


def test_links_where_something_is_written(trying, inside):
    """A file is put in the place of a link, not where it leads."""
    store, before = FileStore(inside), around(inside)
    targets = ["../secret", "../outside/secret", str(inside.parent / "secret"), "nowhere", "link"]
    for number, target in enumerate(trying(FILES.format("links in place"), targets)):
        key = f"a/link-{number}"
        (inside / "a").mkdir(exist_ok=True)
        (inside / key).symlink_to(target)
        with suppress(FlowholdError):
            store.put(key, b"x", if_absent=True)
        store.put(key, b"x")
        assert not (inside / key).is_symlink()
        assert store.get(key) == b"x"
        store.delete(key)
        assert around(inside) == before


def test_names_of_flows(trying, sample, inside, monkeypatch):
    for kind in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"FLOWHOLD_{kind}_DIR", str(inside / kind.lower()))

    def use(name):
        reference = flowhold.register(flow_of(name), storage=Local(inside / "flows"))
        assert flowhold.load(name).name == name
        assert fetch(reference, inside / "fetched" / str(len(list(inside.rglob("*")))))
        return reference.to_json()

    on_files("names of flows", trying, sample(HOSTILE, 12), inside, use)


def test_templates_of_keys(trying, sample, inside):
    def use(key):
        for template in (key, f"{{name}}/{key}", f"a/{key}", "{name}"):
            storage = Local(inside, key=template)
            with suppress(FlowholdError):
                storage.add_flow(flow_of(key or "etl"))
                storage.build()

    on_files("keys of storages", trying, sample(HOSTILE, 12), inside, use)


def test_paths_of_local(trying, sample, inside):
    """A location in a reference is read as far as the digest in it is that of what is there."""

    def use(location):
        document = {"type": "local", "options": {"directory": str(inside)}, "flows": {}}
        for place in (location, f"{inside}/{location}"):
            fields = {"flow": "etl", "storage": document, "location": place, "kind": "pickle"}
            fields |= {"schema": SCHEMA, "created": "2026-01-01", "sha256": "0" * 64, "size": 9}
            with suppress(FlowholdError):
                flowhold.load(Reference.from_dict(fields))
            with suppress(FlowholdError):
                fetch(Reference.from_dict(fields), inside / "fetched")

    on_files("locations of references", trying, sample(HOSTILE, 9), inside, use)


def test_locations_of_results(trying, sample, inside):
    before = around(inside)
    for text in trying(FILES.format("locations of results"), sample(HOSTILE, 15)):
        print(ascii(text)[:200])  # shown where it fails
        for location in (text, f"a/{text}", f"{text}/b", "{x}", "a/{x}/b", "{x}{x}", "..{x}"):
            with suppress(FlowholdError):
                written = LocalResult(inside, location=location).write(1, x=text)
                again = LocalResult(inside).read(written.location, sha256=written.sha256)
                assert again.value == 1
        assert around(inside) == before


def test_names_of_secrets(trying, inside, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRETS_DIR", str(inside))
    names = [
        *HOSTILE,
        "../secret",
        "../outside/secret",
        f"{inside.parent}/secret",
        "a/../../secret",
    ]
    on_files("names of secrets", trying, names, inside, flowhold.secret)


def test_names_of_keys(trying, inside, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CONFIG_DIR", str(inside))
    names = [*HOSTILE, "../secret", "../outside/secret"]
    on_files("names of keys", trying, names, inside, keyring.create)


def test_names_of_scripts_that_are_fetched(trying, inside):
    def use(location):
        name = file_name(location, location)
        assert name == os.path.basename(name)
        extract(b"x", "script", name, inside)
        assert (inside / name).read_bytes() == b"x"

    locations = [f"{each}{end}" for each in HOSTILE for end in ("", ".py", "/.py")]
    on_files("names of scripts", trying, locations, inside, use)


def asked_below(proxy, top):
    """Return what a server was asked for outside of a path, as servers understand it."""
    wrong = []
    for request in proxy.requests:
        path = urlsplit(request.target).path
        for read in (path, unquote(path)):
            if not f"{posixpath.normpath(read)}/".startswith(top):
                wrong.append(request.target)
    return wrong


def bucket(name, url, monkeypatch):
    """Return a store below a prefix, a storage, and the paths of the server that are theirs."""
    if name == "s3":
        from flowhold_storage_s3 import S3

        options = {"endpoint_url": url}
        store = open_store("s3://bucket/mine", {"client_options": options, "retries": 0})
        return store, S3("bucket", client_options=options, retries=0), "/bucket/"
    if name == "gcs":
        from flowhold_storage_gcs import GCS

        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        options = {"api_endpoint": url}
        store = open_store("gs://bucket/mine", {"client_options": options, "retries": 0})
        return store, GCS("bucket", client_options=options, retries=0), "/"
    from flowhold_storage_azure import Azure

    key = "a" * 86 + "=="
    text = f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey={key};BlobEndpoint={url}/a;"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    store = open_store("az://container/mine", {"retries": 0})
    return store, Azure("container", retries=0), "/a/container/"


@pytest.mark.parametrize("name", ["s3", "gcs", "azure"])
def test_keys_of_buckets(name, trying, sample, swift, request, monkeypatch):
    request.getfixturevalue(f"{name}_environment")
    with FaultProxy("http://127.0.0.1:1", lambda _: Status(404)) as proxy:
        store, storage, top = bucket(name, proxy.url, monkeypatch)
        for case in trying(FILES.format(f"keys of {name}"), sample(HOSTILE, 9)):
            print(ascii(case)[:200])  # shown where it fails
            proxy.clear()
            for ask in (store.get, store.head, store.delete, lambda key: store.put(key, b"x")):
                with suppress(FlowholdError):
                    ask(case)
            # In the path a key is one part of it, as gcs has it, or all that is behind the bucket.
            below = [asked.target for asked in proxy.requests if ".." in unquote(asked.target)]
            assert [each for each in below if "/../" in f"{unquote(each)}/"] == []
            for asked in proxy.requests:
                assert "mine" in unquote(asked.target) or b'"mine/' in asked.start
            document = {**storage.serialize(), "flows": {}}
            with suppress(FlowholdError):
                flowhold.load(Reference("etl", document, case, "pickle", sha256="0" * 64, size=9))
            assert asked_below(proxy, top) == []


@pytest.mark.parametrize("name", FAKES)
def test_paths_of_forges(name, trying, sample, swift):
    with forge_of(name) as forge, FaultProxy("http://127.0.0.1:1", lambda _: Status(404)) as proxy:
        owner, _, repository = forge.fake.repository.name.partition("/")
        with suppress(FlowholdError):
            forge.storage(host=proxy.url, retries=0).get_flow("etl")
        marks = [mark.lower() for mark in (owner, repository)]
        for case in trying(FILES.format(f"paths of {name}"), sample(HOSTILE, 9)):
            print(ascii(case)[:200])  # shown where it fails
            proxy.clear()
            for options in ({"path": case}, {"ref": case}, {"path": case, "ref": "a" * 40}):
                with suppress(FlowholdError):
                    storage = forge.storage(host=proxy.url, retries=0, timeout=5, **options)
                    storage.add_flow(flow_of("etl"))
                    storage.get_flow("etl")
            for asked in proxy.requests:
                target = unquote(posixpath.normpath(urlsplit(asked.target).path)).lower()
                assert all(mark in target for mark in marks), asked.target


def test_names_in_webhooks(trying, sample, swift):
    from flowhold_storage_webhook import Webhook

    with FaultProxy("http://127.0.0.1:1", lambda _: Status(404)) as proxy:
        for case in trying(FILES.format("names in webhooks"), sample(HOSTILE, 9)):
            print(ascii(case)[:200])  # shown where it fails
            for place in ("{slug}", "{name}", "x-{name}"):
                proxy.clear()
                both = {"url": f"{proxy.url}/mine/{place}/end"}
                with suppress(FlowholdError):
                    storage = Webhook(both, "PUT", both, "GET", retries=0)
                    storage.add_flow(flow_of(case))
                    storage.build()
                with suppress(FlowholdError):
                    document = {**storage.serialize(), "flows": {}}
                    flowhold.load(Reference(case, document, case, "pickle", sha256="0" * 64))
                assert asked_below(proxy, "/mine/") == []


def test_paths_in_images(trying, sample, inside):
    """What goes into an image comes from the folder of its context, and stays in it."""
    from flowhold_storage_docker import Docker

    def use(text):
        for number, options in enumerate(
            ({"path": text}, {"flowhold_directory": text}, {"files": {str(inside / "a"): text}})
        ):
            with suppress(FlowholdError):
                storage = Docker(base_image="python", **options)
                storage.add_flow(flow_of(text or "etl"))
                folder = inside / f"{number}-{len(list(inside.iterdir()))}"
                storage.create_dockerfile_object(folder)
                dockerfile = (folder / "Dockerfile").read_text()
                assert CANARY not in dockerfile
                for line in dockerfile.splitlines():
                    if line.startswith("COPY ["):
                        *sources, _ = json.loads(line.removeprefix("COPY "))
                        assert not any(".." in source.split("/") for source in sources)

    on_files("paths in images", trying, sample(HOSTILE, 12), inside, use)
