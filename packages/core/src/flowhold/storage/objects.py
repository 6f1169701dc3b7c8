"""Storages over an object store: pickles, scripts and bundles kept by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from flowhold.errors import ConfigurationError, ObjectExistsError
from flowhold.storage.capabilities import Capability
from flowhold.storage.documents import store_parameters
from flowhold.storage.fetched import FetchedStorage
from flowhold.storage.keys import DEFAULT_KEY, make_key
from flowhold.storage.records import Record
from flowhold.store import ObjectStore, holds, read_object

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ObjectStorage"]

_TRIES = 10


class ObjectStorage(FetchedStorage):
    """Keeps each flow as one object of an :class:`~flowhold.ObjectStore`.

    A subclass has a `store_class`, or names its options and implements :meth:`open_store`.

    Args:
        *arguments: Those of the `store_class`, which are options of the storage; also by name.
        key: Key of the object, or a template of it: ``{slug}``, ``{name}``, ``{timestamp}`` and
            ``{sha256}`` are replaced. Default: ``{slug}/{timestamp}``.
        overwrite: Replace an object that is at the key already.
        **options: See :class:`~flowhold.storage.packed.PackedStorage`.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.PICKLE,
            Capability.SCRIPT,
            Capability.BUNDLE,
            Capability.STORE,
            Capability.MANY_FLOWS,
            Capability.OVERWRITE,
            Capability.CONDITIONAL_CREATE,
            Capability.LIST,
            Capability.DELETE,
            Capability.SERIALIZES_FLOWS,
        }
    )
    store_class: ClassVar[type[ObjectStore] | None] = None
    """The class of the store, which keeps each of its arguments in an attribute of the same name.

    None: a subclass implements :meth:`open_store`.
    """

    def __init__(
        self, *arguments: Any, key: str | None = None, overwrite: bool = False, **options: Any
    ) -> None:
        of_store = store_parameters(type(self))
        given = {name: options.pop(name) for name in of_store.keys() & options.keys()}
        super().__init__(**options)
        self.key = key
        self.overwrite = overwrite
        self._opened: ObjectStore | None = None
        if self.store_class is not None:
            self._opened = store = self.store_class(*arguments, **given)
            vars(self).update({name: getattr(store, name) for name in of_store})
            lacking = ObjectStore.capabilities - store.capabilities
            self.capabilities = type(self).capabilities - lacking  # type: ignore[misc]
        elif arguments:
            raise TypeError(f"{self.name}.__init__() takes options by name only")

    def open_store(self) -> ObjectStore:
        """Return the object store, made from the options; called once."""
        if self.store_class is None:
            raise NotImplementedError(f"{self.name} has neither store_class nor open_store")
        return self.store_class(
            **{name: getattr(self, name) for name in store_parameters(type(self))}
        )

    @property
    def store(self) -> ObjectStore:
        """The object store; not pickled with the storage."""
        if self._opened is None:
            self._opened = self.open_store()
        return self._opened

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_opened": None}

    def emptied(self) -> Self:
        """Return a storage like this one, over the same store, without flows."""
        storage = super().emptied()
        storage._opened = self.store
        return storage

    def delete(self, name: str) -> None:
        """Forget a flow and remove its object; a script that was there before stays."""
        record = self._records.get(name)
        if record is not None and record.sha256 is not None and name not in self._pending:
            store, key = self._at(record.location)
            store.delete(key)
        self.discard(name)

    def _stores(self) -> bool:
        # A script at an explicit key may be there already.
        return self.key is None or super()._stores()

    def _add(self, flow: Any) -> Record:
        if not self._stores():
            return Record(self._place(self.key or ""), "script")
        return super()._add(flow)

    def _free_location(self, name: str, sha256: str) -> str:
        template = self.key or DEFAULT_KEY
        taken = {record.location for record in self._records.values()}
        while (location := self._place(make_key(template, name, sha256))) in taken:
            if not self._generates():
                raise ConfigurationError(
                    f"two flows of this {self.name} storage have the key {location!r}",
                    hint="use a template, as key='flows/{slug}'",
                )
        return location

    def _generates(self) -> bool:
        """Whether another try gives another key."""
        return "{timestamp}" in (self.key or DEFAULT_KEY)

    def _place(self, key: str) -> str:
        """Return the location of a key."""
        return key

    def _at(self, location: str) -> tuple[ObjectStore, str]:
        """Return the store and key of a location."""
        return self.store, location

    def _build(self) -> None:
        _ = self.store  # made once, before threads ask for it
        super()._build()

    def _write(self, name: str) -> None:
        payload, record = self._pending[name], self._records[name]
        for left in range(_TRIES, -1, -1):
            store, key = self._at(record.location)
            try:
                store.put(key, payload.parts, if_absent=not self.overwrite)
                break
            except ObjectExistsError as error:
                if holds(store, key, payload.size, payload.sha256):
                    break
                if not self._generates() or not left:
                    raise ObjectExistsError(
                        f"another object is at {record.location} already",
                        storage=self.name,
                        location=record.location,
                        hint="choose another key, or allow overwrite=True",
                    ) from error
                record.location = self._free_location(name, payload.sha256)
        del self._pending[name]

    def _fetch(self, record: Record, limit: int | None) -> bytes:
        return read_object(*self._at(record.location), limit)

    def _is_near(self, record: Record) -> bool:
        return self._at(record.location)[0].local

    def _check(self, record: Record) -> str:
        if record.sha256 is None:
            store, key = self._at(record.location)
            return f"{record.location}: {store.head(key).size:,} bytes, floating"
        return super()._check(record)
