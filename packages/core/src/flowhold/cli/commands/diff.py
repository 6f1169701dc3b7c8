"""``flowhold diff``: what differs between two versions of a flow."""

from __future__ import annotations

import json
from typing import Any

import click

from flowhold.cli.command import as_command, catalog_option, complete_flows, find
from flowhold.cli.session import Session
from flowhold.cli.text import printable
from flowhold.comparing import compare


@as_command("flowhold diff etl@2 etl@3\nflowhold diff etl@2 etl --json")
@click.argument("before", metavar="NAME@A", shell_complete=complete_flows)
@click.argument("after", metavar="NAME@B", shell_complete=complete_flows)
@catalog_option
def command(session: Session, before: str, after: str, catalog: str | None) -> None:
    """Show what differs between two versions: options, environment and code.

    Scripts and files are compared line by line. Of pickles, which are not run, it shows what they
    import and what texts and numbers are in them. The exit code is 0 if they could be compared,
    whatever the outcome.
    """
    pair = [find(name, catalog) for name in (before, after)]
    with session.busy("comparing"):
        found = compare(*pair)
    session.emit(found)
    rows = [
        {"": part, "name": name, "before": _cell(change["before"]), "after": _cell(change["after"])}
        for part in ("options", "environment")
        for name, change in found[part].items()
    ]
    if rows:
        session.table(rows)
    for file in found["files"]:
        session.print(printable(f"{file['change']}: {file['path']}"))
        for line in file["diff"].split("\n"):
            session.print("\t".join(map(printable, line.split("\t"))))
    if found["pickle"]:
        _show_pickle(session, found["pickle"])
    if not any(found.values()):
        session.print("no difference")


def _show_pickle(session: Session, found: dict[str, Any]) -> None:
    sizes = found["size"]
    state = "the same content" if found["same"] else "another content"
    session.print(f"pickle: {state}, {_cell(sizes['before'])} and {_cell(sizes['after'])} bytes")
    for part in ("globals", "constants"):
        for mark, change in (("-", "removed"), ("+", "added")):
            for text in found[part][change]:
                session.print(f"{mark} {part.removesuffix('s')} {printable(text)}")
    if not found["complete"]:
        session.print("and more: it is too large, or damaged, to be read to its end")


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    return f"{value:,}" if type(value) is int else json.dumps(value, ensure_ascii=False)
