"""``flowhold register``: store the flows of a script or module and add them to the catalog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from flowhold import environment, plugins, project, settings, trees
from flowhold.cli.command import (
    as_command,
    catalog_option,
    complete_files,
    complete_storages,
    sign_option,
)
from flowhold.cli.lines import line
from flowhold.cli.session import Session
from flowhold.cli.storage_options import parse_options
from flowhold.registering import default_storage, register_all
from flowhold.selection import find_flow, flows_in, import_named, split_target
from flowhold.signing import as_signer
from flowhold.storage.base import Storage
from flowhold.storage.capabilities import Capability
from flowhold.storage.documents import option_parameters


@as_command(
    """\
flowhold register etl.py
flowhold register etl.py:nightly --storage s3 -o bucket=flows -l gpu
flowhold register etl.py --script -o include=helpers/,rates.csv
flowhold register -m company.flows"""
)
@click.argument("target", metavar="FILE[:FLOW]", required=False, shell_complete=complete_files)
@click.option("-m", "module", metavar="MODULE[:FLOW]", help="A module that can be imported.")
@click.option(
    "--storage",
    metavar="NAME",
    shell_complete=complete_storages,
    help="Where to store; default: the flow's own.",
)
@click.option("--script/--pickle", "script", default=None, help="Store the script, or a pickle.")
@click.option(
    "-o", "options", metavar="KEY=VALUE", multiple=True, help="Option of the storage; repeatable."
)
@click.option("-l", "--label", "labels", multiple=True, help="Where it may run; repeatable.")
@click.option("--no-default-labels", is_flag=True, help="Leave out the storage's own labels.")
@click.option("--force", is_flag=True, help="Add a version even if nothing changed.")
@sign_option
@catalog_option
def command(
    session: Session,
    target: str | None,
    module: str | None,
    storage: str | None,
    script: bool | None,
    options: Sequence[str],
    labels: Sequence[str],
    no_default_labels: bool,
    force: bool,
    sign: Sequence[str],
    catalog: str | None,
) -> None:
    """Store flows and add them to the catalog.

    All flows of FILE or MODULE, or the one that FLOW names: by its name, or by the attribute that
    holds it or is a function that makes it. A flow that did not change adds no version, unless
    it is to be signed with a key that has not signed it.

    A flow's own storage is used; --storage, --script, --pickle and -o replace it. Flows of
    a MODULE stay where they are, unless one of these is given.
    """
    if (target is None) == (module is None):
        raise click.UsageError("give either FILE[:FLOW] or -m MODULE[:FLOW]")
    signer = as_signer(sign)
    name, wanted = split_target(target or module or "")
    with ExitStack() as stack:
        if target is not None:
            path = Path(name).absolute()
            stack.enter_context(project.registering(path))
            load, where = trees.open_folder(path).load, f"the script {path.name}"
        else:
            load, where = (lambda: import_named(name)), f"the module {name}"
        source, flows = _load(load, wanted, where)
        file = getattr(source, "__file__", None)
        if target is None and file:
            stack.enter_context(project.registering(Path(file)))
        chosen = None
        extra = {"add_default_labels": False} if no_default_labels else {}
        if storage is not None or script is not None or options:
            known = {"module": module, "local_script_path": file or name}
            chosen = _storage(storage, script, options, known, labels, extra)
        elif module is not None:
            kept = module if wanted not in flows_in(source) else name
            chosen = default_storage("module", module=kept, labels=labels, **extra)
        else:
            for flow in flows:
                _label(flow, labels, no_default_labels)
        # Of several flows a progress bar tells.
        with session.busy("storing") if len(flows) == 1 else nullcontext():
            done = register_all(flows, catalog=catalog, storage=chosen, force=force, sign=signer)
    session.emit([{**each.reference.to_dict(), "unchanged": each.unchanged} for each in done])
    for each in done:
        word = "unchanged" if each.unchanged else "registered"
        session.print(line(word, each.reference))


def _load(
    load: Callable[[], ModuleType], wanted: str | None, where: str
) -> tuple[ModuleType, list[Any]]:
    """Return the module, and its flows or the one that is wanted."""
    with environment.explained(None, where):
        with trees.loading_code():
            module = load()
        if wanted is not None:
            return module, [find_flow(module, target=wanted, where=where)]
        flows = [find_flow(module, name, where=where) for name in flows_in(module)]
        return module, flows or [find_flow(module, where=where)]


def _storage(
    name: str | None,
    script: bool | None,
    given: Sequence[str],
    known: dict[str, str | None],
    labels: Sequence[str],
    extra: dict[str, Any],
) -> Storage:
    """Return the storage of the command line; ``known`` are options that need not be given."""
    name = name or settings.current().storage
    cls = plugins.storage_class(name)
    options = {**parse_options(name, cls, given), **extra}
    if script is not None:
        needed = Capability.SCRIPT if script else Capability.PICKLE
        if needed not in cls.capabilities:
            raise click.UsageError(f"{name} storage does not keep a {needed.value}")
        options["stored_as_script"] = script
    if not options.get("stored_as_script") or "path" in options:
        del known["local_script_path"]
    for option, value in known.items():
        if value is not None and option in option_parameters(cls):
            options.setdefault(option, value)
    options["labels"] = [*options.get("labels", ()), *labels]
    return default_storage(name, **options)


def _label(flow: Any, labels: Sequence[str], no_default_labels: bool) -> None:
    """Add what the command line says of labels to the flow's own storage."""
    if not labels and not no_default_labels:
        return
    own = getattr(flow, "storage", None)
    if not isinstance(own, Storage):
        own = flow.storage = default_storage()
    own._labels = sorted({*own._labels, *labels})
    own.add_default_labels = own.add_default_labels and not no_default_labels
