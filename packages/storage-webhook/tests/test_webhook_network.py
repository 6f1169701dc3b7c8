"""A bad network: what is sent again and what is not, timeouts, limits, and what stays in memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import uuid

import pytest
import requests
from urllib3 import exceptions as sdk

from flowhold import flow
from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowholdError,
    IntegrityError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.testing.faults import (
    Corrupt,
    Drip,
    Endless,
    FaultProxy,
    LoseAnswer,
    Reset,
    Stall,
    Status,
    Truncate,
)
from flowhold.web import Redirected
from flowhold_storage_webhook import Webhook
from flowhold_storage_webhook.errors import RULES, problem_of
from flowhold_storage_webhook.exchange import BUDGET

MIB = 1 << 20
PASSING = [Reset(), LoseAnswer(), Status(500), Status(502), Status(503), Status(504), Status(429)]
LATER = {"Retry-After": "7"}
each_fault = pytest.mark.parametrize("fault", PASSING, ids=repr)


def made(value=1):
    return flow(lambda: value, name="etl")


def store(storage, value=1):
    storage.add_flow(made(value))
    return storage.build()


@pytest.fixture
def by(proxy, webdav_server, webdav_folder):
    """Return a function that makes a storage with these methods, through the proxy."""
    url = {"url": f"{proxy.url}/{webdav_folder}/flow"}

    def by(build="PUT", get="GET", **options):
        return Webhook(url, build, url, get, **{"retries": 2, **options})

    return by


@pytest.fixture
def there(by, proxy):
    """A flow that is stored, and that no cache has."""
    storage = store(by())
    proxy.clear()
    return storage


class TestStoring:
    @each_fault
    @pytest.mark.parametrize("size", [1, 300_000])
    def test_put_is_sent_again_with_the_same_bytes(self, by, proxy, waits, fault, size):
        proxy.fail(fault, 2)
        storage = store(by(), "x" * size)
        assert proxy.count("PUT") == 3
        assert len({request.size for request in proxy.requests} - {0}) == 1
        assert len(waits) == 2
        assert storage.get_flow().run().result == "x" * size

    @each_fault
    def test_put_fails_when_it_does_not_end(self, by, proxy, fault):
        proxy.fail(fault, 100)
        storage = by()
        with pytest.raises(StorageUnavailableError) as caught:
            store(storage)
        assert proxy.count() == 3
        assert caught.value.hint
        proxy.clear()
        storage.build()
        assert proxy.count() == 1

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    @pytest.mark.parametrize("fault", PASSING[:-1], ids=repr)
    def test_what_may_have_been_carried_out_is_not_sent_again(self, by, proxy, method, fault):
        proxy.fail(fault, 100)
        with pytest.raises(StorageUnavailableError):
            store(by(method))
        assert proxy.count() == 1

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    def test_what_was_not_taken_is(self, by, proxy, method):
        proxy.fail(Status(429), 100)
        with pytest.raises(StorageUnavailableError, match="no more requests"):
            store(by(method))
        assert proxy.count() == 3

    @pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
    def test_nobody_listening_is_tried_again_by_any_method(self, by, waits, proxy, method):
        storage = by(method)
        proxy.close()
        with pytest.raises(StorageUnavailableError, match="Connection refused") as caught:
            store(storage)
        assert len(waits) == 2
        assert "network" in caught.value.hint


class TestLoading:
    @each_fault
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_loading_is_sent_again_by_any_method(self, there, proxy, answering, method, fault):
        there.get_flow_request_http_method = method
        proxy.fail(fault, 2)
        if method == "GET":
            assert there.get_flow().run().result == 1
        else:
            # nginx answers this method with 405.
            with pytest.raises(ConfigurationError, match="HTTP 405"):
                there.get_flow()
        assert proxy.count(method) == 3

    @pytest.mark.parametrize("fault", [Truncate(50), Corrupt(10)], ids=repr)
    def test_a_damaged_answer_runs_nothing(self, there, proxy, fault):
        proxy.fail(fault, 100)
        expected = StorageUnavailableError if isinstance(fault, Truncate) else IntegrityError
        with pytest.raises(expected):
            there.get_flow()
        assert proxy.count() == (3 if isinstance(fault, Truncate) else 1)

    def test_a_truncated_answer_is_asked_for_again(self, there, proxy):
        proxy.fail(Truncate(50), 2)
        assert there.get_flow().run().result == 1
        assert proxy.count() == 3

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, StorageError),
            (401, AccessDeniedError),
            (403, AccessDeniedError),
            (404, ObjectNotFoundError),
            (410, ObjectNotFoundError),
            (405, ConfigurationError),
            (409, StorageError),
            (418, StorageError),
            (501, StorageError),
            (304, StorageError),
        ],
    )
    def test_a_refusal_is_not_tried_again(self, there, proxy, status, error):
        proxy.fail(Status(status), 100)
        with pytest.raises(error, match=f"HTTP {status}") as caught:
            there.get_flow()
        assert proxy.count() == 1
        assert caught.value.hint
        assert caught.value.storage == "Webhook"

    def test_a_short_value_leaves_the_status_readable(self, there, proxy, monkeypatch):
        monkeypatch.setenv("SHORT", "4")
        there.get_flow_request_kwargs["headers"] = {"X": "$SHORT"}
        proxy.fail(Status(400, b"of 44", {"Content-Type": "text/plain"}))
        with pytest.raises(StorageError, match=r"HTTP 400 of \*"):
            there.get_flow()

    def test_the_servers_words_are_in_the_error(self, there, proxy):
        said = b'{"error": {"message": "the bucket sleeps"}}'
        proxy.fail(Status(400, said, {"Content-Type": "application/json"}))
        with pytest.raises(StorageError, match="HTTP 400 the bucket sleeps"):
            there.get_flow()
        proxy.fail(Status(400, b"in plain\nwords", {"Content-Type": "text/plain"}))
        with pytest.raises(StorageError, match="HTTP 400 in plain words"):
            there.get_flow()
        proxy.fail(Status(400, b"<html>a page</html>", {"Content-Type": "text/html"}))
        with pytest.raises(StorageError, match=r"HTTP 400$"):
            there.get_flow()


class TestWaiting:
    def test_waits_get_longer(self, by, proxy, waits):
        proxy.fail(Reset(), 100)
        with pytest.raises(StorageUnavailableError):
            store(by(retries=6))
        assert len(waits) == 6
        for wait, most in zip(waits, [0.5, 1, 2, 4, 8, 8], strict=True):
            assert 0.7 * most <= wait <= most

    def test_the_server_may_say_how_long(self, by, proxy, waits):
        proxy.fail(Status(503, headers=LATER))
        store(by())
        assert waits == [7]

    def test_a_long_wait_is_told_in_place_of_waited_for(self, by, proxy, waits):
        proxy.fail(Status(429, headers={"Retry-After": "3600"}), 100)
        with pytest.raises(StorageUnavailableError, match="3600 seconds of patience"):
            store(by())
        assert waits == []
        assert BUDGET < 3600

    def test_a_silent_server_is_given_up(self, by, proxy):
        proxy.fail(Stall(), 100)
        begin = time.monotonic()
        with pytest.raises(StorageUnavailableError, match=r"in time|cannot be reached") as caught:
            store(by(timeout=0.2))
        assert time.monotonic() - begin < 5
        assert proxy.count() == 3
        assert caught.value.hint

    def test_the_timeout_of_a_request_comes_before_that_of_the_storage(self, proxy, by):
        storage = by(retries=0)
        storage.build_request_kwargs["timeout"] = [5, 0.2]
        proxy.fail(Stall(), 100)
        begin = time.monotonic()
        with pytest.raises(StorageUnavailableError):
            store(storage)
        assert time.monotonic() - begin < 5

    def test_a_slow_answer_is_waited_for(self, there, proxy):
        there.timeout = 2
        proxy.fail(Drip(20_000))
        assert there.get_flow().run().result == 1

    def test_an_answer_that_comes_in_drops_is_given_up(self, there, proxy):
        there.timeout, there.retries = 0.3, 0
        proxy.fail(Drip(200))
        with pytest.raises(StorageUnavailableError):
            there.get_flow()


class TestLimits:
    def test_more_than_was_recorded_is_not_read(self, there, proxy):
        proxy.fail(Endless())
        with pytest.raises(IntegrityError, match="not the one that was recorded"):
            there.get_flow()
        assert proxy.count() == 1

    def test_an_answer_without_end_is_an_error_where_nothing_was_recorded(
        self, there, by, proxy, monkeypatch
    ):
        monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", str(3 * MIB))
        proxy.fail(Endless())
        with pytest.raises(IntegrityError, match=r"larger than 3,145,728 bytes") as caught:
            by().get_flow("etl", allow_unverified=True)
        assert "max_tree_bytes" in caught.value.hint

    @pytest.mark.parametrize("status", [302, 400, 500])
    def test_the_body_of_what_is_no_answer_is_not_read_to_its_end(
        self, answering, proxy, waits, status
    ):
        server = answering()
        server.answers["/flow"] = (status, {"Location": "/there"}, b"")
        with FaultProxy(server.url) as endless:
            endless.fail(Endless(), when=lambda request: request.target == "/flow")
            url = {"url": f"{endless.url}/flow"}
            storage = Webhook(url, "PUT", url, "GET", retries=0)
            with pytest.raises(StorageError):
                storage.get_flow("etl", allow_unverified=True)

    def test_what_could_not_be_loaded_is_not_stored(self, by, proxy, monkeypatch):
        monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "1000")
        with pytest.raises(StorageError, match="more than could be loaded") as caught:
            store(by(), "x" * 2000)
        assert "max_tree_bytes" in caught.value.hint
        assert proxy.count() == 0


MEMORY = """
import json, re, sys
from pathlib import Path
from flowhold.packing import Payload
from flowhold.storage.records import Record
from flowhold_storage_webhook import Webhook
side, url, size = sys.argv[1:]
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
both = {"url": url}
storage = Webhook(both, "PUT", both, "GET")
payload = Payload("pickle", [b"x" * (int(size) // 4)] * 4 if side == "store" else [b"x"], {})
storage._records["f"] = Record("f", "pickle", payload.sha256, payload.size)
storage._pending["f"] = payload
before = peak()
if side == "store":
    storage.build()
else:
    bare = Record("f", "pickle")
    try:
        data = storage._read(bare)
        assert len(data) == int(size)
    except Exception as error:
        print(type(error).__name__, file=sys.stderr)
print(json.dumps(peak() - before))
"""


def grown(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to know its memory")
@pytest.mark.parametrize("size", [64 * MIB, pytest.param(512 * MIB, marks=pytest.mark.long)])
def test_a_large_flow_is_not_copied_on_its_way(webdav_server, size):
    url = f"{webdav_server.url}/{uuid.uuid4().hex}"
    for side, held in (("store", 0), ("load", size)):
        more, _ = grown(side, url, size)
        print(f"{side}: {more / MIB:.0f} MiB for {size / MIB:.0f}")
        assert more <= held + held // 8 + 48 * MIB
    webdav_server.path(url).unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to know its memory")
def test_an_answer_without_end_stays_within_the_limit(there, by, proxy, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", str(32 * MIB))
    proxy.fail(Endless())
    more, said = grown("load", by().build_request_kwargs["url"], 0)
    assert said == "IntegrityError\n"
    assert more <= 32 * MIB + 4 * MIB + 32 * MIB


def exceptions_of(module):
    for name in dir(module):
        kind = getattr(module, name)
        if isinstance(kind, type) and issubclass(kind, Exception):
            yield pytest.param(kind, id=f"{module.__name__}.{name}")


@pytest.mark.parametrize(
    "kind",
    [
        *exceptions_of(requests.exceptions),
        *exceptions_of(sdk),
        *(OSError, ValueError, TypeError, UnicodeError, AttributeError, Redirected),
    ],
)
def test_every_exception_is_one_of_ours_with_a_hint_and_without_its_text(
    there, monkeypatch, waits, kind
):
    error = kind.__new__(kind)
    Exception.__init__(error, "canary")
    assert problem_of(error).code in RULES

    def ask(*arguments, **options):
        raise error

    monkeypatch.setattr("flowhold_storage_webhook.exchange.ask", ask)
    with pytest.raises(FlowholdError) as caught:
        there.get_flow()
    assert caught.value.hint
    assert kind is Redirected or "canary" not in f"{caught.value!r} {caught.value}"
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_every_rule_has_a_hint_and_its_place():
    for code, rule in RULES.items():
        assert rule.hint, code
        assert re.search(r"\{place\}", rule.message), code


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"url": "http://[::1"}, ConfigurationError, "no URL"),
        ({"url": "http://exa mple.com"}, FlowholdError, ""),
        ({"url": "http://127.0.0.1:99999/"}, ConfigurationError, "no URL"),
        ({"url": "http://nowhere.invalid/"}, StorageUnavailableError, "name of the host"),
        ({"headers": {"X": "${BROKEN}"}}, ConfigurationError, "header"),
        ({"headers": {"X": "流れ"}}, ConfigurationError, "header"),
        ({"headers": {"X": 5}}, ConfigurationError, "header"),
        (
            {"verify": "/no/such/ca.pem", "url": "https://127.0.0.1:1/"},
            ConfigurationError,
            "verify",
        ),
        ({"cert": "/no/such/cert.pem", "url": "https://127.0.0.1:1/"}, ConfigurationError, "cert"),
        ({"timeout": [-1, -1]}, ConfigurationError, "cannot be made"),
        ({"params": 5}, ConfigurationError, "cannot be made"),
        ({"proxies": {"http": "http://127.0.0.1:1"}}, StorageUnavailableError, "proxy"),
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_told(answering, waits, monkeypatch, arguments, error, said):
    monkeypatch.setenv("BROKEN", "canary\n")
    server = answering()
    get = {"url": server.url, **arguments}
    storage = Webhook({"url": server.url}, "PUT", get, "GET")
    with pytest.raises(error) as caught:
        storage.get_flow("etl", allow_unverified=True)
    assert said in f"{caught.value} {caught.value.hint}"
    assert "canary" not in f"{caught.value}"
    assert server.requests == []
