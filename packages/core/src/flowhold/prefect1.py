"""What Prefect 0.5 to 1.4 wrote down of flows: storages as JSON, and pickles in an envelope."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from flowhold._prefect1 import ANEW, Found, refused, release_of, translate
from flowhold.errors import FlowholdError, FlowNotFoundError, SerializationError, StorageError

__all__ = ["Found", "open_pickle", "read_flows"]


def read_flows(text: str | bytes) -> list[Found]:
    """Return the flows of a serialized storage or flow, a list of them, or a ``flows.json``.

    Nothing is opened or run, and what is wrong with one flow is said with that flow.

    Args:
        text: JSON that Prefect 0.5 to 1.4 wrote: by ``storage.serialize()``, ``flow.serialize()``
            or ``prefect build``, or as its API gave it.

    Raises:
        SerializationError: It is nothing of that.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"this is not JSON: {error}") from error
    if isinstance(document, Mapping) and isinstance(document.get("flows"), list):
        if document.get("version") != 1:
            raise SerializationError(
                f"this flows.json has the version {document.get('version')!r}, not 1",
                hint="Prefect 0.14.13 to 1.4 write version 1, with `prefect build`",
            )
        document = document["flows"]
    # A pair of null and a complaint is how Prefect serializes a storage that it does not know.
    several = isinstance(document, list) and document[:1] != [None]
    return [found for each in (document if several else [document]) for found in _read(each)]


def open_pickle(data: bytes) -> tuple[bytes, dict[str, Any]] | None:
    """Return pickle and environment of a flow that Prefect 0.14.3 to 1.x stored, or None."""
    if data[:1] != b"{":
        return None
    import base64

    try:
        document = json.loads(data)
        body = base64.b64decode(document["flow"], validate=True)
        versions = dict(document.get("versions") or {})
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None
    python = versions.pop("python", None)
    return body, {"python": python, "packages": versions}


def _read(document: Any) -> Iterator[Found]:
    holder = document if isinstance(document, Mapping) else {}
    storage = holder.get("storage") if "storage" in holder else document
    name = holder.get("name") if "storage" in holder else None
    if isinstance(storage, list) and storage[:1] == [None]:
        reason = "Prefect could not serialize this storage, a class of its user's own"
        yield _failed(name, "unknown", holder, StorageError(reason, hint=ANEW))
        return
    if storage is None and isinstance(name, str):
        yield _failed(name, "none", holder, StorageError("the flow has no storage", hint=ANEW))
        return
    written = storage.get("type") if isinstance(storage, Mapping) else None
    if not isinstance(storage, Mapping) or not isinstance(written, str):
        raise SerializationError(
            "this is no storage or flow of Prefect 1: it has no type",
            hint="give what `storage.serialize()`, `flow.serialize()` or `prefect build` wrote",
        )
    flows = storage.get("flows") or {}
    if not isinstance(flows, Mapping) or not all(isinstance(each, str) for each in flows.values()):
        raise SerializationError("this is no storage of Prefect 1: its flows have no locations")
    if name is not None and name not in flows:
        reason = f"flow {name!r} is not among those of its storage: {', '.join(flows) or 'none'}"
        yield _failed(name, written, storage, FlowNotFoundError(reason))
    elif not flows:
        yield _failed(
            None,
            written,
            storage,
            refused(written) or FlowNotFoundError("this storage holds no flow"),
        )
    for each in flows if name is None else {name} & flows.keys():
        yield translate(each, flows[each], storage, holder if name is not None else {})


def _failed(flow: Any, written: str, document: Mapping[str, Any], error: FlowholdError) -> Found:
    return Found(flow, written, release_of(document), error=error)
