"""Versions of references by flow name, only ever added to, in any object store."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace

from flowhold import settings
from flowhold.errors import (
    ConfigurationError,
    FlowNotFoundError,
    ObjectExistsError,
    ObjectNotFoundError,
    SerializationError,
)
from flowhold.reference import Reference
from flowhold.store import open_store

__all__ = ["Catalog", "split_name"]

_DIGITS = 10
_MAX_NAME = 255


class Catalog:
    """References by flow name and version.

    Each version is one object, ``<flow name, percent-encoded>/<version>.json``, which is created
    and never changed: of concurrent registrations each gets a version of its own.

    Args:
        url: ``file:///…``, ``s3://bucket/prefix``, ``gs://…``, ``az://container/…`` or a path;
            default: the setting ``catalog``, else a folder in the user's data directory.
    """

    def __init__(self, url: str | os.PathLike[str] | None = None) -> None:
        current = settings.current()
        self.url = os.fspath(url or current.catalog or current.data_dir / "catalog")
        self.store = open_store(self.url)

    def __repr__(self) -> str:
        return f"Catalog({self.url!r})"

    def add(self, reference: Reference) -> Reference:
        """Store a reference as the next version of its flow and return it with that version."""
        newest = self._newest(reference.flow)
        while True:
            newest += 1
            stored = replace(reference, version=newest)
            try:
                self.store.put(
                    self._key(reference.flow, newest), stored.to_json().encode(), if_absent=True
                )
            except ObjectExistsError:
                continue
            return stored

    def get(self, name: str, version: int | None = None) -> Reference:
        """Return a version of a flow, by default the newest.

        Raises:
            FlowNotFoundError: There is no such flow or version.
            SerializationError: The entry is damaged.
        """
        number = version or self._newest(name)
        if not number:
            raise FlowNotFoundError(
                f"no flow {name!r} in the catalog {self.url}",
                location=name,
                hint="`flowhold list` shows what is there",
            )
        key = self._key(name, number)
        try:
            data = self.store.get(key)
        except ObjectNotFoundError as error:
            there = ", ".join(map(str, self.versions(name))) or "none"
            raise FlowNotFoundError(
                f"flow {name!r} has no version {number} in the catalog {self.url}; versions: "
                f"{there}",
                location=key,
            ) from error
        try:
            reference = Reference.from_json(data)
        except SerializationError as error:
            raise SerializationError(
                f"the catalog entry {key} is damaged: {error}", location=key, hint=error.hint
            ) from error
        if reference.flow != name or (reference.signed is None and reference.version != number):
            raise SerializationError(
                f"the catalog entry {key} is of {reference.flow}@{reference.version}", location=key
            )
        return reference

    def newest(self, name: str) -> Reference | None:
        """Return the newest version of a flow, or None where there is none."""
        number = self._newest(name)
        return self.get(name, number) if number else None

    def names(self) -> Iterator[str]:
        """Yield the names of the flows, in the order of their keys."""
        for name, _ in self.entries():
            yield name

    def versions(self, name: str) -> list[int]:
        """Return the versions of a flow, oldest first."""
        prefix = self._key(name, 0).rpartition("/")[0] + "/"
        return [number for info in self.store.list(prefix) if (number := _number(info.key))]

    def entries(self) -> Iterator[tuple[str, int]]:
        """Yield each flow's name and newest version, from one listing of the catalog."""
        current, newest = "", 0
        for info in self.store.list():
            folder, number = info.key.partition("/")[0], _number(info.key)
            if not number:
                continue
            if folder != current and newest:
                yield urllib.parse.unquote(current), newest
            current, newest = folder, number
        if newest:
            yield urllib.parse.unquote(current), newest

    def _newest(self, name: str) -> int:
        return max(self.versions(name), default=0)

    def _key(self, name: str, version: int) -> str:
        # A name of dots only would be a path of its own.
        encoded = urllib.parse.quote(name, safe="").replace(".", "%2E")
        if not name or len(encoded) > _MAX_NAME:
            raise ConfigurationError(
                f"the flow name {name[:60]!r} cannot be in a catalog",
                hint=f"its percent-encoded form must have 1 to {_MAX_NAME} characters",
            )
        return f"{encoded}/{version:0{_DIGITS}}.json"


def split_name(text: str) -> tuple[str, int | None]:
    """Split ``NAME`` or ``NAME@VERSION``.

    Raises:
        ConfigurationError: What is behind the last ``@`` is not a version.
    """
    name, at, version = text.rpartition("@")
    if not at:
        return text, None
    if (
        not name
        or not version.isascii()
        or not version.isdigit()
        or len(version) > _DIGITS
        or not int(version)
    ):
        raise ConfigurationError(
            f"{text!r} is not NAME or NAME@VERSION", hint="versions are whole numbers from 1"
        )
    return name, int(version)


def _number(key: str) -> int:
    """Return the version that a key is of; 0 for a key that is none."""
    stem = key.rpartition("/")[2].removesuffix(".json")
    valid = key.count("/") == 1 and key.endswith(".json") and stem.isascii() and stem.isdigit()
    return int(stem) if valid and len(stem) == _DIGITS else 0
