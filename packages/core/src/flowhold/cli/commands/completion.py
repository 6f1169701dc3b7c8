"""``flowhold completion``: the script by which a shell completes commands and names of flows."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from flowhold.cli.app import COMPLETE, app
from flowhold.cli.command import as_command
from flowhold.cli.session import Session


@as_command(
    """\
flowhold completion bash > ~/.local/share/bash-completion/completions/flowhold
flowhold completion zsh > ~/.zfunc/_flowhold
flowhold completion fish > ~/.config/fish/completions/flowhold.fish"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(session: Session, shell: str) -> None:
    """Print the script that completes commands, options, flows and storages in a shell."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 (one of the choices)
    script = kind(app, {}, "flowhold", COMPLETE).source()
    session.emit({"shell": shell, "script": script})
    session.print(script)
