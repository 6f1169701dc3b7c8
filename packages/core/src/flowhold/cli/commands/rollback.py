"""``flowhold rollback``: an older version as the newest."""

from __future__ import annotations

import click

from flowhold.catalog import Catalog
from flowhold.cli.command import as_command, catalog_option, complete_flows
from flowhold.cli.session import Session
from flowhold.cli.text import printable


@as_command("flowhold rollback etl 3")
@click.argument("name", shell_complete=complete_flows)
@click.argument("version", type=click.IntRange(min=1))
@catalog_option
def command(session: Session, name: str, version: int, catalog: str | None) -> None:
    """Make an older version of a flow the newest again.

    It is added as the next version; no version is removed or changed.
    """
    reference = Catalog(catalog).rollback(name, version)
    session.emit(reference.to_dict())
    session.print(printable(f"{name}@{reference.version} is {name}@{version} again"))
