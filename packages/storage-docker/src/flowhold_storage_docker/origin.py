"""Where the code of a flow comes from, for people who look at its image."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["source_of"]

_REMOTE = re.compile(
    r'^\[remote "origin"\]\s*$(?:\n(?!\[).*)*?\n\s*url\s*=\s*(\S+)\s*$', re.MULTILINE
)


def source_of(script: Path | None) -> str | None:
    """Return the URL of the git repository that a script is in, without a login; None if none."""
    if script is None:
        return None
    for folder in script.absolute().parents:
        config = folder / ".git" / "config"
        try:
            found = _REMOTE.search(config.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
        return re.sub(r"//[^/@]*@", "//", found[1]) if found else None
    return None
