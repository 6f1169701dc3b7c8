"""Read what claims to be large, or never ends: ``claims.py KIND``.

Prints the error, the memory that it took beyond what this process had, and what a server sent.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import socketserver
import struct
import sys
import tempfile
import threading
import zlib
from pathlib import Path

import memory
import zstandard

TIB = 1 << 40
GIB = 1 << 30
MIB = 1 << 20
LIMIT = 16 * MIB
SHA = "a" * 40
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 1000\n" % (b"a" * 64)
BLOB, REF_DELTA = 3, 7


def varint(size: int) -> bytes:
    parts = []
    while size > 127:
        parts.append(size & 127 | 128)
        size >>= 7
    return bytes([*parts, size])


def packed(kind: int, size: int, data: bytes) -> bytes:
    """Return an object in a pack, by its kind, the size that it claims, and its bytes."""
    return bytes([kind << 4 | size & 15 | 128]) + varint(size >> 4) + data


def pack(count: int, *objects: bytes) -> bytes:
    body = b"PACK" + struct.pack(">II", 2, count) + b"".join(objects)
    return body + hashlib.sha1(body).digest()


def of_a_pack(data: bytes) -> None:
    from flowhold_storage_git.objects import PackedObjects

    with PackedObjects() as objects, tempfile.TemporaryFile() as file:
        file.write(data)
        objects.add_pack(file)


def pack_objects() -> None:
    of_a_pack(pack(0xFFFFFFFF, packed(BLOB, 1, zlib.compress(b"x"))))


def pack_size() -> None:
    of_a_pack(pack(1, packed(BLOB, GIB, zlib.compress(b"x"))))


def delta_size() -> None:
    base = hashlib.sha1(b"blob 1\0x").digest()
    delta = varint(1) + varint(TIB) + b"\x01x"
    first = packed(BLOB, 1, zlib.compress(b"x"))
    of_a_pack(pack(2, first, packed(REF_DELTA, len(delta), base + zlib.compress(delta))))


def reference_to(data: bytes, kind: str) -> None:
    from flowhold.loading import load_reference
    from flowhold.reference import Reference

    folder = Path(tempfile.mkdtemp())
    (folder / "stored").write_bytes(data)
    storage = {"type": "local", "options": {"directory": str(folder)}, "flows": {}}
    sha256 = hashlib.sha256(data).hexdigest()
    place = str(folder / "stored")
    load_reference(Reference("etl", storage, place, kind, sha256=sha256, size=len(data)))


def header_length() -> None:
    from flowhold.envelope import MAGIC

    reference_to(struct.pack(">8sHI", MAGIC, 1, 0xFFFFFFFF) + b"{}", "pickle")


def frame_size() -> None:
    from flowhold.envelope import seal

    entry = {"path": "a.py", "size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    header = seal({"kind": "bundle", "script": "a.py", "files": [entry]})
    frame = bytearray(zstandard.ZstdCompressor().compress(bytes(70_000)))
    # The content's size stands in 4 bytes behind the magic and the descriptor.
    frame[5:9] = struct.pack("<I", GIB)
    reference_to(header + bytes(frame), "bundle")


CLAIMS = {
    "header length": header_length,
    "frame size": frame_size,
    "pack objects": pack_objects,
    "pack size": pack_size,
    "delta size": delta_size,
}


class Flood(socketserver.ThreadingTCPServer):
    """Answers everything with a body that claims a GiB, and stops soon; or with one without end."""

    daemon_threads = True
    block_on_close = False
    endless = False
    kind = "application/json"
    first = b""
    unit = bytes(1 << 16)
    sent = 0


class Answer(socketserver.StreamRequestHandler):
    server: Flood

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        server = self.server
        length = (
            ""
            if server.endless
            else f"Content-Length: {GIB}\r\nContent-Range: bytes 0-{GIB - 1}/{GIB}\r\n"
        )
        head = f'HTTP/1.1 200 OK\r\nContent-Type: {server.kind}\r\n{length}ETag: "1"\r\n'
        head += "x-goog-hash: crc32c=AAAAAA==\r\nx-goog-generation: 1\r\n"
        try:
            self.wfile.write(f"{head}Connection: close\r\n\r\n".encode() + server.first)
            for _ in range(3) if not server.endless else itertools.count():
                self.wfile.write(server.unit)
                server.sent += len(server.unit)
        except OSError:
            pass


def storage_at(where: str, url: str):
    """Return a storage with a server, and where in it the flow is."""
    limits = {"timeout": 10, "retries": 1}
    if where == "webhook":
        from flowhold_storage_webhook import Webhook

        both = {"url": f"{url}/{{slug}}"}
        return Webhook(both, "PUT", both, "GET", **limits), "etl"
    if where in ("s3", "no size"):
        from flowhold_storage_s3 import S3

        return S3("bucket", client_options={"endpoint_url": url}, **limits), "etl"
    if where == "gcs":
        from flowhold_storage_gcs import GCS

        os.environ["STORAGE_EMULATOR_HOST"] = url
        return GCS("bucket", client_options={"api_endpoint": url}, **limits), "etl"
    if where == "azure":
        from flowhold_storage_azure import Azure

        key = "a" * 86 + "=="
        text = f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey={key};BlobEndpoint={url}/a;"
        return Azure("container", connection_string=text, **limits), "etl"
    import flowhold_storage_git as git

    if where == "git":
        return git.Git("etl.py", git_clone_url=f"{url}/a.git", **limits), "etl.py"
    if where == "github":
        return git.GitHub("a/b", "etl.py", base_url=url, **limits), "etl.py"
    if where == "gitlab":
        return git.GitLab("a/b", url, "etl.py", **limits), "etl.py"
    return git.Bitbucket("a", "b", "w", url, "etl.py", **limits), "etl.py"


def prepared(where: str, url: str):
    """Return what asks the server."""
    from flowhold.catalog import Catalog
    from flowhold.loading import load_reference
    from flowhold.reference import Reference

    if where == "catalog":
        os.environ["AWS_ENDPOINT_URL"] = url
        return lambda: Catalog("s3://bucket/catalog").get("etl", 1)
    if where == "lfs":
        from flowhold_storage_git.address import Address
        from flowhold_storage_git.lfs import fetch_files

        folder = Path(tempfile.mkdtemp())
        (folder / "large").write_bytes(POINTER)
        digests = {"large": hashlib.sha256(POINTER).hexdigest()}
        return lambda: fetch_files(Address.parse(f"{url}/a/b.git"), folder, digests, 10, 1)
    storage, location = storage_at(where, url)
    size = None if where == "no size" else 1000
    pinned = {"sha256": "0" * 64, "size": size}
    kind = "bundle"
    if location == "etl.py":
        pinned, kind = {"revision": SHA}, "script"
    document = {**storage.serialize(), "flows": {}}
    if where == "azure":
        os.environ["AZURE_STORAGE_CONNECTION_STRING"] = storage.connection_string
    return lambda: load_reference(Reference("etl", document, location, kind, **pinned))


def main() -> None:
    os.environ["FLOWHOLD_MAX_TREE_BYTES"] = str(LIMIT)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ[name] = "none"
    os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"
    kind = sys.argv[1]
    how, _, where = kind.partition(" ")
    sent, allowed = 0, 96 * MIB
    from flowhold.errors import FlowholdError

    with Flood(("127.0.0.1", 0), Answer) as server:
        server.endless = how == "endless"
        if where == "git":
            server.kind = "application/x-git-upload-pack-advertisement"
            server.first = b"001e# service=git-upload-pack\n0000"
            line = SHA.encode() + b" refs/heads/" + b"a" * 967 + b"\n"
            server.unit = (b"0400" + line) * 64
            allowed = 256 * MIB
        if where == "catalog":
            allowed = 256 * MIB
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        asks = CLAIMS.get(kind) or prepared(where, f"http://127.0.0.1:{server.server_address[1]}")
        before, name = memory.peak(), ""
        try:
            asks()
        except FlowholdError as error:
            name = f"{type(error).__name__}: {error}"
        more, sent = memory.peak() - before, server.sent
        server.shutdown()
    print(json.dumps({"error": name, "memory": more, "sent": sent, "allowed": allowed}))


if __name__ == "__main__":
    main()
