"""Versions of references by flow name, only ever added to, in any object store."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from flowhold import settings
from flowhold.entries import DIGITS, folder_of, key_of, name_in, number_in, split_name
from flowhold.errors import (
    ConfigurationError,
    FlowholdError,
    FlowNotFoundError,
    ObjectExistsError,
    ObjectNotFoundError,
    SerializationError,
    SignatureError,
    StorageError,
)
from flowhold.parallel import in_order
from flowhold.reference import Reference, now
from flowhold.retention import object_of, objects_of, older_than
from flowhold.seen import Seen
from flowhold.signing import Signer, as_signer
from flowhold.store import open_store, read_object
from flowhold.trust import is_trusted

__all__ = ["Catalog", "split_name"]

_UNSEEN = 3
_LARGEST = 64 << 20  # bytes of an entry


class Catalog:
    """References by flow name and version.

    Each version is one object, ``<flow name, percent-encoded>/<version>.json``, which is created
    and never changed: of concurrent registrations each gets a version of its own. What this machine
    has seen in a catalog is remembered, and no older version is the newest any more.

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

    def add(
        self,
        reference: Reference,
        *,
        newest: int | None = None,
        sign: Signer | str | Sequence[str] | None = None,
    ) -> Reference:
        """Store a reference as the next version of its flow and return it with that version.

        Args:
            reference: What to store. One that is signed, for its version, stays as it is.
            newest: The newest version so far, where that is known: saves a request.
            sign: Name or path of a private key, or several: what is stored is signed with it.

        Raises:
            SignatureError: The reference is signed for another version than this would be.
            IntegrityError: The catalog has lost versions that this machine has seen.
        """
        signer = as_signer(sign)
        number = (self._newest(reference.flow) if newest is None else newest) + 1
        unseen = 0
        while True:
            if number >= 10**DIGITS:
                raise StorageError(
                    f"the catalog {self.url} has the highest version that there can be of "
                    f"{reference.flow!r}",
                    location=reference.flow,
                    hint="look for an entry that nobody registered, and remove it",
                )
            stored = _numbered(reference, number, signer)
            key, data = key_of(reference.flow, number), stored.to_json().encode()
            if len(data) > _LARGEST:
                raise SerializationError(
                    f"the reference of {reference.flow!r} takes more than {_LARGEST:,} bytes",
                    location=reference.flow,
                    hint="use a storage that does not keep the flow in its reference",
                )
            try:
                info = self.store.put(key, data, if_absent=True)
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
            else:
                self._note(stored, info.etag, data)
                return stored

    def get(self, name: str, version: int | None = None) -> Reference:
        """Return a version of a flow, by default the newest.

        Raises:
            FlowNotFoundError: There is no such flow or version.
            SerializationError: The entry is damaged, or is not of that flow and version.
            IntegrityError: The newest is older than one that this machine has seen.
        """
        number = self._newest(name) if version is None else version
        if version is None and not number:
            raise FlowNotFoundError(
                f"no flow {name!r} in the catalog {self.url}",
                location=name,
                hint="`flowhold list` shows what is there",
            )
        return self._entry(name, number)

    def _entry(self, name: str, number: int, etag: str | None = None) -> Reference:
        key = key_of(name, number)
        try:
            data = read_object(self.store, key, _LARGEST + 1)
        except ObjectNotFoundError as error:
            there = ", ".join(map(str, self.versions(name))) or "none"
            raise FlowNotFoundError(
                f"flow {name!r} has no version {number} in the catalog {self.url}; versions: "
                f"{there}",
                location=key,
            ) from error
        reference = _read(data, name, number)
        self._note(reference, etag, data)
        return reference

    def newest(self, name: str) -> Reference | None:
        """Return the newest version of a flow, or None where there is none."""
        found = self._listed(name)
        if not found:
            return None
        number = max(found)
        etag = None if self.store.local else found[number]
        if etag and (kept := self._seen.entry(folder_of(name), number, etag)):
            with suppress(SerializationError):
                return _read(kept, name, number)
        return self._entry(name, number, etag)

    def rollback(
        self, name: str, version: int, *, sign: Signer | str | Sequence[str] | None = None
    ) -> Reference:
        """Add an older version of a flow again, as its newest, and return that.

        Args:
            name: The flow.
            version: Which.
            sign: Name or path of a private key, or several, to sign the new version with.

        Raises:
            SignatureError: That version is signed, and this has no key to sign the new one; or its
                signature is of nobody who is trusted.
        """
        signer, reference = as_signer(sign), self.get(name, version)
        if signer:
            reference = signer.vouched(reference)
        elif reference.signed is not None:
            raise SignatureError(
                f"{name}@{version} is signed, and a new version needs a signature of its own",
                location=name,
                hint="`flowhold rollback --sign KEY`, or the argument sign=, makes one",
            )
        return self.add(replace(reference, created=now(), signed=None), sign=signer)

    def prune(self, name: str, keep: int, *, dry_run: bool = False) -> list[Reference]:
        """Remove all but the newest versions of a flow, and the objects that only they use.

        Of a version that would not load for want of a trusted signature the object stays.

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
        versions = [*self._listed(name)]
        if not versions:
            self.get(name)
        doomed = older_than(self, name, versions, keep)
        if dry_run or not doomed:
            return doomed
        gone = {(name, reference.version) for reference in doomed}
        used = objects_of(self, (entry for entry in self._all() if entry not in gone))
        own = [each for each in doomed if each.pinned and object_of(each) not in used]
        alone = [(object_of(each), each.open_storage()) for each in own if is_trusted(each)]
        if len(alone) < len(own):
            warnings.warn("objects of versions that no trusted key has signed stay", stacklevel=2)
        # The entries go first: better an object without an entry than the other way round.
        for reference in doomed:
            self.store.delete(key_of(name, reference.version or 0))
        # A version may have been added meanwhile, by a rollback for example.
        used = objects_of(self, self._all()) if alone else used
        for stored, storage in alone:
            if stored not in used:
                storage.delete(name)
        return doomed

    def names(self) -> Iterator[str]:
        """Yield the names of the flows, in the order of their keys."""
        for name, _ in self.entries():
            yield name

    def versions(self, name: str) -> list[int]:
        """Return the versions of a flow, oldest first."""
        return [*self._etags(name)]

    def entries(self) -> Iterator[tuple[str, int]]:
        """Yield each flow's name and newest version, from one listing of the catalog."""
        # The versions of a flow come together, and in their order.
        for name, versions in groupby(self._all(), key=itemgetter(0)):
            yield name, max(number for _, number in versions)

    def references(self) -> Iterator[tuple[str, int, Reference | FlowholdError]]:
        """Yield each flow's name, newest version, and its reference or why it cannot be read."""
        seen = self._seen

        def read(entry: tuple[str, int]) -> tuple[str, int, Reference | FlowholdError]:
            name, number = entry
            try:
                # It may have been seen only after the listing; then this is a newer one.
                behind = number < seen.newest(folder_of(name))
                return name, number, self.get(name, None if behind else number)
            except FlowholdError as error:
                return name, number, error

        yield from (map if self.store.local else in_order)(read, self.entries())

    def _all(self) -> Iterator[tuple[str, int]]:
        for info in self.store.list():
            if number := number_in(info.key):
                yield name_in(info.key), number

    @property
    def _seen(self) -> Seen:
        root = getattr(self.store, "root", None) if self.store.local else None
        if isinstance(root, Path):
            return Seen(os.path.realpath(root))
        return Seen(self.url.rstrip("/"))

    def _etags(self, name: str) -> dict[int, str | None]:
        """Return the etags of a flow's entries by version, oldest first."""
        listed = self.store.list(f"{folder_of(name)}/")
        return {number: info.etag for info in listed if (number := number_in(info.key))}

    def _newest(self, name: str) -> int:
        return max(self._listed(name), default=0)

    def _listed(self, name: str) -> dict[int, str | None]:
        """Return etags by version, oldest first, of which the newest seen is not missing."""
        seen, folder = self._seen, folder_of(name)
        # First what was seen: versions that others add meanwhile are no reason to complain.
        before = seen.newest(folder)
        found = self._etags(name)
        seen.check(folder, before, max(found, default=0))
        return found

    def _note(self, reference: Reference, etag: str | None, entry: bytes) -> None:
        """Note a version as seen, unless it would not load: anybody can write a high number."""
        seen, folder, number = self._seen, folder_of(reference.flow), reference.version or 0
        if number > seen.newest(folder):
            with suppress(FlowholdError):
                if is_trusted(reference):
                    seen.note(folder, number)
        if etag and not self.store.local:
            seen.keep(folder, number, etag, entry)


def _read(data: bytes, name: str, number: int) -> Reference:
    """Return the reference in an entry; raise SerializationError if it is not of that version."""
    key = key_of(name, number)
    if len(data) > _LARGEST:
        raise SerializationError(f"the catalog entry {key} is too large", location=key)
    try:
        reference = Reference.from_json(data)
    except SerializationError as error:
        raise SerializationError(
            f"the catalog entry {key} is damaged: {error}", location=key, hint=error.hint
        ) from error
    if (reference.flow, reference.version) != (name, number):
        raise SerializationError(
            f"the catalog entry {key} is of {reference.flow}@{reference.version}", location=key
        )
    return reference


def _numbered(reference: Reference, number: int, signer: Signer | None) -> Reference:
    """Return the reference as a version, which a signature covers, so that it is of no other."""
    if signer:
        return signer(replace(reference, version=number, signed=None))
    if reference.signed is not None and reference.version != number:
        raise SignatureError(
            f"{reference.flow}@{reference.version} is signed as that version, and would be "
            f"version {number}",
            location=reference.location,
            hint="sign it anew: `--sign KEY`, or the argument sign=",
        )
    return replace(reference, version=number)
