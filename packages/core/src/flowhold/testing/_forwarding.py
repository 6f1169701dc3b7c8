"""How the fault proxy takes requests, passes them on and brings back the answers."""

from __future__ import annotations

import contextlib
import itertools
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowhold.testing.faults import Fault, FaultProxy, Request, Status

BLOCK = 64 * 1024
OF_ONE_CONNECTION = ("connection", "keep-alive", "proxy-connection")


class Server(socketserver.TCPServer):
    """Serves each connection in a thread of its own, until it is closed."""

    request_queue_size = 128

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.sockets: set[socket.socket] = set()
        self.threads: set[threading.Thread] = set()
        super().__init__(("127.0.0.1", 0), Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection."""
        thread = threading.Thread(target=self._serve, args=(request, client_address), daemon=True)
        self.sockets.add(request)
        self.threads.add(thread)
        thread.start()

    def _serve(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except ConnectionResetError:
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (OSError, HTTPException):
            pass  # One side has gone, which the other is told by the end of its connection.
        finally:
            self.sockets.discard(request)
            request.close()
            self.threads.discard(threading.current_thread())

    def server_close(self) -> None:
        """Stop listening, and end every connection and its thread."""
        super().server_close()
        for end in list(self.sockets):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in list(self.threads):
            thread.join()


class Connection(BaseHTTPRequestHandler):
    """One connection of a client, with one request after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def handle_expect_100(self) -> bool:
        """Leave the answer to what reads the body."""
        return True

    def handle_one_request(self) -> None:
        """Take one request, whatever its method."""
        self.raw_requestline = self.rfile.readline(BLOCK + 1)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        proxy = self.server.proxy
        body = self._body()
        start = next(body, b"")
        target = self.requestline.split()[1]
        request, fault = proxy.admit(self.command, target, self.headers, start[: BLOCK // 4])
        blocks = self._measured(request, itertools.chain([start], body))
        answer = fault.before(proxy.closed)
        if answer is None and proxy.intercept is not None:
            answer = proxy.intercept(request)
        if answer is None:
            self._pass_on(request, fault, blocks)
        else:
            for _ in blocks:
                pass
            request.status = answer.status
            self._answer(answer)

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield from self._exactly(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self._line().split(b";")[0], 16):
            yield from self._exactly(size)
            self._line()
        while self._line().strip():
            pass

    def _line(self) -> bytes:
        line = self.rfile.readline(BLOCK)
        if not line:
            raise ConnectionAbortedError
        return line

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            block = self.rfile.read(min(size, BLOCK))
            if not block:
                raise ConnectionAbortedError
            size -= len(block)
            yield block

    def _measured(self, request: Request, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            request.size += len(block)
            yield block

    def _answer(self, answer: Status) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _pass_on(self, request: Request, fault: Fault, blocks: Iterator[bytes]) -> None:
        upstream = HTTPConnection(*self.server.proxy.upstream)
        upstream.connect()
        end = upstream.sock
        self.server.sockets.add(end)
        try:
            if self.server.proxy.closed.is_set():
                raise ConnectionAbortedError
            self._send(upstream, request, fault.sent(blocks))
            with upstream.getresponse() as response:
                request.status = response.status
                fault.answered()
                self._bring_back(response, fault)
        finally:
            self.server.sockets.discard(end)
            upstream.close()

    def _send(self, upstream: HTTPConnection, request: Request, blocks: Iterator[bytes]) -> None:
        upstream.putrequest(
            request.method, request.target, skip_host=True, skip_accept_encoding=True
        )
        for name, value in request.headers.items():
            if name.lower() not in OF_ONE_CONNECTION:
                upstream.putheader(name, value)
        upstream.putheader("Connection", "close")
        upstream.endheaders()
        chunked = "Transfer-Encoding" in request.headers
        listens = True
        for block in blocks:
            try:
                if listens and block:
                    upstream.send(framed(block) if chunked else block)
            except ConnectionError:
                listens = False  # A server may answer before it has read everything.
        if listens and chunked:
            upstream.send(framed(b""))

    def _bring_back(self, response: HTTPResponse, fault: Fault) -> None:
        empty = self.command == "HEAD" or response.status in (204, 304)
        chunked = not empty and (response.chunked or fault.never_ends)
        length = response.length
        self.send_response_only(response.status, response.reason)
        for name, value in response.headers.items():
            if name.lower() not in (*OF_ONE_CONNECTION, "transfer-encoding") and not (
                fault.never_ends and name.lower() == "content-length"
            ):
                self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif length is None and not empty:
            self.send_header("Connection", "close")
        self.end_headers()
        if empty:
            return
        received = iter(partial(response.read1, BLOCK), b"")
        for block in fault.received(received, self.server.proxy.closed):
            if block:
                self.wfile.write(framed(block) if chunked else block)
        if chunked:
            self.wfile.write(framed(b""))
        elif response.length:
            raise ConnectionAbortedError  # The server has broken off, and so must this.


def framed(block: bytes) -> bytes:
    """Return a block as one chunk of a chunked body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(block), block)
