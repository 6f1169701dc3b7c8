"""``flowhold plugins``: what is installed, what could be, and what of it is broken."""

from __future__ import annotations

import click

from flowhold import plugins
from flowhold.cli.command import as_command
from flowhold.cli.session import Session

BAD = ("broken", "conflict", "incompatible")
"""States in which a plugin cannot be used."""


@as_command("flowhold plugins\nflowhold plugins --check")
@click.option("--check", is_flag=True, help="Import each, too; the exit code is 1 if one fails.")
def command(session: Session, check: bool) -> int:
    """Show storages and plugins: built in, installed, or available.

    Without --check only metadata is read, and nothing is imported.
    """
    rows = plugins.listing(check=check)
    session.emit(rows)
    session.table(
        [
            {
                "name": row["name"],
                "kind": row["kind"],
                "distribution": row["distribution"] or "-",
                "version": row["version"] or "-",
                "status": row["status"],
                "": "; ".join(filter(None, (row["error"], row["hint"]))),
            }
            for row in rows
        ]
    )
    return 1 if check and any(row["status"] in BAD for row in rows) else 0
