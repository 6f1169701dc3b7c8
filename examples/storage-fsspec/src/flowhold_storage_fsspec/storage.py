"""Flows wherever fsspec can write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flowhold.storage import ObjectStorage
from flowhold_storage_fsspec.protocols import powers_of
from flowhold_storage_fsspec.store import FsspecStore


class Fsspec(ObjectStorage):
    """Keeps flows below a URL of fsspec.

    Args:
        url: Folder of the flows, such as ``sftp://host/srv/flows``, without credentials.
        storage_options: What fsspec takes for the protocol, without credentials.
        credentials_secret: Name of a secret with further options: a JSON object.
        **options: As of every storage that keeps objects.
    """

    shown: ClassVar[tuple[str, ...]] = ("url",)

    def __init__(
        self,
        url: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        credentials_secret: str | None = None,
        **options: Any,
    ) -> None:
        self.capabilities = powers_of(url, type(self).capabilities)  # type: ignore[misc]
        super().__init__(**options)
        self.url, self.credentials_secret = url, credentials_secret
        self.storage_options = storage_options
        self.storage_options = self.store.storage_options or None  # checked, without credentials

    def open_store(self) -> FsspecStore:
        """Return the store of the URL."""
        return FsspecStore(
            self.url,
            storage_options=self.storage_options,
            credentials_secret=self.credentials_secret,
        )
