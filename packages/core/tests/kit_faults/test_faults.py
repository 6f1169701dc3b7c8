"""The fault proxy: what passes unharmed, what is counted, and what each fault does."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import io
import socket
import threading
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

from flowhold.testing.faults import (
    Corrupt,
    Drip,
    Endless,
    FaultProxy,
    LoseAnswer,
    Request,
    Reset,
    Stall,
    Status,
    Truncate,
)

BLOCK = bytes(range(256)) * 256


class Origin(http.server.BaseHTTPRequestHandler):
    """Keeps what is put; `/big/N` has N bytes, `/chunked` chunks, `/open` no length."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def do_PUT(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            digest, size = hashlib.sha256(body), len(body)
        else:
            digest, size = hashlib.sha256(), int(self.headers["Content-Length"])
            left = size
            while left and (block := self.rfile.read(min(left, 1 << 20))):
                digest.update(block)
                left -= len(block)
            if left:
                self.close_connection = True
                return
        self.server.kept[self.path] = (digest.hexdigest(), size, self.headers)
        self.answer(b"kept", 201)

    def do_POST(self):
        # Refuses before it has read the body, as servers do.
        self.close_connection = True
        self.answer(b"too large", 413)

    def do_GET(self):
        if self.path.startswith("/big/"):
            self.send_response(200)
            size = int(self.path[5:])
            self.send_header("Content-Length", str(size))
            self.end_headers()
            if self.command == "GET":
                for at in range(0, size, len(BLOCK)):
                    self.wfile.write(BLOCK[: size - at])
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        elif self.path == "/open":
            self.close_connection = True
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"until the end")
        elif self.path == "/short":
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"not a hundred")
        elif self.path == "/nothing":
            self.send_response(204)
            self.end_headers()
        else:
            self.answer(f"{self.path} {self.headers['Host']}".encode())

    do_HEAD = do_GET

    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Twice", "1")
        self.send_header("X-Twice", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class OriginServer(http.server.ThreadingHTTPServer):
    request_queue_size = 128


@pytest.fixture
def origin():
    with OriginServer(("127.0.0.1", 0), Origin) as server:
        server.kept = {}
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(origin):
    with FaultProxy(origin.url) as proxy:
        yield proxy


@pytest.fixture
def client(proxy):
    """A connection that is kept alive."""
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=30)
    yield connection
    connection.close()


def ask(client, method, target, **arguments):
    client.request(method, target, **arguments)
    answer = client.getresponse()
    return answer.status, answer.read(), answer.headers


def test_a_connection_carries_many_requests(client, proxy):
    for number in range(3):
        status, body, _ = ask(client, "GET", f"/{number}?a=%2Fb")
        assert (status, body) == (200, f"/{number}?a=%2Fb {client.host}:{client.port}".encode())
    assert proxy.count() == proxy.count("GET") == 3
    assert proxy.count("PUT") == 0


def test_requests_are_recorded_exactly(client, proxy):
    ask(client, "PUT", "/a?x=1", body=b"12345", headers={"If-None-Match": "*"})
    ask(client, "GET", "/a")
    put, get = proxy.requests
    assert (put.method, put.target, put.size, put.start, put.status) == (
        "PUT",
        "/a?x=1",
        5,
        b"12345",
        201,
    )
    assert put.headers["if-none-match"] == "*"
    assert (get.method, get.target, get.size, get.status) == ("GET", "/a", 0, 200)
    proxy.clear()
    assert proxy.requests == []


def test_repeated_headers_and_empty_answers_pass(client):
    status, body, headers = ask(client, "HEAD", "/x")
    assert (status, body, headers.get_all("X-Twice")) == (200, b"", ["1", "2"])
    assert int(headers["Content-Length"]) > 2
    assert ask(client, "GET", "/nothing")[:2] == (204, b"")
    assert ask(client, "HEAD", "/chunked")[:2] == (200, b"")
    assert ask(client, "GET", "/y")[0] == 200


def test_chunks_pass_both_ways(client, origin, proxy):
    parts = [b"a" * 70_000, b"b", b"c" * 5]
    status, _, _ = ask(client, "PUT", "/in", body=iter(parts), encode_chunked=True)
    digest, size, headers = origin.kept["/in"]
    assert status == 201
    assert digest == hashlib.sha256(b"".join(parts)).hexdigest()
    assert "Content-Length" not in headers
    assert proxy.requests[0].size == size == 70_006
    assert len(proxy.requests[0].start) == 16_384
    assert ask(client, "GET", "/chunked")[:2] == (200, b"hello world")
    assert ask(client, "GET", "/open")[:2] == (200, b"until the end")


def test_a_client_that_waits_for_100_is_told_to_continue(origin, proxy):
    with socket.create_connection(urlsplit(proxy.url).netloc.split(":")) as end:
        end.sendall(b"PUT /w HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n")
        end.sendall(b"Expect: 100-continue\r\n\r\n")
        assert end.recv(1000).startswith(b"HTTP/1.1 100 ")
        end.sendall(b"abc")
        assert end.recv(1000).startswith(b"HTTP/1.1 201 ")
    assert origin.kept["/w"][1] == 3
    assert origin.kept["/w"][2]["Host"] == "x"


def test_a_server_that_answers_before_it_has_read_the_body_is_heard(client):
    body = io.BytesIO(bytes(20_000_000))
    assert ask(client, "POST", "/", body=body)[:2] == (413, b"too large")


def test_large_bodies_pass_in_bounded_memory(client, origin, proxy):
    import tracemalloc

    size = 64 << 20
    digest = hashlib.sha256()

    def body():
        for _ in range(size // len(BLOCK)):
            digest.update(BLOCK)
            yield BLOCK

    tracemalloc.start()
    client.request("PUT", "/big", body=body(), headers={"Content-Length": str(size)})
    client.getresponse().read()
    client.request("GET", f"/big/{size}")
    answer, seen = client.getresponse(), hashlib.sha256()
    while block := answer.read(1 << 20):
        seen.update(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert origin.kept["/big"][:2] == (digest.hexdigest(), size)
    assert seen.hexdigest() == digest.hexdigest()
    assert peak < 16 << 20


def test_many_connections_at_once_are_all_counted(proxy):
    def work():
        for _ in range(10):
            urllib.request.urlopen(f"{proxy.url}/x").close()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert proxy.count("GET") == 160


def test_a_reset_is_seen_as_one_and_the_server_is_not_asked(client, origin, proxy):
    proxy.fail(Reset())
    with pytest.raises(ConnectionResetError):
        ask(client, "PUT", "/a", body=b"1")
    assert origin.kept == {}
    assert proxy.requests[0].status is None
    client.close()
    assert ask(client, "PUT", "/a", body=b"1")[0] == 201


def test_a_lost_answer_leaves_the_write_done(client, origin, proxy):
    proxy.fail(LoseAnswer(), when="PUT")
    with pytest.raises(ConnectionResetError):
        ask(client, "PUT", "/a", body=b"1")
    assert "/a" in origin.kept
    assert proxy.requests[0].status == 201


def test_a_stall_outlasts_the_client_until_the_proxy_closes(origin):
    with FaultProxy(origin.url) as proxy:
        proxy.fail(Stall())
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(proxy.url, timeout=0.2)
    assert proxy.count() == 1


def test_a_stall_can_end_by_itself(client, proxy):
    proxy.fail(Stall(0.01))
    with pytest.raises(ConnectionResetError):
        ask(client, "GET", "/")


def test_a_status_is_answered_without_asking_the_server(client, origin, proxy):
    proxy.fail(Status(503, b"later", {"Retry-After": "1"}), times=2)
    for _ in range(2):
        status, body, headers = ask(client, "PUT", "/a", body=bytes(100_000))
        assert (status, body, headers["Retry-After"]) == (503, b"later", "1")
    assert origin.kept == {}
    assert [request.size for request in proxy.requests] == [100_000, 100_000]
    assert ask(client, "PUT", "/a", body=b"1")[0] == 201


@pytest.mark.parametrize("target", ["/big/1000", "/chunked"])
def test_a_truncated_body_is_short(client, proxy, target):
    proxy.fail(Truncate(4))
    client.request("GET", target)
    with pytest.raises(http.client.IncompleteRead) as caught:
        client.getresponse().read()
    assert len(caught.value.partial) == 4


def test_an_answer_that_the_server_breaks_off_is_broken_off(client):
    with pytest.raises(http.client.IncompleteRead):
        ask(client, "GET", "/short")


def test_one_bit_of_an_answer_is_flipped(client, proxy):
    proxy.fail(Corrupt(at=70_000))
    _, body, headers = ask(client, "GET", "/big/80000")
    wanted = (BLOCK * 2)[:80_000]
    wrong = [at for at in range(80_000) if body[at] != wanted[at]]
    assert wrong == [70_000]
    assert headers["Content-Length"] == "80000"


def test_one_bit_of_a_request_is_flipped(client, origin, proxy):
    proxy.fail(Corrupt(at=1, request=True))
    ask(client, "PUT", "/a", body=b"\0\0\0")
    assert origin.kept["/a"][:2] == (hashlib.sha256(b"\0\1\0").hexdigest(), 3)


def test_a_drip_is_complete(client, proxy):
    proxy.fail(Drip(bytes_per_second=100_000))
    assert ask(client, "GET", "/big/3000")[1] == BLOCK[:3000]


def test_a_drip_keeps_its_rate():
    class Clock:
        waited = 0.0

        def wait(self, seconds):
            self.waited += seconds

    clock = Clock()
    blocks = list(Drip(1000).received(iter([bytes(3000), bytes(30)]), clock))
    assert sum(map(len, blocks)) == 3030
    assert max(map(len, blocks)) == 50
    assert clock.waited == pytest.approx(3.05)


def test_an_endless_body_goes_on_for_as_long_as_it_is_read(client, proxy):
    proxy.fail(Endless())
    client.request("GET", "/big/10")
    answer = client.getresponse()
    assert "Content-Length" not in answer.headers
    assert answer.read(10) == BLOCK[:10]
    assert len(answer.read(1_000_000)) == 1_000_000


def test_a_fault_waits_for_the_request_it_is_meant_for(client, proxy):
    proxy.fail(Status(500), when="DELETE")
    proxy.fail(Status(429), when=lambda request: request.target == "/b")
    assert ask(client, "GET", "/a")[0] == 200
    assert ask(client, "GET", "/b")[0] == 429
    assert proxy.pending == [Status(500)]
    proxy.clear()
    assert proxy.pending == []


def test_an_interceptor_answers_in_place_of_the_server(origin):
    def no_writes(request: Request) -> Status | None:
        return Status(412) if request.start == b"taken" else None

    with FaultProxy(f"{origin.url}/account", no_writes) as proxy:
        assert urlsplit(proxy.url).path == "/account"
        for body, status in ((b"free", 201), (b"taken", 412)):
            request = urllib.request.Request(f"{proxy.url}/a", body, method="PUT")
            try:
                with urllib.request.urlopen(request) as answer:
                    seen = answer.status
            except urllib.error.HTTPError as error:
                with error:
                    seen = error.code
            assert seen == status
    assert list(origin.kept) == ["/account/a"]


def test_a_server_that_is_down_ends_the_connection(origin):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with FaultProxy(f"http://127.0.0.1:{port}") as proxy:
        with pytest.raises(http.client.RemoteDisconnected):
            urllib.request.urlopen(proxy.url)
        assert proxy.requests[0].status is None


def test_a_client_that_goes_away_in_the_middle_is_no_error(origin, proxy):
    with socket.create_connection(urlsplit(proxy.url).netloc.split(":")) as end:
        end.sendall(b"PUT /w HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\nabc")
    with urllib.request.urlopen(proxy.url) as answer:
        assert answer.status == 200
    assert "/w" not in origin.kept


def test_closing_ends_idle_and_busy_connections(origin):
    with FaultProxy(origin.url) as proxy:
        before = threading.active_count()
        idle = socket.create_connection(urlsplit(proxy.url).netloc.split(":"))
        proxy.fail(Endless())
        busy = urllib.request.urlopen(f"{proxy.url}/big/5")
        assert threading.active_count() > before
    assert idle.recv(10) == b""
    idle.close()
    busy.close()
    assert not [thread for thread in threading.enumerate() if "_serve" in thread.name]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(urlsplit(proxy.url).netloc.split(":"))


def test_only_plain_http_is_proxied():
    with pytest.raises(ValueError, match="not an http:// URL"):
        FaultProxy("https://example.org")
