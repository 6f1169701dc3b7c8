"""What every storage is: flows by name, each at a location, described by typed options."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flowhold import plugins, settings
from flowhold._secrets import provided, resolve
from flowhold.adapters import adapt_flow
from flowhold.errors import ConfigurationError, StorageError
from flowhold.storage import documents
from flowhold.storage.arguments import take_old
from flowhold.storage.capabilities import Capability
from flowhold.storage.records import Record, check_new, check_pin, not_found, pick

if TYPE_CHECKING:
    from flowhold.reference import Reference
    from flowhold.results import Result
    from flowhold.running import EnvRunner

__all__ = ["Storage"]


class Storage(ABC):
    """Where flows' definitions live.

    Subclasses name their options as constructor arguments and keep each in an attribute of the same
    name; that is what is serialized.

    Args:
        result: Where task results go: a Result, None for the storage's own default, False for
            nowhere.
        secrets: Names of secrets to resolve before a flow is loaded, and to offer to its tasks.
        labels: Labels that say where the flows may run.
        add_default_labels: Whether the storage's own labels are added; None asks the settings.
        stored_as_script: Keep scripts instead of pickles.
        **old: ``result_handler``, which Prefect 0.9 and 0.10 had for `result`.

    Raises:
        ConfigurationError: An argument has the wrong type.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    type_name: ClassVar[str | None] = None
    """Registered name where it is not the class name in lower case."""
    not_serialized: ClassVar[frozenset[str]] = frozenset()
    """Names of arguments that are only for building, or are credentials."""
    shown: ClassVar[tuple[str, ...]] = ()
    """Names of options that ``repr`` shows."""

    def __init__(
        self,
        *,
        result: Result | bool | None = None,
        secrets: Sequence[str] | None = None,
        labels: Iterable[str] | None = None,
        add_default_labels: bool | None = None,
        stored_as_script: bool = False,
        **old: Any,
    ) -> None:
        meaning = "give a flowhold.Result, which a handler is not"
        result = take_old(old, "result_handler", "result", result, meaning)
        if old:
            unknown = f"got an unexpected keyword argument {next(iter(old))!r}"
            raise TypeError(f"{self.name}.__init__() {unknown}")
        self._result = result
        self.secrets = documents.strings("secrets", secrets)
        self._labels = sorted(set(documents.strings("labels", labels)))
        if add_default_labels is None:
            add_default_labels = settings.current().add_default_labels
        self.add_default_labels = bool(add_default_labels)
        if stored_as_script and Capability.SCRIPT not in self.capabilities:
            raise ConfigurationError(f"{self.name} storage keeps no scripts", storage=self.name)
        self.stored_as_script = stored_as_script
        self._records: dict[str, Record] = {}
        self._recorded_labels: list[str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Credentials do not travel, not even in a pickled flow that refers to a storage.
        return {**self.__dict__, **dict.fromkeys(self.not_serialized)}

    # What subclasses implement.

    @abstractmethod
    def _add(self, flow: Any) -> Record:
        """Return the record of a flow that is added now."""

    @abstractmethod
    def _load(self, name: str | None, record: Record, *, allow_unverified: bool) -> Any:
        """Return the flow at a record, its bytes checked before anything of them is run."""

    def _build(self) -> None:  # noqa: B027
        """Write what was added and is not stored yet."""

    def _bare(self, location: str, *, allow_unverified: bool) -> Record | None:
        """Return a record of a location that was not added here, or None where it cannot be one."""
        return None

    def _check(self, record: Record) -> str:
        """Return a line on an object that is there and holds what is recorded, or raise."""
        raise NotImplementedError

    def _extract(self, name: str | None, record: Record, folder: Path) -> None:
        """Write the code at a record, checked, into an empty folder; nothing of it is run."""
        raise StorageError(f"{self.name} storage has no code to look at", storage=self.name)

    def fingerprint(self, flow: Any) -> str | None:
        """Return a hash that tells a changed flow from an unchanged one; None: it never changes."""
        from flowhold.packing import Packing

        return Packing(None).fingerprint(flow) if Capability.STORE in self.capabilities else None

    @property
    def name(self) -> str:
        """The class name."""
        return type(self).__name__

    @property
    def flows(self) -> dict[str, str]:
        """Location by flow name."""
        return {name: record.location for name, record in self._records.items()}

    @property
    def default_labels(self) -> list[str]:
        """Labels of the storage's own, as recorded where it was deserialized."""
        return [] if self._recorded_labels is None else self._recorded_labels

    @property
    def labels(self) -> list[str]:
        """User labels and, unless opted out, default labels; sorted."""
        extra = self.default_labels if self.add_default_labels else []
        return sorted({*self._labels, *extra})

    @property
    def result(self) -> Result | None:
        """Where task results go; None for nowhere."""
        if self._result is None or self._result is True:
            return self._default_result()
        return self._result or None

    def _default_result(self) -> Result | None:
        return None

    def add_flow(self, flow: Any) -> str:
        """Add a flow, to be written by :meth:`build`.

        Args:
            flow: A flow, or any object that an adapter makes one of.

        Returns:
            Its location.

        Raises:
            DuplicateFlowError: A flow of that name is here.
            SerializationError: It cannot be pickled.
        """
        adapted = adapt_flow(flow)
        check_new(self._records, adapted.name, self.name)
        record = self._add(adapted)
        record.attribute = getattr(adapted, "_attribute", None)
        self._records[adapted.name] = record
        return record.location

    def get_flow(
        self, name_or_location: str | None = None, *, allow_unverified: bool = False
    ) -> Any:
        """Load a flow: an object with ``name`` and ``run``.

        Args:
            name_or_location: Name or location of a flow; None takes the only one.
            allow_unverified: Also run bytes of which no digest is recorded.

        Raises:
            FlowNotFoundError: It is not here.
            IntegrityError: Its bytes are not those that were recorded.
            UnverifiedError: Nothing is recorded to check its bytes by.
            SecretNotFoundError: A secret that the storage names has no value here.
        """
        name, record = self._find(name_or_location, allow_unverified=allow_unverified)
        with provided(resolve(self.secrets)) if self.secrets else nullcontext():
            flow = self._load(name, record, allow_unverified=allow_unverified)
        if getattr(flow, "result", False) is None and (result := self.result) is not None:
            # Storages with other results can share the object, as those of a module do.
            flow = copy.copy(flow)
            flow.result = result
        return flow

    def get_env_runner(self, name_or_location: str | None = None) -> EnvRunner | None:
        """Return what runs a flow where it is stored; None where it has to be loaded to run.

        Args:
            name_or_location: Name or location of a flow; None takes the only one.

        Raises:
            FlowNotFoundError: It is not here.
        """
        return None

    def _find(self, wanted: str | None, *, allow_unverified: bool) -> tuple[str | None, Record]:
        """Return name and record of a flow; refuse a pin that nothing here would check."""
        if found := pick(self._records, wanted):
            check_pin(found[1], self.capabilities, self.name)
            return found
        bare = wanted and self._bare(wanted, allow_unverified=allow_unverified)
        if not bare:
            raise not_found(self._records, wanted, self.name)
        return None, bare

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._records

    def build(self) -> Storage:
        """Write every flow that was added; return the storage.

        Raises:
            ObjectExistsError: Another object is at a flow's location already.
        """
        self._build()
        if plugins.is_heard("flowhold_built"):
            # Options that are no JSON make references impossible, which is no reason to fail here.
            with suppress(ConfigurationError):
                plugins.call_all("flowhold_built", storage=self, references=self.references())
        return self

    def as_loaded(self, reference: Reference) -> Reference:
        """Return a reference of exactly what was loaded by one, for the workers of its run."""
        return reference

    def still_has(self, record: Record) -> bool:
        """Whether a stored flow is still there, as far as telling costs no request."""
        return True

    def discard(self, name: str) -> None:
        """Forget a flow; what is stored of it stays where it is."""
        self._records.pop(name, None)

    def delete(self, name: str) -> None:
        """Forget a flow and remove the object that this storage wrote for it, if it wrote one."""
        self.discard(name)

    def references(self) -> list[Reference]:
        """Return a reference for each flow; call :meth:`build` before."""
        described = self._describe()
        return [
            record.to_reference(name, {**described, **self._carried([name])})
            for name, record in self._records.items()
        ]

    def verify(self) -> list[dict[str, Any]]:
        """Return ``{"name", "ok", "detail"}`` for each flow, checked without running it."""
        return [self._checked(name, record) for name, record in self._records.items()]

    def _checked(self, name: str, record: Record) -> dict[str, Any]:
        try:
            return {"name": name, "ok": True, "detail": self._check(record)}
        except Exception as error:  # noqa: BLE001
            return {"name": name, "ok": False, "detail": str(error)}

    def extract(self, name: str | None, folder: Path) -> None:
        """Write a flow's code into an empty folder, verified, without running anything of it.

        Args:
            name: Name or location of a flow; None takes the only one.
            folder: Gets the script, the files of a bundle, or ``flow.pickle``.

        Raises:
            IntegrityError: The bytes are not those that were recorded.
            StorageError: The storage has no code to look at.
        """
        # The secrets of tasks are not needed for that.
        found, record = self._find(name, allow_unverified=False)
        self._extract(found, record, folder)

    def serialize(self) -> dict[str, Any]:
        """Return everything needed to load and run the flows again, as JSON types.

        Raises:
            ConfigurationError: An option is not a JSON value; the message names it.
        """
        flows = {name: record.to_json() for name, record in self._records.items()}
        return {**self._describe(), **self._carried(flows), "flows": flows}

    @staticmethod
    def deserialize(document: Mapping[str, Any]) -> Storage:
        """Return the storage that :meth:`serialize` described.

        Args:
            document: What ``serialize`` returned, perhaps after a round trip through JSON.

        Raises:
            PluginNotFoundError: No installed plugin has its type.
            ConfigurationError: The document is malformed or has options that the class does not
                know.
        """
        (storage := documents.revive(document))._restore(document)
        return storage

    @classmethod
    def _from_options(cls, options: dict[str, Any]) -> Storage:
        """Construct from serialized options, which another machine may have made."""
        return cls(**options)

    def _restore(self, document: Mapping[str, Any]) -> None:
        """Take over what :meth:`serialize` said of the flows."""
        try:
            labels = document.get("default_labels")
            self._recorded_labels = documents.strings("default_labels", labels)
            flows = dict(document.get("flows") or {})
            self._records = {str(name): Record.from_json(record) for name, record in flows.items()}
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"this is not a serialized storage: {error}") from error

    def _describe(self) -> dict[str, Any]:
        """Return what :meth:`serialize` returns, without flows."""
        return documents.describe(self)

    def _carried(self, names: Iterable[str]) -> dict[str, Any]:
        """Return what :meth:`serialize` has of these flows besides their records."""
        return {}

    def __repr__(self) -> str:
        options = {name: getattr(self, name) for name in self.shown}
        shown = "".join(f" {key}={value!r}" for key, value in options.items() if value is not None)
        return f"<Storage: {self.name}{shown}>"
