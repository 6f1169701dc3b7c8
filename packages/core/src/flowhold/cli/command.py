"""What all commands have in common: their class, shared options, and arguments that complete."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from flowhold.cli.session import Session

if TYPE_CHECKING:
    from flowhold.catalog import Catalog
    from flowhold.reference import Reference

__all__ = [
    "Group",
    "as_command",
    "as_group",
    "catalog_option",
    "common_options",
    "complete_files",
    "complete_flows",
    "complete_storages",
    "find",
    "flow_argument",
    "sign_option",
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


def as_command(
    example: str, **commands: click.Command
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command that has the common options and is called with the session.

    Args:
        example: Command lines shown below its help.
        **commands: By name, commands of its own; the function is called where none is given.
    """

    def decorate(function: Callable[..., Any]) -> click.Command:
        @wraps(function)
        def call(session: Session, **options: Any) -> Any:
            if click.get_current_context().invoked_subcommand is None:
                return function(session, **options)
            return None

        if commands:
            command: click.Command = click.command(
                cls=Group,
                commands=commands,
                invoke_without_command=True,
                epilog=_epilog(example),
            )(click.pass_obj(call))
        else:
            command = click.command(epilog=_epilog(example))(click.pass_obj(function))
        command.params += common_options()
        return command

    return decorate


def as_group(text: str, example: str, **commands: click.Command) -> click.Command:
    """Return a command that has commands of its own, with the common options.

    Args:
        text: What its help says.
        example: Command lines shown below its help.
        **commands: By name.
    """
    group = Group(
        commands=commands,
        help=text,
        epilog=_epilog(example),
        no_args_is_help=False,
    )
    group.params += common_options()
    return group


class Group(click.Group):
    """Commands by name; a name that is none is told with those that are like it."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return name, command and its arguments."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(name, known, n=2)
            said = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
            raise click.UsageError(f"there is no command {name[:60]!r}; {said}", ctx)
        return super().resolve_command(ctx, args)


def _epilog(example: str) -> str:
    lines = "\n".join(f"  {line}" for line in example.splitlines())
    return f"\b\nExample:\n{lines}"


catalog_option = click.option(
    "--catalog", metavar="URL", help="URL or path of the catalog, in place of the setting's."
)


def _complete_keys(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    with suppress(Exception):
        from flowhold import keyring

        return [
            CompletionItem(key.name) for key in keyring.own() if key.name.startswith(incomplete)
        ]
    return []


sign_option = click.option(
    "--sign",
    metavar="KEY",
    multiple=True,
    shell_complete=_complete_keys,
    help="Sign with this key, a name or the path of a private key; repeatable.",
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


flow_argument = click.argument(
    "name", metavar="NAME[@VERSION]|REF.json", shell_complete=complete_flows
)


def find(name: str, catalog: Catalog | str | None) -> Reference:
    """Return the reference that an argument names: a version of a flow, or a ``.json`` file."""
    from flowhold.loading import find_reference

    found = find_reference(name, catalog=catalog)
    if isinstance(found, str):
        raise click.BadParameter(
            f"{name!r} is a script, not a registered flow", param_hint="NAME[@VERSION]"
        )
    return found


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
