"""``flowhold show``: one reference, field by field."""

from __future__ import annotations

import json
from typing import Any

import click

from flowhold.cli.command import as_command, catalog_option, find, flow_argument
from flowhold.cli.session import Session
from flowhold.cli.text import columns, printable
from flowhold.reference import Reference
from flowhold.signing import signed_by


@as_command("flowhold show etl\nflowhold show etl@3 --json > etl.json\nflowhold show etl --graph")
@flow_argument
@click.option("--graph", is_flag=True, help="Load the flow, and draw its tasks for Mermaid.")
@catalog_option
def command(session: Session, name: str, graph: bool, catalog: str | None) -> None:
    """Show a reference: a version of a flow, by default the newest, or a reference's .json file."""
    reference = find(name, catalog)
    if graph:
        _draw(session, reference)
        return
    session.emit(reference.to_dict())
    rows = [[field, printable(value)] for field, value in _facts(reference)]
    for line in columns(rows):
        session.print(line)


def _draw(session: Session, reference: Reference) -> None:
    from flowhold.graphs import mermaid
    from flowhold.loading import load_reference

    with session.busy("loading"):
        text = mermaid(load_reference(reference))
    session.emit({"flow": reference.flow, "version": reference.version, "graph": text})
    session.print(text)


def _facts(reference: Reference) -> list[tuple[str, str]]:
    storage = reference.storage
    facts: list[tuple[str, Any]] = [
        ("flow", reference.flow),
        ("version", reference.version),
        ("kind", f"{reference.kind}, {reference.state}"),
        ("storage", storage.get("type")),
        *((f"  {option}", value) for option, value in (storage.get("options") or {}).items()),
        ("location", reference.location),
        ("sha256", reference.sha256),
        ("revision", reference.revision),
        ("size", None if reference.size is None else f"{reference.size:,} bytes"),
        ("fingerprint", reference.fingerprint),
        ("labels", ", ".join(map(str, reference.labels))),
        ("secrets", ", ".join(map(str, storage.get("secrets") or ()))),
        ("python", reference.environment.get("python")),
        *(
            (f"  {package}", version)
            for package, version in (reference.environment.get("packages") or {}).items()
        ),
        ("created", reference.created),
        ("signed by", signed_by(reference)),
    ]
    return [
        (field, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for field, value in facts
        if value not in (None, "")
    ]
