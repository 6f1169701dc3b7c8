"""``flowhold verify``: whether a flow could be loaded here, step by step."""

from __future__ import annotations

import click

from flowhold.checking import check_reference
from flowhold.cli.command import as_command, catalog_option, find, flow_argument
from flowhold.cli.session import Session


@as_command("flowhold verify etl\nflowhold verify etl@3 --no-load --json")
@flow_argument
@click.option("--no-load", is_flag=True, help="Do not load the flow, so that none of it is run.")
@catalog_option
def command(session: Session, name: str, no_load: bool, catalog: str | None) -> int:
    """Check a flow: signature, credentials, bytes, code and environment.

    At last it is loaded, as for a run. The exit code is 1 if a check failed; that the environment
    differs or that the flow is floating is only a warning.
    """
    with session.busy("verifying"):
        checks = check_reference(find(name, catalog), load=not no_load)
    return session.report(checks)
