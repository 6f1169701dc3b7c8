"""``python -m flowhold`` is the command ``flowhold``."""

from __future__ import annotations

from flowhold.cli import main

if __name__ == "__main__":
    main()
