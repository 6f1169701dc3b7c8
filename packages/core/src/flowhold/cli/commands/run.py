"""``flowhold run``: load a flow and run it in this process or on an executor."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from flowhold.cli import collect_as_usual
from flowhold.cli.command import as_command, catalog_option, complete_files, complete_flows
from flowhold.cli.executors import open_executor, parse_executor
from flowhold.cli.failures import Failure, describe, outline, show_traceback
from flowhold.cli.session import Session
from flowhold.errors import FlowholdError
from flowhold.labels import check_host
from flowhold.loading import find_reference, load_from, load_script, open_reference
from flowhold.reference import Reference
from flowhold.running import FlowRun

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from click.shell_completion import CompletionItem


def _complete(ctx: click.Context, parameter: click.Parameter, text: str) -> list[CompletionItem]:
    # Files first: the shell forgets what came before them, and falls back on them by itself.
    return [*complete_files(ctx, parameter, text), *complete_flows(ctx, parameter, text)]


@as_command(
    """\
flowhold run etl
flowhold run etl@3 -p day=2024-01-01 -p 'towns=["Bern", "Oslo"]' --executor processes:4
flowhold run etl.py:nightly"""
)
@click.argument("target", metavar="NAME[@VERSION]|FILE[:FLOW]|REF.json", shell_complete=_complete)
@click.option(
    "-p",
    "parameters",
    metavar="KEY=VALUE",
    multiple=True,
    help="Parameter of the flow, as JSON or else as text; repeatable.",
)
@click.option(
    "--executor",
    callback=parse_executor,
    metavar="KIND:N",
    help="threads:4, processes:4 or dask:ADDRESS; default: one task after another.",
)
@click.option(
    "-e",
    "--env",
    "variables",
    metavar="NAME[=VALUE]",
    multiple=True,
    help="Variable for a flow that runs in a container; without VALUE as it is here; repeatable.",
)
@click.option("--any-host", is_flag=True, help="Run even if its label names another host.")
@click.option("--allow-unverified", is_flag=True, help="Run bytes of which no digest is recorded.")
@catalog_option
def command(
    session: Session,
    target: str,
    parameters: Sequence[str],
    executor: tuple[str, str] | None,
    variables: Sequence[str],
    any_host: bool,
    allow_unverified: bool,
    catalog: str | None,
) -> int:
    """Load a flow and run it, here; a flow in an image is run in a container of it.

    The flow is a version in the catalog, by default the newest; or one of a script; or that of a
    reference in a .json file. The exit code is 1 if it failed.
    """
    values = _parameters(parameters)
    environment = _variables(variables)
    found = find_reference(target, catalog=catalog)
    version = None
    runner = None
    if isinstance(found, Reference):
        version = found.version
        if not any_host:
            check_host(found)
        trusted, storage = open_reference(found)
        runner = storage.get_env_runner(trusted.flow)
    if runner is None and environment:
        raise click.BadParameter(
            "this flow runs in this process, which has its variables already", param_hint="--env"
        )
    if runner is not None:
        outcome = runner.run(environment, values, executor and ":".join(executor).rstrip(":"))
    else:
        if isinstance(found, Reference):
            flow = load_from(trusted, storage, allow_unverified=allow_unverified)
        else:
            flow = load_script(found)
        with open_executor(executor) as workers:
            outcome = _run(flow, values, workers)
    session.emit(_document(outcome, version))
    _show(session, outcome)
    return 0 if outcome.state == "success" else 1


def _variables(given: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for item in given:
        name, separator, text = item.partition("=")
        if not name or (not separator and name not in os.environ):
            raise click.BadParameter(f"there is no variable {name!r} here", param_hint="--env")
        values[name] = text if separator else os.environ[name]
    return values


def _parameters(given: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for item in given:
        name, separator, text = item.partition("=")
        if not separator or not name:
            raise click.BadParameter(f"{item!r} is not KEY=VALUE", param_hint="-p")
        if name in values:
            raise click.BadParameter(f"parameter {name!r} is given twice", param_hint="-p")
        try:
            values[name] = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            values[name] = text
    return values


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _run(flow: Any, parameters: dict[str, Any], executor: Executor | None) -> FlowRun:
    """Run any flow; what is not Flowhold's own may raise, or return a bare value."""
    options = {"parameters": parameters, "executor": executor}
    collect_as_usual()
    try:
        outcome = flow.run(**{name: value for name, value in options.items() if value})
    except FlowholdError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 (it is what became of the flow)
        return FlowRun(flow.name, "failed", error=error)
    return outcome if isinstance(outcome, FlowRun) else FlowRun(flow.name, "success", outcome)


def _document(outcome: FlowRun, version: int | None) -> dict[str, Any]:
    return {
        "flow": outcome.flow,
        "version": version,
        "state": outcome.state,
        "result": _value(outcome.result),
        "tasks": {
            name: {"state": task.state, "error": _outline(task.error)}
            for name, task in outcome.tasks.items()
        },
        "error": _outline(outcome.error),
    }


def _outline(error: BaseException | None) -> dict[str, str | None] | None:
    return None if error is None else outline(error)


def _value(value: Any) -> Any:
    """Return the value if it is JSON, else its ``repr``."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except Exception:  # noqa: BLE001 (values of any making)
        return _repr(value)


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001
        return f"<{type(value).__name__} whose repr fails>"


def _show(session: Session, outcome: FlowRun) -> None:
    errors = [task.error for task in outcome.tasks.values() if task.error is not None]
    rows = [
        {"task": task.name, "state": task.state}
        # Of one error the last line tells.
        | ({"error": describe(task.error) if task.error else ""} if len(errors) > 1 else {})
        for task in outcome.tasks.values()
    ]
    if rows:
        session.table(rows, beside=True)
    if outcome.state == "success":
        if outcome.result is not None:
            result = outcome.result
            session.print(result if isinstance(result, str) else _repr(result))
        return
    error = outcome.error or FlowholdError("it does not say why")
    if session.debug:
        show_traceback(error)
    failed = next((name for name, task in outcome.tasks.items() if task.error is error), None)
    what = f"flow {outcome.flow!r}" if failed is None else f"task {failed!r} of {outcome.flow!r}"
    seen = outline(error)
    message = f"{what} failed: {describe(error)}"
    session.complain(Failure(str(seen["type"]), message, seen["hint"], 1))
