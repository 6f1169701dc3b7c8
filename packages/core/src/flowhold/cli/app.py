"""The group of commands: each is a module that is imported when it is invoked, not before."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem, shell_complete

from flowhold import __version__
from flowhold.cli.command import Group, common_options
from flowhold.cli.failures import explain, show_traceback
from flowhold.cli.session import Session
from flowhold.cli.streams import broken_pipe

__all__ = ["COMMANDS", "COMPLETE", "app", "run"]

COMPLETE = "_FLOWHOLD_COMPLETE"

COMMANDS = {
    "register": "Store flows and add them to the catalog.",
    "list": "Show the newest version of each flow.",
    "show": "Show one reference.",
    "run": "Load a flow and run it, here.",
    "fetch": "Copy a flow's code into a folder, to look at.",
    "verify": "Check that a flow could be loaded here.",
    "diff": "Show what differs between two versions.",
    "rollback": "Make an older version the newest again.",
    "prune": "Remove old versions of a flow.",
    "copy": "Copy a flow into another storage or catalog.",
    "migrate": "Take over flows that another system stored.",
    "cache": "Show or prune what is kept on this machine.",
    "secrets": "Check that secrets are found.",
    "keys": "Make, trust and revoke the keys that sign flows.",
    "plugins": "Show storages and plugins, installed or available.",
    "doctor": "Check this installation, and say what to do.",
    "completion": "Print the script that completes commands in a shell.",
}
"""What help says of each; its command is ``command`` in ``flowhold.cli.commands.<name>``."""


class _App(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"flowhold.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [
            CompletionItem(name, help=summary)
            for name, summary in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def _show_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        session = ctx.ensure_object(Session)
        session.emit({"version": __version__})
        session.print(f"flowhold {__version__}")
        ctx.exit()


@click.group(
    cls=_App,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  flowhold register etl.py\n  flowhold run etl -p day=2024-01-01",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def app() -> None:
    """Keep workflows anywhere; load and run them from a small reference."""


app.params += common_options()


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit code: 0, 1, 2, or 130."""
    if instruction := os.environ.get(COMPLETE):
        return shell_complete(app, {}, "flowhold", COMPLETE, instruction)
    session = Session(arguments)
    try:
        with session.opened():
            code = _invoke(list(arguments), session)
        session.flush()
    except BrokenPipeError:
        return broken_pipe()
    return code


def _invoke(arguments: list[str], session: Session) -> int:
    try:
        context = app.make_context("flowhold", arguments, obj=session)
        if not arguments:
            click.echo(context.get_help(), err=True)
            raise click.UsageError("which command?", context)
        outcome: Any = app.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except BrokenPipeError:
        raise
    except BaseException as error:  # noqa: BLE001 (this is the one place that shows errors)
        if session.debug:
            show_traceback(error)
        failure = explain(error)
        session.fail(failure)
        return failure.code
    return outcome if isinstance(outcome, int) else 0
