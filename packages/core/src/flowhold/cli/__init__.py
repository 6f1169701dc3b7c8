"""The command ``flowhold``: a thin layer over the library, for people and for programs."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of this process, then exit."""
    from flowhold.cli.app import run

    arguments = sys.argv[1:]
    code = run(arguments)
    if "--json" in arguments and sys.stderr is not None:
        # The document is out; what is printed while Python exits must not come behind it.
        os.dup2(2, 1)
    sys.exit(code)
