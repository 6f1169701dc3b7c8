"""``flowhold list``: the newest version of each flow in the catalog."""

from __future__ import annotations

import re
from typing import Any

from flowhold.catalog import Catalog
from flowhold.cli.command import as_command, catalog_option
from flowhold.cli.failures import explain
from flowhold.cli.session import Session
from flowhold.errors import FlowholdError
from flowhold.reference import Reference


@as_command("flowhold list\nflowhold list --catalog s3://bucket/catalog --json")
@catalog_option
def command(session: Session, catalog: str | None) -> int:
    """Show the newest version of each flow.

    An entry that cannot be read is reported and the others are shown; the exit code is 1 then.
    """
    where = Catalog(catalog)
    entries, rows, broken = [], [], 0
    for name, version, found in where.references():
        if isinstance(found, FlowholdError):
            broken += 1
            failure = explain(found)
            empty = dict.fromkeys(("storage", "kind", "pinned", "signed", "labels", "created"))
            entries.append({"flow": name, "version": version, **empty, "error": failure.to_dict()})
            session.complain(failure)
            continue
        entry = _entry(found)
        entries.append(entry)
        created = re.sub(r"\.\d+", "", entry["created"])
        row = {**entry, "pinned": found.state + ", signed" * entry["signed"], "created": created}
        del row["signed"]
        rows.append(row)
    session.emit(entries)
    if rows:
        session.table(rows)
    elif not broken and not session.json:
        session.note(f"no flows in {where.url}; `flowhold register FILE` adds some")
    return 1 if broken else 0


def _entry(reference: Reference) -> dict[str, Any]:
    return {
        "flow": reference.flow,
        "version": reference.version,
        "storage": reference.storage.get("type"),
        "kind": reference.kind,
        "pinned": reference.pinned,
        "signed": reference.signed is not None,
        "labels": reference.labels,
        "created": reference.created,
    }
