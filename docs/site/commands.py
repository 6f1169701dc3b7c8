"""Puts the help of every command on the page for it, as the command prints it."""

from __future__ import annotations

from collections.abc import Iterator

import click
from mkdocs.structure.pages import Page

from flowhold.cli.app import app

WIDTH = 80


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Add a section for each command to its page, and leave the others."""
    if page.file.src_uri != "reference-commands.md":
        return markdown
    return "\n".join([markdown, *map(_section, _contexts(app, "flowhold"))])


def _contexts(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[click.Context]:
    context = click.Context(
        command,
        parent,
        info_name=name,
        terminal_width=WIDTH,
        help_option_names=app.context_settings["help_option_names"],
    )
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            if found := command.get_command(context, below):
                yield from _contexts(found, below, context)


def _section(context: click.Context) -> str:
    return f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n"
