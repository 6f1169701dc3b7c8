"""From verified bytes to a flow."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowhold import adapters, environment, prefect1, trees
from flowhold.envelope import Envelope, is_envelope, open_envelope
from flowhold.errors import FlowNotFoundError, IntegrityError
from flowhold.selection import find_flow
from flowhold.unpickling import load
from flowhold.writing import write_new

__all__ = ["flow_from_bytes", "flow_from_script", "kind_of"]


def kind_of(data: bytes) -> str:
    """Return whether stored bytes are a ``pickle``, ``bundle`` or ``script``; nothing is run."""
    if is_envelope(data):
        return open_envelope(data).kind
    # 0x80 begins every binary pickle, and no Python source in UTF-8 or ASCII.
    if data[:1] == b"\x80" or prefect1.open_pickle(data) is not None:
        return "pickle"
    return "script"


def flow_from_bytes(
    data: bytes,
    kind: str,
    *,
    name: str | None = None,
    attribute: str | None = None,
    file: str = "flow.py",
    recorded: Mapping[str, Any] | None = None,
) -> Any:
    """Return the flow in stored bytes. They are run: verify them before.

    Args:
        data: The whole object.
        kind: ``pickle``, ``script`` or ``bundle``, as recorded.
        name: Name of the flow that is wanted; None takes the only one.
        attribute: Attribute of the script that makes it.
        file: Name for the file of a script stored alone.
        recorded: Environment recorded in the reference.

    Raises:
        IntegrityError: The object is not of that kind, or its files are not what it says.
        SerializationError: Unpickling or importing failed; the text tells of differing versions.
        FlowNotFoundError: It holds another flow.
    """
    if kind == "script":
        if is_envelope(data):
            raise IntegrityError("this object is a stored pickle or bundle, not a script")
        from flowhold import cache

        digest = hashlib.sha256(data).hexdigest()
        manifest = {file: digest}

        def fill(folder: Path) -> dict[str, str]:
            write_new(os.path.join(folder, file), data)
            return manifest

        place = hashlib.sha256(f"{digest}/{file}".encode()).hexdigest()
        root = cache.tree(place, fill, len(data))
        # What is imported is checked by what was verified now, not by what the cache says of it.
        tree = trees.open_tree(digest, root, file, manifest)
        return flow_from_script(tree, name=name, attribute=attribute, recorded=recorded)
    files = None
    if is_envelope(data) or kind != "pickle":
        envelope = open_envelope(data)
        if envelope.kind != kind:
            raise IntegrityError(f"this object is a {envelope.kind}, not a {kind} as recorded")
        if kind == "bundle":
            tree = _tree(data, envelope)
            return flow_from_script(tree, name=name, attribute=attribute, recorded=recorded)
        _check_name(envelope.header.get("flow", name), name)
        recorded = envelope.header.get("environment") or recorded
        body: bytes | memoryview = envelope.pickle
        if envelope.header.get("files"):
            files = _tree(data, envelope)
    else:
        body, recorded = prefect1.open_pickle(data) or (data, recorded)
    with environment.explained(recorded, f"the flow {name!r}" if name else "the pickled flow"):
        flow = adapters.adapt_flow(load(body, files))
    _check_name(flow.name, name)
    return flow


def flow_from_script(
    tree: trees.Tree,
    *,
    name: str | None = None,
    attribute: str | None = None,
    target: str | None = None,
    recorded: Mapping[str, Any] | None = None,
) -> Any:
    """Return a flow of a tree's script; arguments as of :func:`find_flow`, flow_from_bytes."""
    where = f"the script {Path(tree.script).name}"
    with environment.explained(recorded, where):
        with trees.loading_code():
            module = tree.load()
        return find_flow(module, name, attribute, target=target, where=where)


def _check_name(held: Any, wanted: str | None) -> None:
    if wanted is not None and held != wanted:
        raise FlowNotFoundError(f"the pickle holds the flow {held!r}, not {wanted!r}")


def _tree(data: bytes, envelope: Envelope) -> trees.Tree:
    from flowhold import cache
    from flowhold.bundles import read_entries, unpack

    entries = read_entries(envelope.header["files"])
    script = envelope.header.get("script")
    modules = envelope.header.get("modules", {})
    if not isinstance(script, str) or not isinstance(modules, dict):
        raise IntegrityError("the header of this stored flow is damaged")
    if envelope.kind == "bundle" and script not in {entry.path for entry in entries}:
        raise IntegrityError(f"the bundle does not hold its script {script}")

    manifest = {entry.path: entry.sha256 for entry in entries}

    def fill(folder: Path) -> dict[str, str]:
        unpack(envelope.files, entries, folder)
        return manifest

    digest = hashlib.sha256(data).hexdigest()
    root = cache.tree(digest, fill, sum(entry.size for entry in entries))
    return trees.open_tree(digest, root, script, manifest, modules)
