"""Results: where the values of tasks are written, and how they are read back."""

from __future__ import annotations

import hashlib
import json
import os
import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowhold.clients import check_options
from flowhold.errors import ConfigurationError, IntegrityError, ObjectNotFoundError, UnverifiedError
from flowhold.serializers import Serializer, get_serializer
from flowhold.settings import current
from flowhold.store import ObjectStore, check_key, open_store

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DEFAULT_LOCATION", "LocalResult", "Result"]

DEFAULT_LOCATION = "{flow}/{task}/{run_id}"


class Result:
    """Writes values to an object store, each at a location made from a template, and reads them.

    A result does not change: what was written or read comes as a copy with `location`, `sha256` and
    `value`. A subclass for one backend only makes the `url` and the `options`.

    Args:
        url: URL or path of an object store; None is the folder ``results`` in the user's data
            directory, on whichever machine that is.
        location: Key in the store, with ``{flow}``, ``{task}``, ``{run_id}``, ``{date}`` (UTC, also
            as ``{date:%Y}``) or other names that :meth:`write` is given.
        serializer: ``pickle`` or ``json``, with ``+zstd`` or ``+gzip`` to compress, or an object
            with ``dumps`` and ``loads``.
        options: Further arguments of the store, by name.
    """

    sha256: str | None = None
    """Digest of the bytes that were written or read, in hex."""
    value: Any = None
    _store: ObjectStore | None = None

    def __init__(
        self,
        url: str | None = None,
        location: str = DEFAULT_LOCATION,
        serializer: str | Serializer = "pickle",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.url = url
        self.location = location
        self.serializer = serializer
        self.options = dict(options or {})
        self._codec()

    def __getstate__(self) -> dict[str, Any]:
        # Neither clients nor credentials travel: where it is read back, the store finds its own.
        return {**self.__dict__, "options": self.safe_options(), "value": None, "_store": None}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((self.url, self.location, self.sha256))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.location} in {self.url or 'the data directory'}>"

    @property
    def store(self) -> ObjectStore:
        """The object store, opened when first used."""
        if self._store is None:
            url = self.url or (current().data_dir / "results").as_uri()
            self._store = open_store(url, self.options)
        return self._store

    def safe_options(self) -> dict[str, Any]:
        """Return the options that may be written down; a subclass leaves out its credentials.

        Raises:
            ConfigurationError: They hold credentials.
        """
        return check_options("options", self.options)

    def format(self, **context: Any) -> Self:
        """Return a copy whose location has its placeholders filled in.

        Each value stays within one name of the key: what cannot be in one is percent-encoded.

        Raises:
            ConfigurationError: A placeholder has no value, or what comes out cannot be a key.
        """
        try:
            return self._copy(location=check_key(_Template().vformat(self.location, (), context)))
        except (LookupError, AttributeError, TypeError, ValueError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(
                f"the location {self.location!r} of a result cannot be filled in: {error}",
                hint=f"its placeholders can be {', '.join(context) or 'none here'}",
            ) from error

    def write(self, value: Any, **context: Any) -> Self:
        """Write a value, over what is there, and return a copy that knows where and what it is.

        Args:
            value: What to write.
            context: Values of the location's placeholders.

        Raises:
            SerializationError: The value cannot be written by this serializer.
            StorageError: The store could not take it.
        """
        target = self.format(**context)
        data = self._codec().dumps(value)
        self.store.put(target.location, data)
        return target._copy(sha256=hashlib.sha256(data).hexdigest(), value=value, _store=self.store)

    def read(
        self,
        location: str | None = None,
        *,
        sha256: str | None = None,
        allow_unverified: bool = False,
    ) -> Self:
        """Return a copy with the `value` that was written.

        Args:
            location: Where it is; by default this result's own location.
            sha256: Digest in hex that its bytes must have; by default this result's own.
            allow_unverified: Also unpickle bytes of which no digest is known. That can run any code
                that whoever wrote them has put into them.

        Raises:
            ObjectNotFoundError: Nothing has been written there.
            IntegrityError: The bytes are not those that were written.
            UnverifiedError: Nothing says what the bytes should be, and they are not JSON.
        """
        key = self.location if location is None else location
        expected = sha256 or (self.sha256 if key == self.location else None)
        harmless = isinstance(self.serializer, str) and self.serializer.startswith("json")
        if expected is None and not harmless and not allow_unverified:
            raise UnverifiedError(
                f"no digest is known of the result at {key!r}",
                location=key,
                hint="give its sha256=, or allow_unverified=True if you trust whoever wrote it",
            )
        data = self.store.get(check_key(key))
        digest = hashlib.sha256(data).hexdigest()
        if expected is not None and digest != expected.lower():
            raise IntegrityError(
                f"the result at {key!r} is not what was written there",
                location=key,
                hint=f"its sha256 is {digest}, not {expected}",
            )
        # Whoever can write there is not trusted to know what fits into memory.
        codec = self._codec(current().max_tree_bytes if expected is None else None)
        return self._copy(location=key, sha256=digest, value=codec.loads(data))

    def exists(self, location: str | None = None, **context: Any) -> bool:
        """Return whether something is written there; without `location`, where `context` leads."""
        key = location or (self.format(**context).location if context else self.location)
        try:
            self.store.head(check_key(key))
        except ObjectNotFoundError:
            return False
        return True

    def serialize(self) -> dict[str, Any]:
        """Return it as JSON values, without credentials and without the value.

        Raises:
            ConfigurationError: Something of it is not JSON.
        """
        fields = self._fields()
        for name, field in {**fields["options"], **fields}.items():
            _check_json(name, field)
        return fields

    @staticmethod
    def deserialize(fields: Mapping[str, Any]) -> Result:
        """Return a result that reads and writes as the one that :meth:`serialize` described."""
        options = dict(fields)
        sha256 = options.pop("sha256", None)
        try:
            return Result(**options)._copy(sha256=sha256)
        except (TypeError, AttributeError, ValueError) as error:
            raise ConfigurationError(f"this does not describe a result: {error}") from error

    def _fields(self) -> dict[str, Any]:
        names = ("url", "location", "serializer", "sha256")
        return {name: getattr(self, name) for name in names} | {"options": self.safe_options()}

    def _codec(self, most: int | None = None) -> Serializer:
        given = self.serializer
        return get_serializer(given, most) if isinstance(given, str) else given

    def _copy(self, **changes: Any) -> Self:
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__, **changes)
        return copy


class LocalResult(Result):
    """A result in a folder of this machine, which is made when first written to.

    Args:
        dir: The folder; None is ``results`` in the user's data directory.
        location: As of :class:`Result`.
        serializer: As of :class:`Result`.
    """

    def __init__(
        self,
        dir: str | os.PathLike[str] | None = None,  # noqa: A002 (the name that Prefect gave it)
        location: str = DEFAULT_LOCATION,
        serializer: str | Serializer = "pickle",
    ) -> None:
        url = None if dir is None else Path(dir).expanduser().absolute().as_uri()
        super().__init__(url, location, serializer)


class _Template(string.Formatter):
    """Fills in a location so that no value reaches out of its place in the key."""

    def format_field(self, value: Any, format_spec: str) -> str:
        text = str(super().format_field(value, format_spec))
        text = re.sub(r"[\x00-\x1f\x7f%/\\{}]", lambda found: f"%{ord(found[0]):02X}", text)
        return text.replace(".", "%2E") if text in (".", "..") else text


def _check_json(name: str, value: Any) -> None:
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name} of a result is not JSON: {error}") from error
