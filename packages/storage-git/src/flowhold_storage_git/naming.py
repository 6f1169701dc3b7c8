"""Names that people give of repositories, branches, tags and commits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from flowhold.errors import ConfigurationError

__all__ = ["candidates", "check_ref", "check_repository"]

_KINDS = ("heads", "tags")


def candidates(ref: str) -> Iterator[tuple[str, str]]:
    """Yield what a ref may be, as kind (heads, tags, commits) and name, the first choice first."""
    for kind in _KINDS:
        if ref.startswith(f"refs/{kind}/"):
            yield kind, ref.removeprefix(f"refs/{kind}/")
            return
    for kind in _KINDS:
        yield kind, ref
    if re.fullmatch("[0-9a-fA-F]{4,40}", ref):
        yield "commits", ref.lower()


def check_repository(repo: Any, *, parts: int | None = None) -> str:
    """Return the name of a repository.

    Args:
        repo: The name.
        parts: Of how many it has to be, with ``/`` between; default: one or more.

    Raises:
        ConfigurationError: It is none.
    """
    found = repo.split("/") if isinstance(repo, str) else [""]
    wrong = any(part in ("", ".", "..") or ":" in part for part in found)
    if wrong or len(found) != (parts or len(found)):
        wanted = "OWNER/NAME" if parts == 2 else "its name, without a host or a slash at its ends"
        raise ConfigurationError(f"{repo!r} is not a repository", hint=f"write {wanted}")
    return str(repo)


def check_ref(ref: Any) -> str | None:
    """Return the name of a branch, tag or commit; raise ConfigurationError where it is none."""
    # These no name of git's may hold; forges would take some for more than a name.
    wrong = r"[\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]|\.\.|@\{|//|^/|[/.]$|^@$|(?:^|/)\."
    if ref is None or (isinstance(ref, str) and ref and not re.search(wrong, ref)):
        return ref
    raise ConfigurationError(
        f"{json.dumps(ref, default=repr)} is not the name of a branch, tag or commit"
    )
