"""What Google Cloud Storage does and its emulator does not, for a proxy in front of that."""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from urllib.parse import parse_qs, quote, unquote, urlsplit

from flowhold.testing.faults import Status


def new_private_key():
    """Return a new key, as a service account's."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    return (
        rsa.generate_private_key(65537, 2048)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def account_of(name, private_key, url, **changes):
    """Return the JSON of a service account that a `Service` behind this URL knows."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": f"project-of-{name}",
            "private_key_id": "1",
            "private_key": private_key,
            "client_email": f"{name}@example.com",
            "client_id": "1",
            "token_uri": f"{url}/token",
            **changes,
        }
    )


class Service:
    """What Cloud Storage does and the emulator does not.

    Preconditions, of which exactly one of several writers meets them; pages of lists; generations
    of downloads; errors that say which bucket is missing; tokens, of which those of the account
    ``stranger`` are refused and those of the account ``guest`` have no permission.
    """

    def __init__(self, upstream):
        self.upstream = upstream
        self.buckets = set()
        self.locks = defaultdict(threading.Lock)
        self.writing = {}

    def __call__(self, request):
        url = urlsplit(request.target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/token":
            return self.token(request)
        if (holder := request.headers.get("Authorization", "").rpartition(" ")[2]) in REFUSALS:
            return error(*REFUSALS[holder])
        bucket, _, name = url.path.partition("/b/")[2].partition("/o")
        if bucket not in self.buckets:
            if self.ask("GET", f"/storage/v1/b/{bucket}")[0] == 404:
                return error(404, "notFound", "The specified bucket does not exist.")
            self.buckets.add(bucket)
        if url.path.startswith("/download"):
            return self.download(request, f"{bucket}/o{name}", query)
        if url.path.startswith("/upload"):
            return self.upload(request, bucket, query)
        if request.method == "GET" and not name:
            return self.page(f"/storage/v1/b/{bucket}/o", query)
        return None

    def ask(self, method, path, headers=()):
        asked = urllib.request.Request(self.upstream + path, method=method, headers=dict(headers))
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers, answer.read()

    def token(self, request):
        claims = request.start.partition(b"assertion=")[2].split(b".")[1]
        issuer = json.loads(base64.urlsafe_b64decode(claims + b"=="))["iss"].partition("@")[0]
        if issuer == "nobody":
            return Status(
                400, b'{"error": "invalid_grant", "error_description": "no such account"}'
            )
        answer = {"access_token": issuer, "expires_in": 3600, "token_type": "Bearer"}
        return Status(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def download(self, request, path, query):
        status, _, found = self.ask("GET", f"/storage/v1/b/{path}")
        if status == 404:
            return Status(404, f"No such object: {unquote(path)}".encode())
        generation = json.loads(found)["generation"]
        if query.get("ifGenerationMatch", generation) != generation:
            return CONDITION_NOT_MET
        ranged = {"Range": request.headers["Range"]} if "Range" in request.headers else {}
        status, headers, body = self.ask("GET", f"/download/storage/v1/b/{path}?alt=media", ranged)
        kept = {name: headers[name] for name in ("X-Goog-Hash", "Content-Range") if name in headers}
        return Status(status, body, {**kept, "X-Goog-Generation": generation})

    def upload(self, request, bucket, query):
        if "ifGenerationMatch" not in query:
            return None
        last = request.headers.get("Content-Range", "").rpartition("-")[2].split("/")
        if "upload_id" in query:
            if last[0] != str(int(last[-1]) - 1):
                return None
            name = query["upload_id"][len(bucket) + 1 :].rsplit(":", 3)[0]
        else:
            body = request.start
            if query["uploadType"] == "multipart":
                body = body.split(b"\r\n\r\n")[1].split(b"\r\n--")[0]
            try:
                name = json.loads(body)["name"]
            except ValueError:
                return error(400, "parseError", "Parse Error")
        path = f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
        with self.locks[path]:
            earlier = self.writing.get(path)
            patience = time.monotonic() + 30
            while earlier and earlier.status is None and time.monotonic() < patience:
                time.sleep(0.001)
            if self.ask("GET", path)[0] != 404:
                return CONDITION_NOT_MET
            if query["uploadType"] == "multipart" or "upload_id" in query:
                self.writing[path] = request
        return None

    def page(self, path, query):
        _, _, body = self.ask("GET", f"{path}?prefix={quote(query.get('prefix', ''), safe='')}")
        start = query.get("pageToken") or query.get("startOffset") or ""
        found = [item for item in json.loads(body)["items"] if item["name"] >= start]
        most = int(query.get("maxResults", 1000))
        fields = query["fields"].partition("(")[2].partition(")")[0].split(",")
        page = {"items": [{name: item[name] for name in fields} for item in found[:most]]}
        if len(found) > most:
            page["nextPageToken"] = found[most]["name"]
        return Status(200, json.dumps(page).encode(), {"Content-Type": "application/json"})


def error(status, reason, message):
    said = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
    body = json.dumps({"error": said}).encode()
    return Status(status, body, {"Content-Type": "application/json"})


CONDITION_NOT_MET = error(
    412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold."
)
REFUSALS = {
    "stranger": (401, "authError", "Invalid Credentials"),
    "guest": (403, "forbidden", "guest@example.com does not have storage.objects.get access."),
}
