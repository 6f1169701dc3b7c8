"""``flowhold rollback``: an older version as the newest."""

from __future__ import annotations

from collections.abc import Sequence

import click

from flowhold.catalog import Catalog
from flowhold.cli.command import as_command, catalog_option, complete_flows, sign_option
from flowhold.cli.session import Session
from flowhold.cli.text import printable


@as_command("flowhold rollback etl 3\nflowhold rollback etl 3 --sign release")
@click.argument("name", shell_complete=complete_flows)
@click.argument("version", type=click.IntRange(min=1))
@sign_option
@catalog_option
def command(
    session: Session, name: str, version: int, sign: Sequence[str], catalog: str | None
) -> None:
    """Make an older version of a flow the newest again.

    It is added as the next version; no version is removed or changed. If it is signed, so must the
    new one be.
    """
    reference = Catalog(catalog).rollback(name, version, sign=sign)
    session.emit(reference.to_dict())
    session.print(printable(f"{name}@{reference.version} is {name}@{version} again"))
