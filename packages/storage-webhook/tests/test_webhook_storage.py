"""Storing and loading by requests, as the seeds' example has it and as nginx takes it."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import flowhold
from flowhold import Catalog, flow, load
from flowhold.copying import copy_flows
from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowNotFoundError,
    IntegrityError,
    ObjectExistsError,
    ObjectNotFoundError,
    SecretNotFoundError,
    StorageError,
    UnverifiedError,
)
from flowhold.storage import Local
from flowhold.storage.records import Record
from flowhold_storage_webhook import Webhook
from flowhold_storage_webhook.calls import Call

from .dropbox_api import TOKEN, dropbox_arguments

SCRIPT = "import flowhold\n\n@flowhold.flow\ndef etl():\n    return {value!r}\n"


def made(name="etl", value=1):
    return flow(lambda: value, name=name)


def store(storage, *flows):
    for each in flows or [made()]:
        storage.add_flow(each)
    return storage.build()


class TestDropbox:
    def test_the_example_of_the_seeds_stores_and_loads(self, dropbox):
        storage = Webhook(*dropbox_arguments(dropbox.url, "/Apps/test-app/dropbox-flow.flow"))
        etl = made("dropbox-flow", 42)
        etl.storage = storage
        reference = etl.register()
        assert reference.location == "dropbox-flow"
        assert (reference.kind, reference.pinned) == ("pickle", True)
        assert [*dropbox.files] == ["/Apps/test-app/dropbox-flow.flow"]
        assert load(reference).run().result == 42
        (path, sent), (_, asked) = dropbox.requests
        assert path == "/2/files/upload"
        assert sent["Authorization"] == asked["Authorization"] == f"Bearer {TOKEN}"
        assert json.loads(sent["Dropbox-API-Arg"])["mode"] == "overwrite"
        assert sent["Content-Type"] == "application/octet-stream"
        assert sent["Content-Length"] == str(reference.size)
        assert "Transfer-Encoding" not in sent

    def test_it_loads_in_another_process(self, dropbox):
        etl = made("etl", [1, 2])
        etl.storage = Webhook(*dropbox_arguments(dropbox.url))
        etl.register()
        call = [sys.executable, "-m", "flowhold", "run", "etl", "--json"]
        done = subprocess.run(call, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["result"] == [1, 2]

    def test_a_wrong_token_is_told(self, dropbox, monkeypatch):
        monkeypatch.setenv("DBOX_OAUTH2_TOKEN", "stale")
        storage = Webhook(*dropbox_arguments(dropbox.url))
        with pytest.raises(AccessDeniedError, match=r"HTTP 401 invalid_access_token") as caught:
            store(storage)
        assert "variable or secret" in caught.value.hint

    def test_a_token_that_is_nowhere_is_told_by_name(self, dropbox, monkeypatch):
        monkeypatch.delenv("DBOX_OAUTH2_TOKEN")
        with pytest.raises(SecretNotFoundError, match="DBOX_OAUTH2_TOKEN") as caught:
            store(Webhook(*dropbox_arguments(dropbox.url)))
        assert dropbox.url not in str(caught.value)
        assert dropbox.requests == []

    def test_a_secret_is_enough(self, dropbox, monkeypatch):
        monkeypatch.delenv("DBOX_OAUTH2_TOKEN")
        with flowhold.secrets({"DBOX_OAUTH2_TOKEN": TOKEN}):
            storage = store(Webhook(*dropbox_arguments(dropbox.url)))
        monkeypatch.setenv("FLOWHOLD_SECRET_DBOX_OAUTH2_TOKEN", TOKEN)
        assert storage.get_flow().name == "etl"

    def test_a_conflict_is_told(self, dropbox):
        arguments = dropbox_arguments(dropbox.url, "/fixed")
        arguments[0]["headers"]["Dropbox-API-Arg"] = json.dumps({"path": "/fixed", "mode": "add"})
        store(Webhook(*arguments))
        with pytest.raises(StorageError, match="path/conflict/file"):
            store(Webhook(*arguments), made("etl", 2))

    def test_what_is_not_there_is_told(self, dropbox):
        storage = store(Webhook(*dropbox_arguments(dropbox.url)))
        dropbox.files.clear()
        with pytest.raises(ObjectNotFoundError, match="path/not_found"):
            storage.get_flow()


class TestCosts:
    def test_a_request_stores_one_loads_and_none_loads_what_is_cached(self, proxy, dav):
        storage = store(dav(proxy.url))
        assert [request.method for request in proxy.requests] == ["PUT"]
        storage.get_flow().run()
        assert [request.method for request in proxy.requests] == ["PUT", "GET"]
        storage.get_flow().run()
        storage.build()
        assert proxy.count() == 2
        assert [check["ok"] for check in storage.verify()] == [True]
        assert proxy.count() == 3

    def test_many_flows_take_a_request_each(self, proxy, dav, caplog):
        caplog.set_level(logging.DEBUG)
        storage = store(dav(proxy.url), *(made(f"flow {n}", n) for n in range(30)))
        assert not [record for record in caplog.records if record.name.startswith("urllib3")]
        assert [request.method for request in proxy.requests] == ["PUT"] * 30
        assert storage.get_flow("flow 7").run().result == 7

    def test_what_did_not_change_is_not_stored_again(self, proxy, dav):
        for _ in range(2):
            reference = flowhold.register(made(), storage=dav(proxy.url))
            assert reference.version == 1
        assert proxy.count() == 1


class TestPlaces:
    def test_several_flows_by_name(self, dav, webdav_server, webdav_folder):
        storage = store(dav(path="{name}.flow"), made("a b/ü", 1), made("{slug}", 2))
        assert storage.flows == {"a b/ü": "a b/ü", "{slug}": "{slug}"}
        root = webdav_server.root / webdav_folder
        files = {path.relative_to(root).as_posix() for path in root.rglob("*.flow")}
        assert files == {"a b/ü.flow", "{slug}.flow"}
        assert storage.get_flow("a b/ü").run().result == 1
        assert storage.get_flow("{slug}").run().result == 2

    def test_names_are_not_templates(self, dav, monkeypatch):
        monkeypatch.setenv("CANARY", "canary")
        storage = store(dav(path="{name}"), made("${CANARY}", 1))
        assert storage.get_flow().run().result == 1
        assert storage.verify()[0]["detail"].startswith("${CANARY}: ")

    @pytest.mark.parametrize(
        "paths", [("fixed", "fixed"), ("{slug}", "fixed"), ("fixed", "{slug}")]
    )
    def test_without_marks_in_both_it_holds_one_flow(self, webdav_server, webdav_folder, paths):
        base = f"{webdav_server.url}/{webdav_folder}"
        build, get = ({"url": f"{base}/{path}"} for path in paths)
        storage = Webhook(build, "PUT", get, "GET")
        storage.add_flow(made("one"))
        with pytest.raises(ConfigurationError, match="holds one flow, 'one'") as caught:
            storage.add_flow(made("two"))
        assert "{slug}" in caught.value.hint
        assert [*storage.flows] == ["one"]
        storage.discard("one")
        storage.add_flow(made("two"))

    def test_two_flows_at_one_place_are_refused(self, dav):
        storage = dav(path="{slug}")
        storage.add_flow(made("A B"))
        with pytest.raises(ConfigurationError, match="'A B' and 'a-b' have one place"):
            storage.add_flow(made("a-b"))

    def test_a_place_is_taken_by_flows_that_were_stored_before_and_free_when_they_are_discarded(
        self, dav
    ):
        stored = store(dav(path="{slug}"), made("A B"))
        storage = flowhold.Storage.deserialize(stored.serialize())
        with pytest.raises(ConfigurationError, match="'A B' and 'a-b' have one place"):
            storage.add_flow(made("a-b"))
        other = storage.emptied()
        other.add_flow(made("a-b"))
        storage.add_flow(made("c"))
        storage.discard("A B")
        storage.add_flow(made("a_b"))
        with pytest.raises(ConfigurationError, match="'a_b' and 'A-B' have one place"):
            storage.add_flow(made("A-B"))
        with pytest.raises(ConfigurationError, match="'a-b' and 'A-B' have one place"):
            other.add_flow(made("A-B"))

    def test_a_place_of_two_flows_with_the_same_bytes_is_taken_while_one_is_there(self, dav):
        storage = dav(path="{slug}")
        for name in ("A B", "a-b"):
            storage.adopt(name, SCRIPT.format(value=1).encode(), Record("", "script"))
        storage.discard("A B")
        with pytest.raises(ConfigurationError, match="'a-b' and 'A-B' have one place"):
            storage.add_flow(made("A-B"))

    def test_adding_a_flow_takes_no_longer_where_many_are(self, dav, monkeypatch):
        filled, at = [], Call.at
        monkeypatch.setattr(Call, "at", lambda *given: filled.append(given) or at(*given))
        storage = dav()
        for n in range(20):
            storage.add_flow(made(f"flow {n}", n))
        assert len(filled) == 2 * 20

    def test_earlier_versions_stay_where_the_digest_is_in_the_url(self, dav):
        references = [flowhold.register(made("etl", n), storage=dav()) for n in (1, 2)]
        assert [load(each).run().result for each in references] == [1, 2]
        assert references[0].location == f"etl/{references[0].sha256}"

    def test_a_later_version_takes_the_place_of_an_earlier_one_elsewhere(self, dav):
        first, second = (
            flowhold.register(made("etl", n), storage=dav(path="{slug}")) for n in (1, 2)
        )
        assert load(second).run().result == 2
        with pytest.raises(IntegrityError, match="nothing of it was run"):
            load(first)

    def test_marks_in_headers(self, answering):
        server = answering()
        kept = {}

        def answer(request):
            key = request.headers["X-Path"]
            if request.command == "PUT":
                kept[key] = server.requests[-1][3]
            return 200, {}, kept[key]

        server.answers["/api"] = answer
        both = {"url": f"{server.url}/api", "headers": {"X-Path": '{"at": "{slug}/{name}"}'}}
        storage = store(Webhook(both, "PUT", both, "GET"), made("One"), made("Two", 2))
        assert storage.get_flow("Two").run().result == 2
        assert {*kept} == {'{"at": "one/{name}"}', '{"at": "two/{name}"}'}

    def test_a_name_that_is_not_here_is_not_asked_for(self, proxy, dav):
        storage = store(dav(proxy.url))
        proxy.clear()
        with pytest.raises(FlowNotFoundError, match="holds: 'etl'"):
            storage.get_flow("other")
        with pytest.raises(FlowNotFoundError):
            storage.get_flow("other", allow_unverified=True)
        assert proxy.count() == 0


class TestScripts:
    @pytest.fixture
    def script(self):
        path = Path("etl.py")
        path.write_text(SCRIPT.format(value=7))
        return path

    def test_a_script_is_stored_as_it_is(self, dav, script, webdav_server, webdav_folder):
        storage = dav(path="etl.py", stored_as_script=True, flow_script_path=str(script))
        reference = flowhold.register(load("etl.py"), storage=storage)
        stored = webdav_server.root / webdav_folder / "etl.py"
        assert stored.read_bytes() == script.read_bytes()
        assert reference.sha256 == hashlib.sha256(script.read_bytes()).hexdigest()
        assert load(reference).run().result == 7
        stored.write_text("raise SystemExit\n")
        storage = reference.open_storage()
        assert storage.get_flow().run().result == 7
        assert [check["ok"] for check in storage.verify()] == [False]

    def test_a_script_that_is_there_is_found_by_a_bare_name(
        self, dav, webdav_server, webdav_folder
    ):
        stored = webdav_server.root / webdav_folder / "theirs"
        stored.parent.mkdir(parents=True)
        stored.write_text(SCRIPT.format(value=1))
        storage = dav(path="theirs", stored_as_script=True, flow_script_path="unused.py")
        assert storage.get_flow("etl").run().result == 1
        stored.write_text(SCRIPT.format(value=2))
        assert storage.get_flow("etl").run().result == 2
        with pytest.raises(FlowNotFoundError, match="other"):
            storage.get_flow("other")

    def test_a_pickle_of_which_nothing_is_known_needs_to_be_allowed(self, dav):
        store(dav(path="flow"))
        fresh = dav(path="flow")
        with pytest.raises(FlowNotFoundError):
            fresh.get_flow("etl")
        assert fresh.get_flow("etl", allow_unverified=True).run().result == 1
        with pytest.raises(FlowNotFoundError):
            fresh.get_flow("other", allow_unverified=True)
        script = dav(path="flow", stored_as_script=True, flow_script_path="unused.py")
        with pytest.raises((UnverifiedError, IntegrityError, flowhold.errors.SerializationError)):
            script.get_flow("etl")

    def test_modules_and_files_come_along(self, dav):
        folder = Path("project")
        folder.mkdir()
        (folder / "beside.py").write_text("VALUE = 'beside'\n")
        (folder / "etl.py").write_text(
            "import flowhold, beside\n@flowhold.flow\ndef etl():\n    return beside.VALUE\n"
        )
        options = {"flow_script_path": str(folder / "etl.py"), "include": ["beside.py"]}
        storage = dav(stored_as_script=True, **options)
        reference = flowhold.register(load(str(folder / "etl.py")), storage=storage)
        for path in folder.iterdir():
            path.unlink()
        assert reference.kind == "bundle"
        assert load(reference).run().result == "beside"


class TestArguments:
    @pytest.mark.parametrize("name", ["data", "json"])
    def test_a_body_among_the_arguments_is_not_sent_and_warned_of(self, answering, name):
        server = answering()
        server.answers["/"] = (200, {}, b"")
        storage = Webhook(
            {"url": f"{server.url}/", name: {"a": "${NOWHERE}"}}, "POST", {"url": server.url}, "GET"
        )
        storage.add_flow(made())
        with pytest.warns(RuntimeWarning, match=f"'{name}' in build_request_kwargs is not sent"):
            storage.build()
        ((_, _, headers, body),) = server.requests
        assert hashlib.sha256(body).hexdigest() == storage.references()[0].sha256
        assert "Content-Type" not in headers

    def test_every_argument_is_a_template(self, answering, monkeypatch):
        for name in ("H", "P", "J", "U", "W", "C"):
            monkeypatch.setenv(name, f"value-{name}")
        server = answering()
        server.answers["/value-U"] = (404, {}, b"")
        get = {
            "url": f"{server.url}/$U",
            "headers": {"X-H": "<${H}>"},
            "params": [("p", "$P"), ("q", "$$P")],
            "json": {"deep": [{"er": ("$J", 5)}]},
            "auth": ("me", "${W}"),
            "cookies": {"c": "$C"},
        }
        storage = Webhook({"url": server.url}, "PUT", get, "POST")
        for each in (storage, flowhold.Storage.deserialize(storage.serialize())):
            with pytest.raises(ObjectNotFoundError):
                each.get_flow("etl", allow_unverified=True)
            method, path, headers, body = server.requests.pop()
            assert (method, path) == ("POST", "/value-U?p=value-P&q=%24P")
            assert headers["X-H"] == "<value-H>"
            assert json.loads(body) == {"deep": [{"er": ["value-J", 5]}]}
            assert headers["Authorization"] == "Basic bWU6dmFsdWUtVw=="
            assert headers["Cookie"] == "c=value-C"
        assert storage.get_flow_request_kwargs == get

    def test_a_login_in_the_url_is_sent_as_one(self, webdav_server, webdav_folder, monkeypatch):
        from urllib.parse import quote

        from webdav_server import PASSWORD, USER

        monkeypatch.setenv("LOGIN", f"{USER}:{quote(PASSWORD, safe='')}")
        url = f"http://${{LOGIN}}@127.0.0.1:{webdav_server.port}/private/{webdav_folder}/flow"
        storage = store(Webhook({"url": url}, "PUT", {"url": url}, "GET"))
        assert storage.get_flow().run().result == 1

    def test_the_users_own_netrc_and_cookies_of_servers_are_not_used(self, answering, monkeypatch):
        server = answering()
        host = server.url.split("//")[1].split(":")[0]
        Path(Path.home(), ".netrc").write_text(f"machine {host} login me password canary\n")
        Path(Path.home(), ".netrc").chmod(0o600)
        server.answers["/"] = (404, {"Set-Cookie": "session=canary"}, b"")
        storage = Webhook({"url": server.url}, "PUT", {"url": f"{server.url}/"}, "GET")
        for _ in range(2):
            with pytest.raises(ObjectNotFoundError):
                storage.get_flow("etl", allow_unverified=True)
        assert len(server.requests) == 2
        for _, _, headers, _ in server.requests:
            assert not {"Authorization", "Cookie"} & {*headers}

    def test_what_a_user_changes_after_the_build_is_what_counts(self, dav, webdav_server):
        storage = store(dav(path="first"))
        url = storage.build_request_kwargs["url"]
        path = webdav_server.path(url)
        path.rename(path.with_name("second"))
        storage.get_flow_request_kwargs["url"] = url.replace("first", "second")
        (reference,) = storage.references()
        assert load(reference).run().result == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("folder", "error", "said"),
        [
            ("private", AccessDeniedError, "HTTP 401"),
            ("small", StorageError, "HTTP 413"),
            ("read-only", ConfigurationError, "HTTP 405"),
        ],
    )
    def test_what_nginx_does_not_take(self, dav, webdav_server, folder, error, said):
        storage = dav(f"{webdav_server.url}/{folder}")
        with pytest.raises(error, match=said) as caught:
            store(storage, made("etl", "x" * 2000))
        assert caught.value.hint
        assert (caught.value.storage, caught.value.location) == (
            "Webhook",
            storage.flows["etl"],
        )
        assert "etl" in storage._pending

    @pytest.mark.parametrize("same", [True, False])
    def test_what_is_there_already_is_fine_if_it_is_the_same(self, answering, same):
        server = answering()
        kept = []

        def answer(request):
            if request.command == "GET":
                return 200, {}, kept[0]
            if kept:
                return 412, {}, b""
            kept.append(server.requests[-1][3] if same else b"other")
            return 412, {}, b""

        server.answers["/flow"] = answer
        both = {"url": f"{server.url}/flow"}
        build = {**both, "headers": {"If-None-Match": "*"}}
        storage = Webhook(build, "PUT", both, "GET")
        if same:
            store(storage)
            assert storage._pending == {}
        else:
            with pytest.raises(ObjectExistsError, match="another object") as caught:
                store(storage)
            assert "{sha256}" in caught.value.hint


class TestCopies:
    def test_flows_are_copied_from_and_to(self, dav):
        catalog, other = Catalog("one"), Catalog("two")
        local = flowhold.register(made("etl", 3), storage=Local("flows"), catalog=catalog)
        (copied,) = copy_flows([local], dav(), other)
        assert (copied.sha256, copied.storage["type"]) == (local.sha256, "webhook")
        assert load(copied).run().result == 3
        (back,) = copy_flows([copied], Local("back"), Catalog("three"))
        assert load(back).run().result == 3

    def test_a_copied_version_takes_no_place_of_another(self, dav):
        catalog = Catalog("one")
        references = [
            flowhold.register(made("etl", n), storage=Local("flows"), catalog=catalog)
            for n in (1, 2)
        ]
        with pytest.raises(ObjectExistsError, match="another version") as caught:
            list(copy_flows(references, dav(path="{slug}"), Catalog("two")))
        assert "{sha256}" in caught.value.hint
        assert (
            len(list(copy_flows(references, dav(path="all/{slug}/{sha256}"), Catalog("three"))))
            == 2
        )


def test_threads_share_a_storage(dav):
    storage = store(dav(), *(made(f"flow {n}", n) for n in range(8)))
    results = {}

    def run(n):
        results[n] = storage.get_flow(f"flow {n}").run().result

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: n for n in range(8)}


def test_importing_the_plugin_imports_no_requests():
    code = "import sys, flowhold_storage_webhook.plugin; print('requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
