"""From an exception to what is shown of it, and to the exit code: the one place that decides."""

from __future__ import annotations

import sys
import traceback
from dataclasses import asdict, dataclass, replace

import click

from flowhold import calls
from flowhold.environment import place
from flowhold.errors import ConfigurationError, FlowholdError
from flowhold.redaction import mask

__all__ = ["Failure", "Terminated", "describe", "explain", "outline", "show_traceback"]

_OPTIONS = {
    "allow_unverified=True": "--allow-unverified",
    "add_default_labels=False": "--no-default-labels",
    "overwrite=True": "-o overwrite=true",
    "stored_as_script=True": "--script",
}


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which programs ask a process to end."""


@dataclass(frozen=True)
class Failure:
    """What is shown of an error."""

    type: str
    message: str
    hint: str | None
    code: int

    def to_dict(self) -> dict[str, str | None]:
        """Return what programs see."""
        shown = asdict(self)
        del shown["code"]
        return shown


def explain(error: BaseException) -> Failure:
    """Return what is shown of an error that ended the command, without values of secrets."""
    found = _explain(error)
    return replace(found, message=mask(found.message), hint=found.hint and mask(found.hint))


def _explain(error: BaseException) -> Failure:
    kind = type(error).__name__
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "flowhold"
        return Failure("UsageError", error.format_message(), f"see `{path} --help`", 2)
    if isinstance(error, FlowholdError):
        hint = error.hint
        for option, flag in _OPTIONS.items():
            hint = hint and hint.replace(option, flag)
        return Failure(kind, str(error), hint, 2 if isinstance(error, ConfigurationError) else 1)
    if isinstance(error, Terminated):
        return Failure(kind, "asked to end", None, 143)
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return Failure("KeyboardInterrupt", "interrupted", None, 130)
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
        return Failure(kind, text, "check the path and its permissions", 1)
    hint = "run again with --debug for the traceback, and please report it"
    return Failure("InternalError", f"internal error: {describe(error)}", hint, 1)


def outline(error: BaseException) -> dict[str, str | None]:
    """Return what programs see of an error that a task raised."""
    hint = getattr(error, "hint", None)
    return {
        "type": type(error).__name__,
        "message": _placed(calls.text_of(error), error),
        "hint": mask(hint) if isinstance(hint, str) else None,
    }


def describe(error: BaseException) -> str:
    """Return an error's type, text, and place in the user's code."""
    return _placed(calls.describe(error), error)


def show_traceback(error: BaseException) -> None:
    """Print a traceback to stderr, without values of secrets."""
    if sys.stderr is not None:
        sys.stderr.write(mask("".join(traceback.format_exception(error))))


def _placed(text: str, error: BaseException) -> str:
    # A syntax error tells its place by itself.
    return text if isinstance(error, SyntaxError) else text + place(error)
