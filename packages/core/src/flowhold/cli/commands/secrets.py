"""``flowhold secrets``: which are found, and where; never what they are."""

from __future__ import annotations

from collections.abc import Sequence

import click

from flowhold._secrets import locate
from flowhold.cli.command import as_command, as_group, catalog_option, complete_flows, find
from flowhold.cli.session import Session
from flowhold.cli.text import one_line
from flowhold.errors import FlowholdError


@as_command("flowhold secrets check DB_PASSWORD API_KEY\nflowhold secrets check --flow etl --json")
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option(
    "--flow",
    metavar="NAME[@VERSION]",
    shell_complete=complete_flows,
    help="Check those that the flow's storage names, too.",
)
@catalog_option
def check(session: Session, names: Sequence[str], flow: str | None, catalog: str | None) -> int:
    """Say whether and where secrets are found, never what they are.

    The exit code is 1 if one is not found.
    """
    if not names and flow is None:
        raise click.UsageError("name secrets, or a flow with --flow")
    asked = [*names, *(find(flow, catalog).storage.get("secrets") or () if flow else ())]
    rows = []
    for name in dict.fromkeys(asked):
        where = error = None
        try:
            where = locate(name)
        except FlowholdError as problem:
            error = one_line(": ".join(filter(None, (str(problem), problem.hint))))
        rows.append({"name": name, "found": where is not None, "where": where, "error": error})
    good = all(row["found"] for row in rows)
    session.emit({"ok": good, "secrets": rows})
    if rows:
        session.table(
            [
                {
                    "": "ok" if row["found"] else "fail",
                    "secret": row["name"],
                    "where": row["where"] or row["error"] or "not found",
                }
                for row in rows
            ]
        )
    elif not session.json:
        session.note(f"{flow} names no secrets")
    return 0 if good else 1


command = as_group(
    "Check that secrets are found.", "flowhold secrets check DB_PASSWORD", check=check
)
