"""One run of the command: what it says to people, and what it says to programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from flowhold.cli import streams
from flowhold.cli.text import columns, one_line, printable
from flowhold.settings import BOOLS

if TYPE_CHECKING:
    from flowhold.checking import Check
    from flowhold.cli.failures import Failure

__all__ = ["Session"]

_NOTHING = object()


class Session:
    """How this run speaks.

    Args:
        arguments: Of the command line. Only a first guess is taken from them, which also holds
            where they turn out to be wrong.
    """

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        options = [*arguments]
        if "--" in options:
            del options[options.index("--") :]
        self.json = "--json" in options
        wanted = os.environ.get("FLOWHOLD_DEBUG", "").strip().lower()
        self.debug = "--debug" in options or BOOLS.get(wanted, bool(wanted))
        self._document: Any = _NOTHING

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep stdout for the document, and show warnings and logs in one line each."""
        with ExitStack() as stack:
            if self.json:
                stack.enter_context(streams.stdout_to_stderr())
            stack.enter_context(streams.messages(self.warn, self.note))
            yield

    def emit(self, document: Any) -> None:
        """Set the JSON document of this run."""
        self._document = document

    def flush(self) -> None:
        """Write what is still to be written to stdout."""
        if self.json and self._document is not _NOTHING and sys.stdout is not None:
            # Of ASCII, so that no locale can be in the way.
            sys.stdout.write(json.dumps(self._document, indent=2) + "\n")
        if sys.stdout is not None:
            sys.stdout.flush()

    def print(self, text: str) -> None:
        """Print text as it is for people."""
        if not self.json:
            _write(sys.stdout, text)

    def note(self, text: str) -> None:
        """Print a line beside the output."""
        _write(sys.stderr, one_line(text))

    def warn(self, text: str) -> None:
        """Print a warning."""
        self._tell("warning", "33", text)

    def fail(self, failure: Failure) -> None:
        """Show the error that ended the run: in a line or two, or as the document."""
        if self.json:
            self.emit({"error": failure.to_dict()})
        self.complain(failure)

    def complain(self, failure: Failure) -> None:
        """Show an error to people; programs find it in the document."""
        if self.json:
            return
        if sys.stdout is not None:
            sys.stdout.flush()
        self._tell("error", "31", failure.message)
        if failure.hint and failure.hint not in failure.message:
            self._tell("hint", "36", failure.hint)

    def table(self, rows: Sequence[Mapping[str, Any]], *, beside: bool = False) -> None:
        """Print rows that have the same keys: a table on a terminal, aligned lines elsewhere.

        Args:
            rows: At least one; the keys are the headings.
            beside: Print to stderr unless stdout is a terminal.
        """
        if self.json:
            return
        cells = [[printable(_cell(value)) for value in row.values()] for row in rows]
        if self.is_terminal:
            from rich.console import Console
            from rich.table import Table
            from rich.text import Text

            table = Table(box=None, pad_edge=False)
            for heading in rows[0]:
                # A path or digest that is cut off can be neither read nor copied.
                table.add_column(heading, overflow="fold")
            for row in cells:
                table.add_row(*map(Text, row))
            Console(file=sys.stdout).print(table)
            return
        for line in columns([list(rows[0]), *cells]):
            _write(sys.stderr if beside else sys.stdout, line)

    def report(self, checks: Sequence[Check]) -> int:
        """Show checks, and return the exit code: 1 if one failed."""
        good = all(check.status != "fail" for check in checks)
        self.emit({"ok": good, "checks": [check.to_dict() for check in checks]})
        self.table(
            [
                {
                    "": check.status,
                    "check": check.name,
                    "detail": "; ".join(filter(None, (check.detail, check.hint))),
                }
                for check in checks
            ]
        )
        return 0 if good else 1

    @property
    def is_terminal(self) -> bool:
        """Whether people see what is printed, as it is printed."""
        return not self.json and sys.stdout is not None and sys.stdout.isatty()

    @contextmanager
    def busy(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show on a terminal that something is going on; yields what shows another text."""
        with ExitStack() as stack:
            update: Callable[[str], None] = lambda _text: None  # noqa: E731
            if self.is_terminal and sys.stderr is not None and sys.stderr.isatty():
                from rich.console import Console
                from rich.text import Text

                status = stack.enter_context(Console(stderr=True).status(Text(printable(text))))
                update = lambda text: status.update(Text(printable(text)))  # noqa: E731
            yield update

    def _tell(self, word: str, colour: str, text: str) -> None:
        head = f"{word}:"
        if sys.stderr is not None and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
            head = f"\033[{colour}m{head}\033[0m"
        _write(sys.stderr, f"{head} {one_line(text)}")


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(f"{text}\n")
    except UnicodeEncodeError as error:
        stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding) + "\n")
    stream.flush()


def _cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
