"""Where the code of a flow comes from, for people who look at its image."""

from __future__ import annotations

import os
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
    for folder in Path(os.path.abspath(script)).parents:
        config = folder / ".git" / "config"
        try:
            found = _REMOTE.search(config.read_text(encoding="utf-8"))
        except NotADirectoryError:
            return None
        except (OSError, UnicodeDecodeError):
            continue
        return _public(found[1]) if found else None
    return None


def _public(url: str) -> str | None:
    """Return a URL without what may be secret; None for what is a folder of this machine."""
    scheme, separator, rest = url.partition("://")
    if separator:
        # A password may have an @ in it.
        host, slash, path = re.split("[?#]", rest, maxsplit=1)[0].partition("/")
        return None if scheme == "file" else f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    return url if re.fullmatch(r"[\w.-]+@[\w.-]+:[^:]+", url) else None
