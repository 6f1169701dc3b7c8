"""A server for S3 that holds a catalog: ``catalog_server.py FLOWS VERSIONS``; prints its URL.

It fills itself, as 100,000 requests would take minutes. Ends when its standard input does.
"""

from __future__ import annotations

import sys

from catalogs import documents

BUCKET = "catalog"


def main() -> None:
    from moto.s3.models import s3_backends
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    backend = s3_backends["123456789012"]["aws"]
    backend.create_bucket(BUCKET, "us-east-1")
    for key, data in documents(int(sys.argv[1]), int(sys.argv[2])):
        backend.put_object(BUCKET, key, data)
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
