"""``flowhold prune``: old versions of a flow, removed."""

from __future__ import annotations

import click

from flowhold.catalog import Catalog
from flowhold.cli.command import as_command, catalog_option, complete_flows
from flowhold.cli.session import Session
from flowhold.cli.text import printable


@as_command("flowhold prune etl --keep 10 --dry-run\nflowhold prune etl --keep 10")
@click.argument("name", shell_complete=complete_flows)
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(min=1),
    required=True,
    help="Newest versions to keep.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@catalog_option
def command(session: Session, name: str, keep: int, dry_run: bool, catalog: str | None) -> None:
    """Remove all but the newest versions of a flow, and the stored objects of theirs.

    An object that a version still uses, of whatever flow in the catalog, stays.
    """
    with session.busy("pruning"):
        removed = Catalog(catalog).prune(name, keep, dry_run=dry_run)
    documents = [reference.to_dict() for reference in removed]
    session.emit({"flow": name, "dry_run": dry_run, "removed": documents})
    verb = "would remove" if dry_run else "removed"
    for reference in removed:
        session.print(printable(f"{verb} {name}@{reference.version}"))
    if not removed and not session.json:
        session.note(f"{name} has no more than {keep} versions")
