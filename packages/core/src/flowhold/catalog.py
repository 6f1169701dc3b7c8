"""Versions of references by flow name, only ever added to, in any object store."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from flowhold import settings
from flowhold.errors import (
    ConfigurationError,
    FlowholdError,
    FlowNotFoundError,
    ObjectExistsError,
    ObjectNotFoundError,
    SerializationError,
    StorageError,
)
from flowhold.parallel import in_order
from flowhold.reference import Reference, now
from flowhold.store import open_store
from flowhold.trust import check_trust

__all__ = ["Catalog", "split_name"]

_DIGITS = 10
_MAX_NAME = 255
_UNSEEN = 3


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

    def add(self, reference: Reference, *, newest: int | None = None) -> Reference:
        """Store a reference as the next version of its flow and return it with that version.

        Args:
            reference: What to store.
            newest: The newest version so far, where that is known: saves a request.
        """
        number = (self._newest(reference.flow) if newest is None else newest) + 1
        unseen = 0
        while True:
            stored = replace(reference, version=number)
            key = self._key(reference.flow, number)
            try:
                self.store.put(key, stored.to_json().encode(), if_absent=True)
                return stored
            except ObjectExistsError as error:
                seen = self._newest(reference.flow)
                unseen += seen < number
                if unseen > _UNSEEN:
                    raise StorageError(
                        f"{key} cannot be added to the catalog {self.url}: it is said to exist, "
                        f"but is not listed",
                        location=key,
                        hint="look for what refuses to create objects there, such as a policy",
                    ) from error
                number = max(seen + 1, number)

    def get(self, name: str, version: int | None = None) -> Reference:
        """Return a version of a flow, by default the newest.

        Raises:
            FlowNotFoundError: There is no such flow or version.
            SerializationError: The entry is damaged.
        """
        number = self._newest(name) if version is None else version
        if version is None and not number:
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
        return replace(reference, version=number)

    def newest(self, name: str) -> Reference | None:
        """Return the newest version of a flow, or None where there is none."""
        number = self._newest(name)
        return self.get(name, number) if number else None

    def rollback(self, name: str, version: int) -> Reference:
        """Add an older version of a flow again, as its newest, and return that."""
        return self.add(replace(self.get(name, version), created=now()))

    def prune(self, name: str, keep: int, *, dry_run: bool = False) -> list[Reference]:
        """Remove all but the newest versions of a flow, and the objects that only they use.

        Args:
            name: The flow.
            keep: How many versions stay, at least 1: so no version number is ever used again.
            dry_run: Remove nothing.

        Returns:
            The references that were, or would be, removed; oldest first.

        Raises:
            SerializationError: An entry of the catalog, of whatever flow, is damaged, so that what
                it uses cannot be known.
        """
        if keep < 1:
            raise ConfigurationError("at least one version has to be kept")
        versions = self.versions(name)
        if not versions:
            self.get(name)
        doomed = [self.get(name, version) for version in versions[:-keep]]
        if dry_run or not doomed:
            return doomed
        used = self._objects(except_for={(name, reference.version) for reference in doomed})
        alone = []
        for reference in doomed:
            if reference.pinned and _object(reference) not in used:
                check_trust(reference)
                alone.append((_object(reference), reference.open_storage()))
        # The entries go first: better an object without an entry than the other way round.
        for reference in doomed:
            self.store.delete(self._key(name, reference.version or 0))
        # A version may have been added meanwhile, by a rollback for example.
        used = self._objects(except_for=()) if alone else used
        for stored, storage in alone:
            if stored not in used:
                storage.delete(name)
        return doomed

    def _objects(self, *, except_for: Container[tuple[str, int | None]]) -> set[tuple[str, str]]:
        """Return the objects of all versions of all flows but these."""
        used = set()
        for entry in self._all():
            if entry not in except_for:
                # What another prune has removed meanwhile uses nothing.
                with suppress(FlowNotFoundError):
                    used.add(_object(self.get(*entry)))
        return used

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
        # The versions of a flow come together, and in their order.
        for name, versions in groupby(self._all(), key=itemgetter(0)):
            yield name, max(number for _, number in versions)

    def references(self) -> Iterator[tuple[str, int, Reference | FlowholdError]]:
        """Yield each flow's name, newest version, and its reference or why it cannot be read."""

        def read(entry: tuple[str, int]) -> tuple[str, int, Reference | FlowholdError]:
            try:
                return *entry, self.get(*entry)
            except FlowholdError as error:
                return *entry, error

        yield from (map if self.store.local else in_order)(read, self.entries())

    def _all(self) -> Iterator[tuple[str, int]]:
        for info in self.store.list():
            if number := _number(info.key):
                yield urllib.parse.unquote(info.key.partition("/")[0]), number

    def _newest(self, name: str) -> int:
        return max(self.versions(name), default=0)

    def _key(self, name: str, version: int) -> str:
        # A name of dots only would be a path of its own.
        try:
            encoded = urllib.parse.quote(name, safe="").replace(".", "%2E")
        except UnicodeEncodeError:
            encoded = ""
        if not 1 <= len(encoded) <= _MAX_NAME:
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


def _object(reference: Reference) -> tuple[str, str]:
    """Return what tells objects apart; options do not, so that in doubt an object stays."""
    return str(reference.storage.get("type")), reference.location


def _number(key: str) -> int:
    """Return the version that a key is of; 0 for a key that is none."""
    stem = key.rpartition("/")[2].removesuffix(".json")
    valid = key.count("/") == 1 and key.endswith(".json") and stem.isascii() and stem.isdigit()
    return int(stem) if valid and len(stem) == _DIGITS else 0
