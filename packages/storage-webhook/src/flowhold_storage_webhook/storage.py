"""Flows behind HTTP requests."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from flowhold import trees
from flowhold.bodies import as_file
from flowhold.clients import check_bounds
from flowhold.errors import (
    ConfigurationError,
    IntegrityError,
    ObjectExistsError,
    ObjectNotFoundError,
)
from flowhold.storage.capabilities import Capability
from flowhold.storage.fetched import FetchedStorage
from flowhold.storage.records import Record
from flowhold_storage_webhook.arguments import check_call
from flowhold_storage_webhook.calls import Call, marks_of
from flowhold_storage_webhook.exchange import Exchange

__all__ = ["Webhook"]


class Webhook(FetchedStorage):
    """Stores a flow by one HTTP request, and loads it by another.

    The arguments of the requests are templates: in each of their texts, at any depth, ``${NAME}``
    and ``$NAME`` stand for the value of the environment variable, else of the secret of that name,
    and ``$$`` for a dollar. They are looked up when a request is sent; the templates are what is
    written down. ``{slug}``, ``{name}`` and ``{sha256}`` in a URL stand for the flow's, and
    ``{slug}`` and ``{sha256}`` in headers, too. Where both requests have one of them, the storage
    holds several flows, else one.

    Args:
        build_request_kwargs: Arguments of ``requests`` for the request that stores a flow, whose
            body is the flow; ``data`` and ``json`` are not sent.
        build_request_http_method: Its method: GET, PATCH, POST or PUT.
        get_flow_request_kwargs: Arguments for the request that loads it.
        get_flow_request_http_method: Its method.
        stored_as_script: Keep scripts instead of pickles.
        flow_script_path: The script to store; default: the one being registered. The same as
            ``local_script_path``, which all storages have.
        timeout: Seconds without an answer after which a try has failed; ``timeout`` among the
            arguments of a request comes before it.
        retries: How often a request is sent again where that can help and does no harm.
        **options: See :class:`~flowhold.storage.packed.PackedStorage`.

    Raises:
        ConfigurationError: An argument is wrong, or holds a credential itself; or no script is
            known that could be stored.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.PICKLE,
            Capability.SCRIPT,
            Capability.BUNDLE,
            Capability.STORE,
            Capability.MANY_FLOWS,
            Capability.SERIALIZES_FLOWS,
        }
    )
    not_serialized: ClassVar[frozenset[str]] = FetchedStorage.not_serialized | {"flow_script_path"}
    shown: ClassVar[tuple[str, ...]] = ("url",)

    def __init__(
        self,
        build_request_kwargs: Mapping[str, Any],
        build_request_http_method: str,
        get_flow_request_kwargs: Mapping[str, Any],
        get_flow_request_http_method: str,
        stored_as_script: bool = False,
        flow_script_path: str | None = None,
        *,
        timeout: float = 30,
        retries: int = 3,
        **options: Any,
    ) -> None:
        script = options.pop("local_script_path", None)
        if None not in (script, flow_script_path) and script != flow_script_path:
            raise ConfigurationError("flow_script_path= and local_script_path= are the same option")
        super().__init__(
            stored_as_script=stored_as_script,
            local_script_path=script or flow_script_path,
            **options,
        )
        check_bounds(timeout, retries)
        self.build_request_kwargs = check_call(
            "build", build_request_http_method, build_request_kwargs, stores=True
        )
        self.build_request_http_method = build_request_http_method
        self.get_flow_request_kwargs = check_call(
            "get_flow", get_flow_request_http_method, get_flow_request_kwargs, stores=False
        )
        self.get_flow_request_http_method = get_flow_request_http_method
        self.flow_script_path = self.local_script_path
        self.timeout = timeout
        self.retries = retries
        self._led: dict[str, frozenset[tuple[int, str, str]]] = {}
        if stored_as_script and self._script() is None and not trees.is_loading():
            raise ConfigurationError(
                "stored_as_script needs to know the script",
                storage=self.name,
                hint="give flow_script_path=, or register by `flowhold register FILE`",
            )

    @classmethod
    def _from_options(cls, options: dict[str, Any]) -> Webhook:
        # Where it loads, nobody knows the script's path.
        storage = cls(**{**options, "stored_as_script": False})
        storage.stored_as_script = options["stored_as_script"]
        return storage

    @property
    def url(self) -> str:
        """Where flows are loaded from, as a template, without its query."""
        return str(self.get_flow_request_kwargs["url"]).partition("?")[0]

    @property
    def _building(self) -> Call:
        return Call(self.build_request_http_method, self.build_request_kwargs, stores=True)

    @property
    def _getting(self) -> Call:
        return Call(self.get_flow_request_http_method, self.get_flow_request_kwargs, stores=False)

    def _stores(self) -> bool:
        return True

    def _has_digest(self) -> bool:
        return any("sha256" in call.marks for call in (self._getting, self._building))

    def _marks(self, location: str) -> dict[str, str]:
        """Return what is filled in for the flow of a location: its name, perhaps with a digest."""
        if not self._has_digest():
            return marks_of(location, "")
        name, _, sha256 = location.rpartition("/")
        return marks_of(name, sha256)

    def _places(self, location: str) -> frozenset[tuple[int, str, str]]:
        """Return where the two requests for a flow lead, by its location: filled in once."""
        if location not in self._led:
            marks = self._marks(location)
            places = [call.at(marks) for call in (self._building, self._getting)]
            self._led[location] = frozenset(
                (number, url, repr(headers)) for number, (url, headers) in enumerate(places)
            )
        return self._led[location]

    def _free_location(self, name: str, sha256: str) -> str:
        location = f"{name}/{sha256}" if self._has_digest() else name
        calls = self._building, self._getting
        if self._records and not all(call.marks for call in calls):
            raise ConfigurationError(
                f"this {self.name} storage holds one flow, {next(iter(self._records))!r}",
                storage=self.name,
                hint="for several, have {slug} or {name} in the URLs of both requests",
            )
        for call in calls:
            call.check(name)
        for other, record in self._records.items():
            if record.sha256 != sha256 and self._places(location) & self._places(record.location):
                raise ConfigurationError(
                    f"the flows {other!r} and {name!r} have one place, "
                    f"{calls[0].at(self._marks(location))[0]}",
                    storage=self.name,
                    hint="have {name} or {sha256} in the URLs",
                )
        return location

    def _exchange(self, call: Call, location: str) -> Exchange:
        marks = self._marks(location)
        call.check(marks["name"])
        return Exchange(call, marks, location, self.name, self.timeout, self.retries)

    def _build(self) -> None:
        for name in ("data", "json"):
            if self._pending and self.build_request_kwargs.get(name) is not None:
                warnings.warn(
                    f"{name!r} in build_request_kwargs is not sent: the flow is the body",
                    RuntimeWarning,
                    stacklevel=3,
                )
        super()._build()

    def _write(self, name: str) -> None:
        payload, record = self._pending[name], self._records[name]
        try:
            with as_file(payload.parts) as (file, size):
                self._exchange(self._building, record.location).store(file, size)
        except ObjectExistsError:
            # It may be this very one: of an earlier try whose answer was lost, or unchanged.
            if not self._holds(record):
                raise
        del self._pending[name]

    def _holds(self, record: Record) -> bool:
        try:
            self._read(record)
        except (IntegrityError, ObjectNotFoundError):
            return False
        return True

    def _fetch(self, record: Record, limit: int | None) -> bytes:
        return self._exchange(self._getting, record.location).load(limit)

    def _bare(self, location: str, *, allow_unverified: bool) -> Record | None:
        if self._has_digest() and not re.search("/[0-9a-f]{64}$", location):
            return None
        return super()._bare(location, allow_unverified=allow_unverified)

    def _load(self, name: str | None, record: Record, *, allow_unverified: bool) -> Any:
        # A location says which flow is meant, also where nothing else is known of it.
        name = name or self._marks(record.location)["name"]
        return super()._load(name, record, allow_unverified=allow_unverified)
