"""What all commands have in common: their class, shared options, and arguments that complete."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click
from click.shell_completion import CompletionItem

from flowhold.cli.session import Session

__all__ = [
    "as_command",
    "catalog_option",
    "common_options",
    "complete_files",
    "complete_flows",
    "complete_storages",
]


def _set(name: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            setattr(ctx.ensure_object(Session), name, True)

    return callback


def common_options() -> list[click.Parameter]:
    """Return ``--json`` and ``--debug``; the session of the run knows what they are."""
    texts = {
        "json": "Print one JSON document, and nothing else, on standard output.",
        "debug": "Show the traceback of an error.",
    }
    return [
        click.Option(
            [f"--{name}"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_set(name),
            help=text,
        )
        for name, text in texts.items()
    ]


def as_command(example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command that has the common options and is called with the session.

    Args:
        example: Command lines shown below its help.
    """

    def decorate(function: Callable[..., Any]) -> click.Command:
        lines = "\n".join(f"  {line}" for line in example.splitlines())
        command = click.command(epilog=f"\b\nExample:\n{lines}")(click.pass_obj(function))
        command.params += common_options()
        return command

    return decorate


catalog_option = click.option(
    "--catalog", metavar="URL", help="URL or path of the catalog, in place of the setting's."
)


def complete_flows(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the flows, or behind an ``@`` the versions, that begin like this."""
    with suppress(Exception):  # a shell is no place for errors
        from flowhold.catalog import Catalog

        catalog = Catalog(ctx.params.get("catalog"))
        flow, at, _ = incomplete.rpartition("@")
        versions = (f"{flow}@{version}" for version in catalog.versions(flow)) if at else ()
        names = versions if at else catalog.names()
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return []


def complete_files(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Let the shell complete the names of files."""
    return [CompletionItem(incomplete, type="file")]


def complete_storages(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the installed storages that begin like this."""
    with suppress(Exception):
        from flowhold import plugins

        usable = ("built-in", "installed")
        rows = [row for row in plugins.listing() if row["kind"] == "storage"]
        names = [row["name"] for row in rows if row["status"] in usable]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return []
