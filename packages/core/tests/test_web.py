"""Requests that storages send: what they carry along, and what is read of an answer."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from flowhold.proxies import quicken
from flowhold.web import (
    Redirected,
    ask,
    basic,
    origin_of,
    parts_of,
    wait_of,
    words_in,
)


@pytest.fixture
def server():
    """A server that answers as its `answers` say by path, and keeps what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.server.requests.append((self.command, self.path, dict(self.headers), body))
            status, headers = self.server.answers.get(self.path.partition("?")[0], (200, {}))
            self.send_response(status)
            for name, text in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, text)
            self.end_headers()

        do_POST = do_PUT = do_GET

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests, server.answers = [], {}
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        # Another origin, of the same server.
        server.other = server.url.replace("127.0.0.1", "localhost")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(server, method="GET", path="/", url=None, **options):
    url = url or server.url + path
    given = {"agent": "kit/1", "login": {"X-Login": "canary"}, "origin": url, "timeout": 5}
    with ask(method, url, **{**given, **options}) as response:
        return response


def test_a_request_has_the_agent_the_login_and_no_more_of_the_user(server, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password canary\n")
    server.answers["/"] = 200, {"Set-Cookie": "a=b"}
    for _ in range(2):
        response = asked(server)
        assert response.request.headers == {}
    for _, _, headers, _ in server.requests:
        assert (headers["User-Agent"], headers["X-Login"]) == ("kit/1", "canary")
        assert not {"Authorization", "Cookie"} & {*headers}


def test_headers_come_before_those_that_all_requests_have(server):
    asked(server, headers={"accept": "text/x", "User-agent": "other/2", "Accept-Encoding": None})
    headers = {name.lower(): text for name, text in server.requests[0][2].items()}
    assert (headers["accept"], headers["user-agent"]) == ("text/x", "other/2")
    assert headers.get("accept-encoding", "identity") == "identity"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "All_Proxy"])
def test_proxies_are_those_of_the_environment(server, without_proxies, monkeypatch, name):
    url = "http://flowhold.invalid/there"
    monkeypatch.setenv(name, server.url)
    asked(server, url=url)
    assert server.requests[-1][1] == url
    monkeypatch.setenv("NO_PROXY", "flowhold.invalid")
    with pytest.raises(requests.ConnectionError):
        asked(server, url=url)
    asked(server, url=url, options={"proxies": {"http": server.url, "no_proxy": "other.invalid"}})
    assert len(server.requests) == 2


@pytest.mark.parametrize("verify", [None, True, False, "given.pem"])
@pytest.mark.parametrize("own", [True, "own.pem"])
@pytest.mark.parametrize(
    "around",
    [
        {},
        {"HTTPS_PROXY": "http://proxy", "No_Proxy": "example.org"},
        {"ALL_PROXY": "http://proxy", "CURL_CA_BUNDLE": "bundle.pem"},
        {"REQUESTS_CA_BUNDLE": "bundle.pem", "CURL_CA_BUNDLE": "other.pem"},
    ],
)
def test_a_quickened_session_finds_what_it_would_find(
    around, own, verify, without_proxies, monkeypatch
):
    plain, quick = requests.Session(), requests.Session()
    quicken(quick)
    plain.verify = quick.verify = own
    plain.proxies = quick.proxies = {"http": "http://own"}
    for name, value in around.items():
        monkeypatch.setenv(name, value)
    for url in ("https://example.com/a", "https://example.org/a", "http://example.com"):
        for proxies in ({}, {"https": "http://given", "no_proxy": "example.com"}):
            found, wanted = (
                each.merge_environment_settings(url, {**proxies}, True, verify, None)
                for each in (quick, plain)
            )
            # The order of proxies tells nothing.
            assert {**found, "proxies": dict(found["proxies"])} == wanted


@pytest.mark.parametrize("url", ["https://example.com/a", "https://example.org/a"])
def test_without_a_proxy_in_the_environment_those_of_the_session_hold(
    url, without_proxies, monkeypatch
):
    plain, quick = requests.Session(), requests.Session()
    quicken(quick)
    plain.proxies = quick.proxies = {"https": "http://own"}
    monkeypatch.setenv("NO_PROXY", "example.org")
    chosen = [
        requests.utils.select_proxy(
            url, each.merge_environment_settings(url, {}, True, None, None)["proxies"]
        )
        for each in (quick, plain)
    ]
    assert chosen == ["http://own", "http://own"]


def test_a_quickened_session_takes_no_login_from_a_file(server, without_proxies, monkeypatch):
    Path("netrc").write_text("default login me password canary\n")
    monkeypatch.setenv("NETRC", "netrc")
    with requests.Session() as session:
        quicken(session)
        session.get(server.url, headers={"Authorization": "own"})
    assert server.requests[-1][2]["Authorization"] == "own"


def test_a_login_in_the_url_of_a_redirect_is_not_sent(server):
    target = server.other.replace("//", "//me:canary@")
    server.answers["/"] = 302, {"Location": f"{target}/there"}
    asked(server)
    assert "Authorization" not in server.requests[1][2]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_method_stays_and_private_things_do_not_leave_the_host(server, status):
    server.answers["/"] = status, {"Location": f"{server.other}/there"}
    private = {"auth": ("me", "canary"), "cookies": {"a": "canary"}}
    options = {"params": {"key": "canary"}}
    response = asked(server, "POST", data=b"body", private=private, options=options)
    assert response.status_code == 200
    first, second = server.requests
    assert (second[0], second[1], second[3]) == ("POST", "/there", b"body")
    assert "canary" in f"{first}"
    assert "canary" not in f"{second}"
    assert "Authorization" not in second[2]


def test_what_moved_decides_how_to_go_on(server):
    server.answers["/"] = 302, {"Location": "/there"}
    told = []

    def moved(*what):
        told.append(what)
        return "GET"

    asked(server, "POST", data=b"body", moved=moved)
    assert told == [("POST", 302, False)]
    assert [(each[0], each[3]) for each in server.requests] == [("POST", b"body"), ("GET", b"")]


@pytest.mark.parametrize(
    ("location", "said"),
    [("ftp://127.0.0.1/", "clear text"), ("http://[::1", "no URL"), ("/", "more than 5 times")],
)
def test_redirects_that_are_not_followed(server, location, said):
    server.answers["/"] = 302, {"Location": location}
    with pytest.raises(Redirected, match=said):
        asked(server)


def test_another_host_that_wants_a_login_is_told(server):
    server.answers["/"] = 302, {"Location": f"{server.other}/there"}
    server.answers["/there"] = 401, {}
    with pytest.raises(Redirected, match="where this login is not sent"):
        asked(server)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a/x", "https://A:443/y", True),
        ("http://a", "https://a", False),
        ("https://a", "https://a:8443", False),
        ("https://me@a", "https://a", True),
        ("http://a:bad", "http://a", False),
    ],
)
def test_origins_are_compared(one, other, same):
    assert (origin_of(one) == origin_of(other)) is same


def test_small_things_of_http():
    assert basic("me", "é:") == "bWU6w6k6"
    assert wait_of("7") == 7
    assert wait_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert wait_of("") is None
    assert wait_of("soon") is None
    assert words_in({"errors": [{}, {"detail": "why"}]}) == "why"
    assert words_in({"error_summary": "path/not_found", "error": {".tag": "path"}}) == (
        "path/not_found"
    )
    assert words_in(5) == ""


@pytest.mark.parametrize("host", ["{evil}\\@{good}", "{good}\\@{evil}", "{evil}\x7f"])
def test_a_redirect_whose_host_can_be_read_in_two_ways_is_not_followed(server, host):
    good, evil = (url.removeprefix("http://") for url in (server.url, server.other))
    server.answers["/"] = 302, {"Location": f"http://{host.format(evil=evil, good=good)}/x"}
    with pytest.raises(Redirected):
        asked(server)
    assert [path for _, path, _, _ in server.requests] == ["/"]


def test_words_are_looked_for_no_deeper_than_people_would_write_them():
    document = "no"
    for _ in range(900):
        document = [document]
    assert words_in(document) == ""
    assert words_in({"error": {"errors": [{"message": "no"}]}}) == "no"


BODY = bytes(300_000)


@pytest.fixture
def quick_then_slow():
    """A server that sends most of a body at once, and the rest in drops."""

    def serve():
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY) + 100}\r\n\r\n"
            connection.sendall(head.encode() + BODY)
            for _ in range(100):
                time.sleep(0.05)
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join()


def test_an_answer_that_comes_in_drops_is_given_up_also_when_it_began_quickly(
    quick_then_slow, monkeypatch
):
    monkeypatch.setattr("flowhold.web._SLOWEST", 1e9)
    options = {"agent": "kit/1", "login": {}, "origin": quick_then_slow, "timeout": 5}
    come: list[bytes] = []
    with ask("GET", quick_then_slow, **options) as response, pytest.raises(requests.ReadTimeout):
        come.extend(parts_of(response, 0.3))
    assert len(BODY) <= sum(map(len, come)) < len(BODY) + 50
