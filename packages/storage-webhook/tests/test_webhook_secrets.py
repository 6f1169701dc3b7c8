"""Values of variables and secrets are found nowhere but in the requests that they are for."""

from __future__ import annotations

import base64
import json
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

import flowhold
from flowhold import Catalog, flow, load
from flowhold.errors import FlowholdError
from flowhold.testing.faults import Reset, Stall, Status, Truncate
from flowhold_storage_webhook import Webhook

CANARY = 'canary/v@l:ue n%#?+é"'
OTHER = "canary-other-0123456789"
NAMES = {"CANARY": CANARY, "HOST_OF_CANARY": "canary-host", "TOKEN_OF_CANARY": OTHER}


def forms(value):
    """Return a value as it is and as URLs, JSON, reprs and HTTP may have it."""
    coded = [base64.b64encode(f"me:{value}".encode()).decode().rstrip("=")]
    coded += [base64.b64encode(b"x" * n + value.encode()).decode()[4:-4] for n in range(3)]
    quoted = [quote(value, safe=""), quote(value), quote_plus(value)]
    return {value, repr(value)[1:-1], json.dumps(value)[1:-1], *quoted, *coded}


FORMS = {form for value in (CANARY, OTHER) for form in forms(value)}


def check(*texts):
    __tracebackhide__ = True
    for text in texts:
        for form in FORMS:
            if form in text:
                pytest.fail(f"a value is shown: {text[max(0, text.index(form) - 60) :][:150]}")


def texts_of(error, seen):
    """Yield what can be read of an error: of what it holds, its causes, and the frames it kept."""
    if id(error) in seen:
        return
    seen[id(error)] = error
    yield repr(error)
    yield str(error)
    if isinstance(error, dict):
        inner = [*error.keys(), *error.values()]
    elif isinstance(error, (list, tuple, set)):
        inner = [*error]
    else:
        inner = [*getattr(error, "__dict__", {}).values()]
    if isinstance(error, BaseException):
        inner += [*error.args, error.__cause__, error.__context__]
        step = error.__traceback__
        while step is not None:
            if not step.tb_frame.f_code.co_filename.startswith(str(Path(__file__).parent)):
                inner += [*step.tb_frame.f_locals.values()]
            step = step.tb_next
    for each in inner:
        if isinstance(each, (str, bytes, dict, list, tuple, set, BaseException)) or (
            type(each).__module__.startswith(("flowhold", "requests", "urllib3"))
        ):
            yield from texts_of(each, seen)


@pytest.fixture
def storage(webdav_server, webdav_folder, monkeypatch, proxy):
    """A storage by the proxy, with values everywhere where there can be some."""
    for name, value in NAMES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BASE", f"{proxy.url}/{webdav_folder}")
    both = {
        "url": "${BASE}/${TOKEN_OF_CANARY}?in=${TOKEN_OF_CANARY}",
        "headers": {"X-Token": "${TOKEN_OF_CANARY}", "Authorization": "Bearer ${TOKEN_OF_CANARY}"},
        "params": {"key": "${CANARY}"},
        "cookies": {"session": "${TOKEN_OF_CANARY}"},
    }
    get = {**both, "json": {"deep": [{"key": "${CANARY}"}]}}
    return Webhook(both, "PUT", get, "GET", retries=1)


@pytest.fixture
def with_login(storage):
    """The same with a login instead of a header."""
    for arguments in (storage.build_request_kwargs, storage.get_flow_request_kwargs):
        del arguments["headers"]["Authorization"]
        arguments["auth"] = ["me", "${CANARY}"]
    return storage


def made():
    return flow(lambda: 1, name="etl")


def test_a_success_shows_nothing(storage, caplog, capfd, proxy):
    caplog.set_level(logging.DEBUG)
    etl = made()
    etl.storage = storage
    reference = etl.register()
    loaded = load(reference)
    assert loaded.run().result == 1
    assert OTHER in proxy.requests[0].target
    assert proxy.requests[0].headers["Authorization"] == f"Bearer {OTHER}"
    check(reference.to_json(), repr(reference), repr(storage), json.dumps(storage.serialize()))
    check(repr(pickle.dumps(storage)), repr(vars(storage)), str(storage.verify()), *storage.flows)
    check(repr(Catalog().get("etl")), *capfd.readouterr())
    for record in caplog.records:
        check(f"{record.getMessage()} {record.args!r}")
    for name in ("CACHE", "DATA", "CONFIG"):
        for path in Path(os.environ[f"FLOWHOLD_{name}_DIR"]).rglob("*"):
            check(str(path), path.read_bytes().decode("latin-1") if path.is_file() else "")


ECHO = json.dumps({"message": f"no: {CANARY} {quote(CANARY, safe='')} {OTHER} Bearer {OTHER}"})
BASIC = base64.b64encode(f"me:{CANARY}".encode()).decode()
FAULTS = {
    "reset": Reset(),
    "no answer": Stall(),
    "cut": Truncate(20),
    "500": Status(500, ECHO.encode(), {"Content-Type": "application/json"}),
    "400": Status(400, ECHO.encode(), {"Content-Type": "application/json"}),
    "plain": Status(403, f"{CANARY}\n{OTHER}".encode(), {"Content-Type": "text/plain"}),
    "long": Status(400, b"x" * 250 + OTHER.encode() * 40, {"Content-Type": "text/plain"}),
    "to clear text": Status(302, headers={"Location": f"ftp://{OTHER}/"}),
    "in circles": Status(302, headers={"Location": f"/{OTHER}?{OTHER}"}),
    "no URL": Status(302, headers={"Location": f"http://[{OTHER}/"}),
    "no name": Status(302, headers={"Location": f"http://{OTHER}.invalid/"}),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("kind", ["storage", "with_login"])
@pytest.mark.parametrize("stores", [True, False], ids=["store", "load"])
def test_a_failure_shows_nothing(request, proxy, caplog, capfd, fault, kind, stores):
    caplog.set_level(logging.DEBUG)
    storage = request.getfixturevalue(kind)
    storage.add_flow(made())
    if not stores:
        storage.build()
    storage.timeout = 0.3
    proxy.fail(fault, 20)
    if fault is FAULTS["cut"] and stores:
        proxy.clear()
        proxy.fail(Reset(), 20)
    with pytest.raises(FlowholdError) as caught:
        storage.build() if stores else storage.get_flow()
    check(*texts_of(caught.value, {}), caught.value.hint)
    for record in caplog.records:
        check(f"{record.getMessage()} {record.args!r}")
    check(*capfd.readouterr())


def test_a_login_that_is_told_back_is_not_shown(with_login, proxy):
    with_login.add_flow(made())
    assert BASIC in FORMS or BASIC.rstrip("=") in FORMS
    proxy.fail(Status(403, f"Basic {BASIC}".encode(), {"Content-Type": "text/plain"}))
    with pytest.raises(FlowholdError, match=r"HTTP 403 Basic \*\*\*") as caught:
        with_login.build()
    check(*texts_of(caught.value, {}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CANARY", f"{OTHER}\n{OTHER}"),
        ("TOKEN_OF_CANARY", f"{OTHER}\n"),
        ("TOKEN_OF_CANARY", f"{OTHER}é流"),
        ("BASE", f"http://{OTHER}.invalid"),
        ("BASE", f"http://[{OTHER}"),
        ("BASE", f"ftp://{OTHER}"),
        ("BASE", f"{OTHER}"),
        ("BASE", f"http://me:{OTHER}@127.0.0.1:1"),
        ("BASE", None),
        ("FLOWHOLD_SECRET_NOWHERE", OTHER),
    ],
)
def test_a_value_that_cannot_be_sent_is_not_shown(storage, monkeypatch, caplog, name, value):
    caplog.set_level(logging.DEBUG)
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    if name == "FLOWHOLD_SECRET_NOWHERE":
        storage.build_request_kwargs["headers"]["X"] = "${NOWHERE} ${ALSO_NOWHERE}"
    storage.add_flow(made())
    try:
        storage.build()
    except FlowholdError as error:
        check(*texts_of(error, {}))
    else:
        # requests quotes it in a query.
        assert (name, value) == ("CANARY", f"{OTHER}\n{OTHER}")
    for record in caplog.records:
        check(record.getMessage())


def test_a_provider_that_fails_shows_nothing_that_others_gave(storage, monkeypatch, tmp_path):
    monkeypatch.delenv("TOKEN_OF_CANARY")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "TOKEN_OF_CANARY").write_bytes(b"\xff" + OTHER.encode())
    monkeypatch.setenv("FLOWHOLD_SECRETS_DIR", str(tmp_path / "secrets"))
    storage.add_flow(made())
    with pytest.raises(FlowholdError, match="not UTF-8") as caught:
        storage.build()
    check(*texts_of(caught.value, {}))


def test_a_command_that_fails_shows_nothing(storage, proxy):
    etl = made()
    etl.storage = storage
    etl.register()
    proxy.fail(FAULTS["400"], 20)
    for arguments in (["--debug"], ["--json"], []):
        call = [sys.executable, "-m", "flowhold", "run", "etl", *arguments]
        done = subprocess.run(call, capture_output=True, text=True)
        assert done.returncode == 1
        assert "HTTP 400" in done.stdout + done.stderr
        check(done.stdout, done.stderr)


def test_a_whole_url_as_a_secret_is_not_shown(monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("WHOLE", f"https://{OTHER}.invalid/services/{OTHER}/x?{OTHER}=1")
    storage = Webhook({"url": "${WHOLE}"}, "POST", {"url": "${WHOLE}"}, "POST", retries=0)
    storage.add_flow(made())
    with pytest.raises(FlowholdError, match=r"\$\{WHOLE\} cannot be reached") as caught:
        storage.build()
    check(*texts_of(caught.value, {}), repr(storage))
    assert not any(OTHER in record.getMessage() for record in caplog.records)


def test_what_others_send_is_logged_as_ever(caplog, answering):
    import requests

    caplog.set_level(logging.DEBUG)
    server = answering()
    requests.get(f"{server.url}/visible", timeout=5).close()
    assert "/visible" in caplog.text


def test_the_checks_of_these_tests_find_a_value():
    with pytest.raises(pytest.fail.Exception):
        check(f"https://example.com/?{quote_plus(CANARY)}")
    try:
        hidden = {"a": [OTHER]}
        flowhold.secrets({"A": 5, **hidden})
    except (FlowholdError, TypeError) as error:
        seen = [*texts_of({"inner": [error, hidden]}, {})]
        assert any(OTHER in text for text in seen)
