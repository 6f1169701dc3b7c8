"""Flows wherever fsspec can write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flowhold.clients import check_options
from flowhold.storage import ObjectStorage
from flowhold_storage_fsspec.steps import powers_of
from flowhold_storage_fsspec.store import FsspecStore, check_url


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
        # Of the protocol, not of the class.
        self.capabilities = powers_of(url, type(self).capabilities)  # type: ignore[misc]
        super().__init__(**options)
        self.url = check_url(url)
        self.storage_options = check_options("storage_options", storage_options) or None
        self.credentials_secret = credentials_secret

    def open_store(self) -> FsspecStore:
        """Return the store of the URL."""
        return FsspecStore(
            self.url,
            storage_options=self.storage_options,
            credentials_secret=self.credentials_secret,
        )
