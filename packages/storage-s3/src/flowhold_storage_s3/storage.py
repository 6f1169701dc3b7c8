"""Flows in a bucket of S3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from flowhold.storage.objects import ObjectStorage
from flowhold_storage_s3.client import CREDENTIALS, SECRET, check_upload_options, split_options
from flowhold_storage_s3.results import S3Result
from flowhold_storage_s3.store import S3Store

if TYPE_CHECKING:
    from flowhold.results import Result

__all__ = ["S3"]


class S3(ObjectStorage):
    """Keeps flows in a bucket of Amazon S3 or of a server compatible with it.

    Credentials come from the secret ``AWS_CREDENTIALS`` (JSON with ACCESS_KEY, SECRET_ACCESS_KEY
    and perhaps SESSION_TOKEN) where `secrets` lists it, else from the arguments, else from where
    boto3 finds them. None of them is serialized.

    Args:
        bucket: Its name.
        key: Key of the object, or a template of it; see
            :class:`~flowhold.storage.objects.ObjectStorage`.
        stored_as_script: Keep scripts instead of pickles.
        local_script_path: The script to upload; default: the one being registered.
        client_options: Arguments of ``boto3.client``: ``endpoint_url``, ``region_name``,
            ``profile_name``, ``verify``, ``config`` (as a mapping) and so on.
        upload_options: Arguments of every upload: encryption, ACL, storage class and so on.
        aws_access_key_id: Used, but never serialized.
        aws_secret_access_key: Used, but never serialized.
        aws_session_token: Used, but never serialized.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again where that can help.
        **options: See :class:`~flowhold.storage.objects.ObjectStorage`.
    """

    not_serialized: ClassVar[frozenset[str]] = ObjectStorage.not_serialized | {*CREDENTIALS}
    shown: ClassVar[tuple[str, ...]] = ("bucket", "key")

    def __init__(
        self,
        bucket: str,
        key: str | None = None,
        stored_as_script: bool = False,
        local_script_path: str | None = None,
        client_options: Mapping[str, Any] | None = None,
        upload_options: Mapping[str, Any] | None = None,
        *,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        timeout: float = 30,
        retries: int = 3,
        **options: Any,
    ) -> None:
        super().__init__(
            key=key,
            stored_as_script=stored_as_script,
            local_script_path=local_script_path,
            **options,
        )
        self.bucket = bucket
        rest, given = split_options(client_options)
        self.aws_access_key_id = aws_access_key_id or given.get("aws_access_key_id")
        self.aws_secret_access_key = aws_secret_access_key or given.get("aws_secret_access_key")
        self.aws_session_token = aws_session_token or given.get("aws_session_token")
        self.client_options = rest or None
        self.upload_options = check_upload_options(upload_options) or None
        self.timeout = timeout
        self.retries = retries

    def open_store(self) -> S3Store:
        """Return the store of the bucket."""
        return S3Store(self.bucket, **self._of_store())

    def _default_result(self) -> Result:
        return S3Result(self.bucket, prefix="results", **self._of_store())

    def _of_store(self) -> dict[str, Any]:
        credentials = {name: value for name in CREDENTIALS if (value := getattr(self, name))}
        return {
            "client_options": {**(self.client_options or {}), **credentials},
            "upload_options": self.upload_options,
            "credentials_secret": SECRET if SECRET in self.secrets else None,
            "timeout": self.timeout,
            "retries": self.retries,
        }
