"""Objects in a bucket of S3."""

from __future__ import annotations

import base64
import random
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from flowhold.bodies import Download
from flowhold.errors import StorageUnavailableError
from flowhold.remote import RemoteStore, Upload
from flowhold.rules import Rules
from flowhold.store import CHUNK, ObjectInfo
from flowhold_storage_s3.client import (
    Client,
    check_upload_options,
    credentials_of,
    make_client,
    split_options,
)
from flowhold_storage_s3.errors import RULES, codes

__all__ = ["S3Store"]

_MOST_IN_ONE = 5 << 30
_PART = 32 << 20
_PARTS = 10_000
_OF_EACH_PART = ("ChecksumAlgorithm", "ExpectedBucketOwner", "RequestPayer")


class S3Store(RemoteStore):
    """Keeps objects in a bucket: one request to write up to 5 GiB, one to read.

    Args:
        bucket: Its name.
        prefix: Folder in it that holds the objects.
        client_options: Arguments of ``boto3.client``, for example ``endpoint_url``,
            ``region_name``, ``profile_name``, ``verify``, and ``config`` as a mapping.
        upload_options: Arguments of every upload, for example ``ServerSideEncryption``.
        credentials_secret: Name of a secret with credentials; they come before those in
            `client_options`, and these before those that boto3 finds by itself.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again.
    """

    scheme: ClassVar[str] = "s3"
    rules: ClassVar[Rules] = RULES

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        client_options: Mapping[str, Any] | None = None,
        upload_options: Mapping[str, Any] | None = None,
        credentials_secret: str | None = None,
        timeout: float = 30,
        retries: int = 3,
    ) -> None:
        super().__init__(bucket, prefix, timeout=timeout, retries=retries)
        self.client_options, self._credentials = split_options(client_options)
        self.upload_options = check_upload_options(upload_options)
        self.credentials_secret = credentials_secret

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_credentials": {}}

    def _make_client(self, secret: str | None) -> Client:
        named = self.credentials_secret
        credentials = credentials_of(named, secret) if named and secret else self._credentials
        return make_client(
            self.client_options, credentials, timeout=self.timeout, retries=self.retries
        )

    def _codes(self, error: Exception) -> tuple[list[int | str], str] | None:
        return codes(error)

    def _upload(self, upload: Upload) -> ObjectInfo:
        target = {"Bucket": self.bucket, "Key": upload.path}
        condition = {"IfNoneMatch": "*"} if upload.if_absent else {}
        send = self._in_one if upload.size <= _MOST_IN_ONE else self._in_parts
        for tried in range(self.retries + 1):
            try:
                answer = send(upload, target, condition)
                break
            except ClientError as error:
                upload.retried |= error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0
                # Somebody else is writing or deleting it: S3 asks to begin again.
                conflict = error.response["Error"]["Code"] == "ConditionalRequestConflict"
                if not conflict or tried == self.retries:
                    raise
                time.sleep(random.uniform(0, 0.1 * 2**tried))  # noqa: S311 (no secret)
                upload.file.seek(0)
        if "ETag" not in answer:
            raise _no_s3(self.scheme, upload.path)
        return ObjectInfo(upload.path, upload.size, answer["ETag"])

    def _in_one(
        self, upload: Upload, target: dict[str, str], condition: dict[str, str]
    ) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.put_object(
            **self.upload_options, **target, **condition, Body=upload.file
        )
        return answer

    def _in_parts(
        self, upload: Upload, target: dict[str, str], condition: dict[str, str]
    ) -> dict[str, Any]:
        """Upload what is too large for one request; nothing is seen of it before the last one."""
        of_each = {
            name: self.upload_options[name] for name in _OF_EACH_PART if name in self.upload_options
        }
        algorithm = {name: of_each.pop(name) for name in _OF_EACH_PART[:1] if name in of_each}
        started = self.client.create_multipart_upload(**self.upload_options, **target)
        target = {**target, **of_each, "UploadId": started["UploadId"]}
        size = max(_PART, -(-upload.size // _PARTS))
        try:
            parts = []
            for number, _ in enumerate(range(0, upload.size, size), 1):
                answer = self.client.upload_part(
                    **target, **algorithm, PartNumber=number, Body=upload.file.read(size)
                )
                sums = {name: answer[name] for name in answer if name.startswith("Checksum")}
                sums.pop("ChecksumType", None)
                parts.append({"PartNumber": number, "ETag": answer["ETag"], **sums})
            done: dict[str, Any] = self.client.complete_multipart_upload(
                **target, **condition, MultipartUpload={"Parts": parts}
            )
        except BaseException:
            with suppress(BotoCoreError, ClientError):
                self.client.abort_multipart_upload(**target)
            raise
        return done

    def _download(self, path: str, offset: int, etag: str | None) -> tuple[Download, str]:
        rest = {"Range": f"bytes={offset}-", "IfMatch": etag} if offset else {}
        answer = self.client.get_object(Bucket=self.bucket, Key=path, **rest)
        body, sums = answer["Body"], None
        if "ContentLength" not in answer or "ETag" not in answer:
            body.close()
            raise _no_s3(self.scheme, path)
        # botocore compares no checksum of an object that comes in two parts.
        if "ChecksumCRC32" in answer and answer.get("ChecksumType") != "COMPOSITE":
            sums = _Crc32(), base64.b64decode(answer["ChecksumCRC32"])
        chunks = body.iter_chunks(CHUNK)
        return Download(answer["ContentLength"], chunks, body.close, sums), answer["ETag"]

    def _head(self, path: str) -> ObjectInfo:
        answer = self.client.head_object(Bucket=self.bucket, Key=path)
        return _info(path, answer.get("ContentLength", 0), answer)

    def _list(self, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        behind = {"StartAfter": start_after} if start_after else {}
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, **behind
        )
        for page in pages:
            if "Name" not in page:
                raise _no_s3(self.scheme, prefix)
            for found in page.get("Contents", ()):
                yield _info(found["Key"], found["Size"], found)

    def _delete(self, path: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=path)


def _no_s3(scheme: str, path: str) -> StorageUnavailableError:
    return StorageUnavailableError(
        f"what answered for {path or 'the bucket'} is no server of S3, or something changes its "
        f"answers on their way",
        storage=scheme,
        location=path or None,
        hint="check endpoint_url in client_options and AWS_ENDPOINT_URL: it is not the address of "
        "a console, for example",
    )


class _Crc32:
    """CRC-32 as a hash object."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def _info(path: str, size: int, answer: Mapping[str, Any]) -> ObjectInfo:
    modified = answer.get("LastModified")
    return ObjectInfo(path, size, answer.get("ETag"), modified and modified.timestamp())
