"""``flowhold cache``: what is kept on this machine of flows that were loaded."""

from __future__ import annotations

from datetime import datetime

import click

from flowhold import cache, settings
from flowhold.cli.command import as_command, as_group
from flowhold.cli.session import Session

_DAY = 24 * 3600


@as_command("flowhold cache show\nflowhold cache show --json")
def show(session: Session) -> None:
    """Show what is in the cache, the least recently used first."""
    current = settings.current()
    with session.busy("reading the cache"):
        entries = cache.entries()
    size = sum(entry.size for entry in entries)
    session.emit(
        {
            "folder": str(current.cache_dir),
            "size": size,
            "max_bytes": current.cache_max_bytes,
            "entries": [_document(entry) for entry in entries],
        }
    )
    if entries:
        rows = [{**_document(entry), "digest": entry.digest[:16]} for entry in entries]
        session.table([{**row, "in_use": "yes" if row["in_use"] else ""} for row in rows])
    if not session.json:
        session.note(f"{current.cache_dir}: {size:,} of {current.cache_max_bytes:,} bytes")


@as_command(
    "flowhold cache prune\nflowhold cache prune --older-than 30\nflowhold cache prune --all"
)
@click.option("--max-bytes", metavar="N", type=click.IntRange(min=0), help="Shrink to this size.")
@click.option(
    "--older-than",
    metavar="DAYS",
    type=click.FloatRange(min=0),
    help="Remove what was not used for so long.",
)
@click.option("--all", "everything", is_flag=True, help="Remove all of it.")
def prune(
    session: Session, max_bytes: int | None, older_than: float | None, everything: bool
) -> None:
    """Remove what was not used for longest; by default until the cache has its allowed size.

    What a running process uses stays.
    """
    if max_bytes is None and older_than is None:
        max_bytes = settings.current().cache_max_bytes
    seconds = None if older_than is None else older_than * _DAY
    with session.busy("pruning the cache"):
        removed = cache.prune(max_bytes=max_bytes, older_than=seconds, everything=everything)
    size = sum(entry.size for entry in removed)
    session.emit({"freed": size, "removed": [_document(entry) for entry in removed]})
    session.print(f"{len(removed):,} removed, {size:,} bytes")


def _document(entry: cache.Entry) -> dict[str, object]:
    used = datetime.fromtimestamp(entry.used).astimezone().isoformat(timespec="seconds")
    return {
        "digest": entry.digest,
        "kind": entry.kind,
        "size": entry.size,
        "used": used,
        "in_use": entry.in_use,
    }


command = as_group(
    "Show or prune what is kept on this machine of flows that were loaded.",
    "flowhold cache show\nflowhold cache prune --older-than 30",
    show=show,
    prune=prune,
)
