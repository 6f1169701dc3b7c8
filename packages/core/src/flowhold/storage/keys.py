"""Keys of stored flows: a slug of the name and a time, or what a template says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from flowhold.reference import now
from flowhold.store import check_key

__all__ = ["DEFAULT_KEY", "file_name", "make_key", "slug", "timestamp"]

DEFAULT_KEY = "{slug}/{timestamp}"
_LONGEST = 255  # bytes of the name of a file
_MARK = re.compile(r"\{(?:slug|name|timestamp|sha256)\}")
_IN_TIMES = str.maketrans(":.+T", "---t")


@lru_cache(maxsize=1024)
def slug(name: str) -> str:
    """Return a flow's name as a part of a key; a digest where nothing of it is left."""
    from slugify import slugify

    return (
        slugify(name)[:100]
        or f"flow-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:12]}"
    )


def timestamp() -> str:
    """Return the present time, in UTC, as it is written in keys."""
    return now().translate(_IN_TIMES)


def file_name(location: str, name: str | None) -> str:
    """Return the name for the file of a flow's script."""
    last = location.replace("\\", "/").rpartition("/")[2]
    fits = last.isprintable() and ":" not in last and len(last.encode()) <= _LONGEST
    return last if last.endswith(".py") and fits else f"{slug(name or 'flow')}.py"


def make_key(template: str, name: str, sha256: str) -> str:
    """Return the key of a template; values are put in literally.

    Raises:
        ConfigurationError: The outcome cannot be a key.
    """
    values: Mapping[str, Callable[[], str]] = {
        "{slug}": lambda: slug(name),
        "{name}": lambda: name,
        "{timestamp}": timestamp,
        "{sha256}": lambda: sha256,
    }
    return check_key(_MARK.sub(lambda found: values[found[0]](), template))
