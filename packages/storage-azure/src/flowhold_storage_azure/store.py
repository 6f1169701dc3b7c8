"""Objects in a container of Azure Blob Storage."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from flowhold.bodies import Download
from flowhold.clients import check_options
from flowhold.errors import ConfigurationError
from flowhold.remote import RemoteStore, Upload
from flowhold.rules import Rules
from flowhold.store import ObjectInfo
from flowhold_storage_azure.client import check_account_url, make_client
from flowhold_storage_azure.errors import RULES, codes

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

__all__ = ["AzureStore"]

_MOST_IN_ONE = 32 << 20
_BLOCK = 8 << 20
_BLOCKS = 50_000
_PAGE = 5_000
_TAKEN_FOR_ANOTHER = re.compile(r"\\|\.(/|$)")
_ABOVE = re.compile("[\ue000-\U0010ffff]")


class AzureStore(RemoteStore):
    """Keeps objects in a container: one request to write or read up to 32 MiB.

    Args:
        container: Its name.
        prefix: Folder in it that holds the objects.
        connection_string: Used, but never pickled.
        connection_string_secret: Name of a secret that is a connection string.
        account_url: As ``https://ACCOUNT.blob.core.windows.net``, where there is no connection
            string.
        credential: For `account_url`; used, but never pickled. None is azure-identity's default.
        client_options: Arguments of ``BlobServiceClient``, for example ``connection_verify``.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again.
    """

    scheme: ClassVar[str] = "az"
    rules: ClassVar[Rules] = RULES
    resumes: ClassVar[bool] = False

    def __init__(
        self,
        container: str,
        prefix: str = "",
        *,
        connection_string: str | None = None,
        connection_string_secret: str | None = None,
        account_url: str | None = None,
        credential: Any = None,
        client_options: Mapping[str, Any] | None = None,
        timeout: float = 30,
        retries: int = 3,
    ) -> None:
        super().__init__(container, prefix, timeout=timeout, retries=retries)
        self._connection_string = connection_string
        if not connection_string:
            self.credentials_secret = connection_string_secret
        self.account_url = check_account_url(account_url)
        self._credential = credential
        self.client_options = check_options("client_options", client_options)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_connection_string": None, "_credential": None}

    def _make_client(self, secret: str | None) -> ContainerClient:
        return make_client(
            self.bucket,
            {
                "max_single_put_size": _MOST_IN_ONE,
                "max_single_get_size": _MOST_IN_ONE,
                "max_chunk_get_size": _BLOCK,
                **self.client_options,
            },
            connection_string=self._connection_string or secret,
            account_url=self.account_url,
            credential=self._credential,
            timeout=self.timeout,
            retries=self.retries,
        )

    def _path(self, key: str) -> str:
        path = super()._path(key)
        if _TAKEN_FOR_ANOTHER.search(path):
            raise ConfigurationError(
                f"{path!r} cannot be the name of a blob: Azure takes a backslash for a slash, and "
                "drops a dot at the end of a name",
                hint="choose another one",
            )
        return path

    def _codes(self, error: Exception) -> tuple[list[int | str], str] | None:
        return codes(error)

    def _upload(self, upload: Upload) -> ObjectInfo:
        def again(**_: Any) -> None:
            upload.retried = True

        blob = self.client.get_blob_client(upload.path)
        most = self.client_options.get("max_single_put_size", _MOST_IN_ONE)
        if upload.size <= most:
            answer = blob.upload_blob(
                upload.file,
                length=upload.size,
                overwrite=not upload.if_absent,
                validate_content=True,
                retry_hook=again,
            )
        else:
            answer = self._in_blocks(blob, upload, again)
        return ObjectInfo(upload.path, upload.size, answer["etag"].strip('"'))

    def _in_blocks(
        self, blob: BlobClient, upload: Upload, again: Callable[..., None]
    ) -> dict[str, Any]:
        """Upload what is too large for one request; nothing is seen of it before the last one."""
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError
        from azure.storage.blob import ContentSettings

        condition: dict[str, Any] = {}
        if upload.if_absent:
            condition["match_condition"] = MatchConditions.IfMissing
        for left in range(self.retries, -1, -1):
            names, md5 = self._stage(blob, upload, again)
            try:
                return blob.commit_block_list(
                    names,
                    content_settings=ContentSettings(content_md5=bytearray(md5)),
                    retry_hook=again,
                    **condition,
                )
            except HttpResponseError as error:
                # Another writer has committed, by which the blocks of all others are dropped.
                if getattr(error, "error_code", None) != "InvalidBlockList" or not left:
                    raise
                upload.file.seek(0)
        raise AssertionError

    def _stage(
        self, blob: BlobClient, upload: Upload, again: Callable[..., None]
    ) -> tuple[list[Any], bytes]:
        """Upload the blocks; return them and the MD5 of all."""
        from azure.storage.blob import BlobBlock

        # No writer must commit the blocks of another, as the SDK's own names would have it. Those
        # of a blob must be equally long, so they have the length of the SDK's.
        writer = uuid.uuid4().hex
        size = max(self.client_options.get("max_block_size", _BLOCK), -(-upload.size // _BLOCKS))
        digest = hashlib.md5(usedforsecurity=False)
        blocks = []
        for number, _ in enumerate(range(0, upload.size, size)):
            data = upload.file.read(size)
            digest.update(data)
            blocks.append(BlobBlock(f"{writer}{number:014}"))
            blob.stage_block(blocks[-1].id, data, validate_content=True, retry_hook=again)
        return blocks, digest.digest()

    def _download(self, path: str, offset: int, etag: str | None) -> tuple[Download, str]:
        from azure.core import MatchConditions

        rest: dict[str, Any] = {}
        if offset:
            same = MatchConditions.IfNotModified
            rest = {"offset": offset, "etag": etag, "match_condition": same}
        with _closing_what_fails() as hook:
            answer = self.client.get_blob_client(path).download_blob(
                decompress=False, raw_response_hook=hook, **rest
            )
        found = answer.properties
        md5 = None if offset else found.content_settings.content_md5
        digest = (hashlib.md5(usedforsecurity=False), bytes(md5)) if md5 else None
        return Download(answer.size, answer.chunks(), digest=digest), found.etag

    def _head(self, path: str) -> ObjectInfo:
        return _info(self.client.get_blob_client(path).get_blob_properties())

    def _list(self, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        found = self.client.list_blobs(name_starts_with=prefix or None, results_per_page=_PAGE)
        # In the order of UTF-16, that of bytes is another one from U+E000 on, and only there.
        for above, alike in groupby(map(_info, found), _up_to_the_first_above):
            yield from alike if above is None else sorted(alike, key=_bytes_of_key)  # noqa: B031

    def _delete(self, path: str) -> None:
        self.client.get_blob_client(path).delete_blob()


@contextmanager
def _closing_what_fails() -> Iterator[Callable[[Any], None]]:
    """Give a hook for raw answers of downloads, the last of which is closed if the block fails.

    The SDK leaves one that it cannot make sense of open.
    """
    answers: list[Any] = []
    waiting = True

    def note(answer: Any) -> None:
        if waiting:
            answers[:] = [answer]

    try:
        yield note
    except BaseException:
        for answer in answers:
            answer.http_response.close()
        raise
    finally:
        # The SDK keeps the hook with each answer, which would be kept by it in turn.
        waiting = False
        answers.clear()


def _bytes_of_key(info: ObjectInfo) -> bytes:
    return info.key.encode()


def _up_to_the_first_above(info: ObjectInfo) -> str | None:
    above = _ABOVE.search(info.key)
    return above and info.key[: above.start()]


def _info(found: Any) -> ObjectInfo:
    # It comes in quotation marks in headers, and without in listings.
    return ObjectInfo(
        found.name, found.size, found.etag.strip('"'), found.last_modified.timestamp()
    )
