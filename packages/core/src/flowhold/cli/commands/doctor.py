"""``flowhold doctor``: what is wrong with this installation, and what to do."""

from __future__ import annotations

from flowhold.checking import Check
from flowhold.cli.checks import CHECKS
from flowhold.cli.command import as_command
from flowhold.cli.failures import explain
from flowhold.cli.session import Session


@as_command("flowhold doctor\nflowhold doctor --json")
def command(session: Session) -> int:
    """Check this installation: settings, catalog, storage, cache, plugins, keys and secrets.

    The exit code is 1 if a check failed. No value of a secret is shown.
    """
    checks = []
    for name, function in CHECKS.items():
        try:
            checks.append(Check(name, "ok", function()))
        except Exception as error:  # noqa: BLE001 (that is what is looked for)
            failure = explain(error)
            checks.append(Check(name, "fail", failure.message, failure.hint))
    return session.report(checks)
