"""``flowhold copy``: flows in another storage or catalog, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

import click

from flowhold import plugins
from flowhold.catalog import Catalog, split_name
from flowhold.cli.command import (
    as_command,
    catalog_option,
    complete_flows,
    complete_storages,
    find,
    sign_option,
)
from flowhold.cli.session import Session
from flowhold.cli.storage_options import parse_options
from flowhold.cli.text import printable
from flowhold.copying import copy_flows
from flowhold.registering import default_storage
from flowhold.signing import as_signer


@as_command(
    """\
flowhold copy etl@3 --to s3 -o bucket=flows
flowhold copy etl --all --to local -o directory=/srv/flows --to-catalog /srv/catalog"""
)
@click.argument("name", metavar="NAME[@VERSION]", shell_complete=complete_flows)
@click.option(
    "--to",
    "storage",
    metavar="STORAGE",
    required=True,
    shell_complete=complete_storages,
    help="Where to copy to.",
)
@click.option(
    "-o", "options", metavar="KEY=VALUE", multiple=True, help="Option of the storage; repeatable."
)
@click.option("--all", "every", is_flag=True, help="Copy all versions of NAME, oldest first.")
@click.option("--to-catalog", metavar="URL", help="Add the copies to that catalog instead.")
@sign_option
@catalog_option
def command(
    session: Session,
    name: str,
    storage: str,
    options: Sequence[str],
    every: bool,
    to_catalog: str | None,
    sign: Sequence[str],
    catalog: str | None,
) -> None:
    """Copy a flow into another storage, byte for byte, and add the copy to the catalog.

    A copy becomes the next version of the flow. It keeps the original's digest, time, labels and
    names of secrets, and says what it was copied from. Its signature cannot be the original's, as
    it is in another place: --sign makes one.
    """
    signer = as_signer(sign)
    source = Catalog(catalog)
    if every and split_name(name)[1] is not None:
        raise click.UsageError("--all takes NAME, not one of its versions")
    target = default_storage(
        storage, **parse_options(storage, plugins.storage_class(storage), options)
    )
    versions = source.versions(name) if every else []
    references = [source.get(name, version) for version in versions] or [find(name, source)]
    done = []
    with session.busy("copying") as update:
        where = Catalog(to_catalog) if to_catalog else source
        for reference in copy_flows(references, target, where, sign=signer):
            done.append(reference)
            update(f"copying: {len(done)} of {len(references)} done")
    session.emit([reference.to_dict() for reference in done])
    for old, new in zip(references, done, strict=True):
        was = f"{old.flow}@{old.version} in {old.storage.get('type')}"
        session.print(printable(f"copied {was} to {new.flow}@{new.version} in {storage}"))
    if signer is None and any(reference.signed for reference in references):
        session.warn("the copies are not signed, as the originals are; --sign KEY signs copies")
