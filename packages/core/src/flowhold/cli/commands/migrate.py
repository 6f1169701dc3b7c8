"""``flowhold migrate``: references for flows that another system stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, BinaryIO

import click

from flowhold.catalog import Catalog
from flowhold.cli.command import as_command, as_group, catalog_option, complete_files, sign_option
from flowhold.cli.failures import explain
from flowhold.cli.lines import line
from flowhold.cli.session import Session
from flowhold.cli.text import printable
from flowhold.migrating import PINS, Migration, add_to_catalog, migrate_prefect1, write_files


@as_command(
    """\
flowhold migrate prefect1 flows.json --dry-run
flowhold migrate prefect1 flows.json --catalog s3://bucket/catalog
flowhold migrate prefect1 storage.json --to references
flowhold migrate prefect1 - --partial < storages.json"""
)
@click.argument("file", type=click.File("rb"), shell_complete=complete_files)
@click.option(
    "--pin",
    type=click.Choice(PINS),
    default=PINS[0],
    show_default=True,
    help="What to read now, so that later loads are checked by its digest or commit.",
)
@click.option("--to", "folder", metavar="FOLDER", help="Write files there, not to the catalog.")
@click.option("--partial", is_flag=True, help="Write what can be migrated where some cannot.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@sign_option
@catalog_option
def prefect1(
    session: Session,
    file: BinaryIO,
    pin: str,
    folder: str | None,
    partial: bool,
    dry_run: bool,
    sign: Sequence[str],
    catalog: str | None,
) -> int:
    """Make references of what Prefect 0.5 to 1.4 stored, and add them to the catalog.

    FILE is JSON, and - is standard input: what storage.serialize() or flow.serialize() gave, a list
    of such, or the flows.json of `prefect build`. What Prefect stored stays where it is, and its
    code is not run.

    Prefect recorded no digests. Pickles are read now, and their digests recorded: what is there
    today is what will load, so migrate from a place that you trust. Scripts float, as they did in
    Prefect: edits take effect. With --pin all they are pinned too. With --pin none nothing is
    read, and pickles load with --allow-unverified only.

    Where a flow cannot be migrated it is said why, the exit code is 1, and nothing is written.
    """
    if folder and (catalog or sign):
        raise click.UsageError(
            "--to takes neither --catalog nor --sign: the catalog signs versions"
        )
    with session.busy("reading what was stored"):
        found = migrate_prefect1(file.read(), pin=pin)
    failed = [each for each in found if each.error]
    written: dict[str | None, str] = {}
    if not dry_run and (partial or not failed):
        if folder:
            done = write_files(found, folder)
            written = {each.flow: path for each, path in done}
        else:
            added = add_to_catalog(found, Catalog(catalog), sign=sign)
            by_name = {each.flow: each for each in added}
            found = [by_name.get(each.flow, each) if each.reference else each for each in found]
            written = {each.flow: f"{each.flow}@{_version(each)}" for each in added}
    session.emit([_document(each, written) for each in found])
    for each in found:
        _tell(session, each, written, folder)
    if failed and not written and not session.json:
        reason = f"{len(failed)} of {len(found)} flows cannot be migrated"
        session.note(f"nothing was written: {reason}; --partial writes the others")
    return 1 if failed else 0


def _tell(
    session: Session, each: Migration, written: dict[str | None, str], folder: str | None
) -> None:
    name = each.flow or "a storage"
    if each.reference is not None:
        known = each.flow in written
        word = "unchanged" if each.unchanged else "migrated" if known else "could migrate"
        path = f": {written[each.flow]}" if known and folder else ""
        session.print(line(word, each.reference) + printable(path))
    for note in each.notes:
        if not session.json:
            session.note(f"  {name}: {note}")
    if each.error is not None:
        failure = explain(each.error)
        session.complain(replace(failure, message=f"{name}: {failure.message}"))


def _version(each: Migration) -> int | None:
    return each.reference.version if each.reference else None


def _document(each: Migration, written: dict[str | None, str]) -> dict[str, Any]:
    reference = each.reference
    return {
        "flow": each.flow,
        "state": reference.state if reference else "failed",
        "unchanged": each.unchanged,
        "written": written.get(each.flow) if reference else None,
        "notes": list(each.notes),
        "reference": reference.to_dict() if reference else None,
        "error": explain(each.error).to_dict() if each.error else None,
    }


command = as_group(
    "Take over flows that another system stored.",
    "flowhold migrate prefect1 flows.json --dry-run",
    prefect1=prefect1,
)
