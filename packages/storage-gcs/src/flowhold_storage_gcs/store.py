"""Objects in a bucket of Google Cloud Storage."""

# Google's libraries have no types.
# mypy: allow-untyped-calls

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, ClassVar, TypeVar

from flowhold.bodies import Download
from flowhold.clients import check_options, secret_mapping
from flowhold.errors import ConfigurationError, StorageUnavailableError
from flowhold.remote import RemoteStore, Upload
from flowhold.rules import Rules
from flowhold.store import CHUNK, ObjectInfo, iter_parts
from flowhold_storage_gcs.client import Client, make_client
from flowhold_storage_gcs.errors import RULES, codes

__all__ = ["GCSStore"]

_T = TypeVar("_T")
_PART = 16 << 20
_PAGE = 1000
_DELAY = 0.5, 16.0
_FIELDS = "items(name,size,generation,updated),nextPageToken"


class GCSStore(RemoteStore):
    """Keeps objects in a bucket: one request to write up to 8 MiB, one to read.

    Args:
        bucket: Its name.
        prefix: Folder in it that holds the objects.
        project: Project of the client; objects need none.
        client_options: Client options of ``google.cloud.storage.Client``, for example
            ``api_endpoint``, ``universe_domain``, ``quota_project_id``.
        credentials_secret: Name of a secret with the JSON of a service account's key; without, the
            application default credentials are used.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again.

    Raises:
        ConfigurationError: `client_options` holds credentials.
    """

    scheme: ClassVar[str] = "gs"
    rules: ClassVar[Rules] = RULES

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        project: str | None = None,
        client_options: Mapping[str, Any] | None = None,
        credentials_secret: str | None = None,
        timeout: float = 30,
        retries: int = 3,
    ) -> None:
        super().__init__(bucket, prefix, timeout=timeout, retries=retries)
        self.project = project
        self.client_options = check_options("client_options", client_options)
        self.credentials_secret = credentials_secret

    def _make_client(self, secret: str | None) -> Client:
        named = self.credentials_secret
        account = secret_mapping(named, secret) if named and secret else None
        return make_client(self.client_options, project=self.project, account=account)

    def _codes(self, error: Exception) -> tuple[list[int | str], str] | None:
        return codes(error)

    def _upload(self, upload: Upload) -> ObjectInfo:
        blob = self._blob(upload.path)
        blob.chunk_size = _PART
        # The server refuses other bytes than these, so that nobody ever sees them.
        blob.crc32c = _crc32c(upload.file)
        for left in range(self.retries, -1, -1):
            upload.file.seek(0)
            try:
                blob.upload_from_file(
                    upload.file,
                    size=upload.size,
                    content_type="application/octet-stream",
                    if_generation_match=0 if upload.if_absent else None,
                    checksum=None,
                    timeout=self.timeout,
                    retry=self._retry(upload),
                )
                break
            except Exception as error:
                if not _is_lost_session(error):
                    raise
                if not left:
                    raise StorageUnavailableError(
                        f"the upload of {self.scheme}://{self.bucket}/{upload.path} was lost",
                        hint="try again later",
                    ) from error
                upload.retried = True
        return _info(blob)

    def _download(self, path: str, offset: int, etag: str | None) -> tuple[Download, str]:
        # The SDK's own download writes to a file, which would hold all of the object.
        url = (
            f"{self.client.api_endpoint}/download/storage/v1/b/{self.bucket}/o/"
            f"{urllib.parse.quote(path, safe='')}?alt=media"
        )
        # As it is stored, as what is known of its length and checksum is of that.
        headers = {"Accept-Encoding": "gzip"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            url += f"&ifGenerationMatch={etag}" if etag else ""

        answer = self._retry()(self._get)(url, headers)
        size = answer.headers.get("Content-Length")
        if size is None:
            answer.close()
            raise StorageUnavailableError(f"the length of {path} is not known", hint="try again")
        chunks = answer.raw.stream(CHUNK, decode_content=False)
        digest = _digest(answer.headers.get("x-goog-hash", ""))
        generation = answer.headers.get("x-goog-generation", "")
        return Download(int(size), chunks, answer.close, digest), generation

    def _get(self, url: str, headers: Mapping[str, str]) -> Any:
        from google.api_core.exceptions import from_http_status

        answer = self.client._http.get(
            url, headers=headers, timeout=self.timeout, stream=True, hooks={"response": _settle}
        )
        if not answer.ok:
            raise from_http_status(answer.status_code, answer.text, response=answer)
        return answer

    def _head(self, path: str) -> ObjectInfo:
        blob = self._blob(path)
        blob.reload(timeout=self.timeout, retry=self._retry())
        return _info(blob)

    def _list(self, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        blobs = self.client.list_blobs(
            self._bucket,
            prefix=prefix or None,
            start_offset=start_after or None,
            page_size=_PAGE,
            fields=_FIELDS,
            timeout=self.timeout,
            retry=self._retry(),
        )
        yield from map(_info, blobs)

    def _delete(self, path: str) -> None:
        self._blob(path).delete(timeout=self.timeout, retry=self._retry())

    @property
    def _bucket(self) -> Any:
        client = self.client
        try:
            return client.bucket(self.bucket)
        except ValueError as error:
            raise ConfigurationError(f"{self.bucket!r} cannot be a bucket: {error}") from error

    def _blob(self, path: str) -> Any:
        return self._bucket.blob(path)

    def _retry(
        self, upload: Upload | None = None
    ) -> Callable[[Callable[..., _T]], Callable[..., _T]]:
        """Return the SDK's retry for every request of an operation, bounded by their number."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        retry = DEFAULT_RETRY.with_timeout(None).with_delay(*_DELAY)

        def bounded(call: Callable[..., _T]) -> Callable[..., _T]:
            left = self.retries

            def count(error: Exception) -> None:
                nonlocal left
                if not left:
                    raise error
                left -= 1
                if upload:
                    upload.retried = True

            wrapped: Callable[..., _T] = retry(call, on_error=count)
            return wrapped

        return bounded


def _settle(answer: Any, **_: Any) -> None:
    """Read an answer that is an error: a session that cannot renew its token leaves it open."""
    if not answer.ok:
        _ = answer.content


def _info(blob: Any) -> ObjectInfo:
    updated = blob.updated  # parsed anew each time
    if updated is None or blob.size is None:
        raise StorageUnavailableError(
            f"the answer about {blob.name} is none of Cloud Storage",
            hint="check api_endpoint in client_options, and what stands between here and there",
        )
    return ObjectInfo(blob.name, blob.size, str(blob.generation), updated.timestamp())


def _crc32c(file: BinaryIO) -> str:
    import google_crc32c

    checksum = google_crc32c.Checksum()
    for part in iter_parts(file):
        checksum.update(part)
    return base64.b64encode(checksum.digest()).decode()


def _digest(header: str) -> tuple[Any, bytes] | None:
    """Return what a download is checked by."""
    import google_crc32c

    found = re.search("crc32c=([^, ]+)", header)
    return (google_crc32c.Checksum(), base64.b64decode(found[1])) if found else None


def _is_lost_session(error: Exception) -> bool:
    """Whether an upload of several requests has to begin anew.

    The session has ended, or the server took less of a part than was sent, which the SDK gives up
    on: https://github.com/googleapis/python-storage/issues/611.
    """
    if isinstance(error, ValueError):
        return "unexpected state" in str(error)
    request = getattr(getattr(error, "response", None), "request", None)
    return getattr(error, "code", 0) in (404, 410) and "upload_id=" in str(request and request.url)
