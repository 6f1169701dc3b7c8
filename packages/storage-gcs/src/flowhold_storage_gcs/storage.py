"""Flows in a bucket of Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from flowhold.clients import check_options
from flowhold.storage.objects import ObjectStorage
from flowhold_storage_gcs.client import SECRET
from flowhold_storage_gcs.results import GCSResult
from flowhold_storage_gcs.store import GCSStore

if TYPE_CHECKING:
    from flowhold.results import Result

__all__ = ["GCS"]


class GCS(ObjectStorage):
    """Keeps flows in a bucket of Google Cloud Storage.

    Credentials come from the secret ``GCP_CREDENTIALS`` (the JSON of a service account's key) where
    `secrets` lists it, else they are the application default credentials. They are not serialized.
    Nothing is asked about the bucket itself, so ``storage.buckets.get`` is not needed.

    Args:
        bucket: Its name.
        key: Key of the object, or a template of it; see
            :class:`~flowhold.storage.objects.ObjectStorage`.
        project: Project of the client; default: that of the service account. Reading and writing
            objects needs none.
        stored_as_script: Keep scripts instead of pickles.
        local_script_path: The script to upload; default: the one being registered.
        client_options: Client options of ``google.cloud.storage.Client``, for example
            ``api_endpoint``, ``universe_domain``, ``quota_project_id``.
        timeout: Seconds without an answer after which a try has failed.
        retries: How often a request is tried again where that can help.
        **options: See :class:`~flowhold.storage.objects.ObjectStorage`.

    Raises:
        ConfigurationError: `client_options` holds credentials.
    """

    shown: ClassVar[tuple[str, ...]] = ("bucket", "key")

    def __init__(
        self,
        bucket: str,
        key: str | None = None,
        project: str | None = None,
        stored_as_script: bool = False,
        local_script_path: str | None = None,
        *,
        client_options: Mapping[str, Any] | None = None,
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
        self.project = project
        self.client_options = check_options("client_options", client_options) or None
        self.timeout = timeout
        self.retries = retries

    def open_store(self) -> GCSStore:
        """Return the store of the bucket."""
        return GCSStore(self.bucket, **self._of_store())

    def _default_result(self) -> Result:
        return GCSResult(self.bucket, prefix="results", **self._of_store())

    def _of_store(self) -> dict[str, Any]:
        return {
            "project": self.project,
            "client_options": self.client_options,
            "credentials_secret": SECRET if SECRET in self.secrets else None,
            "timeout": self.timeout,
            "retries": self.retries,
        }
