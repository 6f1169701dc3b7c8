"""``flowhold fetch``: the code of a flow in a folder, for people to look at."""

from __future__ import annotations

import os

import click

from flowhold.cli.command import as_command, catalog_option, complete_files, find, flow_argument
from flowhold.cli.session import Session
from flowhold.cli.text import printable
from flowhold.fetching import fetch


@as_command("flowhold fetch etl@3 etl-3\nflowhold fetch etl.json etl-3 --json")
@flow_argument
@click.argument("dest", shell_complete=complete_files)
@catalog_option
def command(session: Session, name: str, dest: str, catalog: str | None) -> None:
    """Copy a flow's code into DEST, a new or empty folder.

    The bytes are verified, nothing of them is run. DEST gets the script, the files of a bundle or
    the pickle, and the reference. It is left as it was if anything fails.
    """
    reference = find(name, catalog)
    with session.busy("fetching"):
        paths = [path.as_posix() for path in fetch(reference, dest)]
    session.emit({**reference.to_dict(), "folder": os.path.abspath(dest), "files": paths})
    for path in paths:
        session.print(printable(os.path.join(dest, path)))
