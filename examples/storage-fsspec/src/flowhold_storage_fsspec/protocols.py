"""How a file that is written gets its name, so that nobody sees the half of it: by protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowhold import Capability

Step = Callable[[Any, str, str], object]
"""Called with a file system, a file that is written, and the name that it shall have."""


def _set_default(fs: Any, written: str, name: str) -> None:
    if fs.store.setdefault(name, fs.store[written]) is not fs.store[written]:
        raise FileExistsError(name)


def _rename(fs: Any, written: str, name: str) -> None:
    try:
        fs.ftp.rename(written, name)  # which replaces nothing, unlike the posix_rename of mv
    except OSError as error:
        raise FileExistsError(name) if fs.exists(name) else error from None


def _move(fs: Any, written: str, name: str) -> None:
    fs.mv(written, name)


_STEPS: dict[str, tuple[Step | None, Step | None]] = {
    "file": (lambda fs, written, name: fs.link(written, name), _move),
    "memory": (_set_default, lambda fs, written, name: fs.cp_file(written, name)),
    "sftp": (_rename, _move),
    "smb": (_move, None),
}
"""The step that creates and the one that replaces; None where there is none that is atomic."""


def steps_of(url: str) -> tuple[Step | None, Step | None]:
    """Return what creates and what replaces; of unknown protocols only that moving replaces."""
    return _STEPS.get(url.partition("://")[0], (None, _move))


def powers_of(url: str, powers: frozenset[Capability]) -> frozenset[Capability]:
    """Return those of the powers that the protocol of a URL has."""
    steps = zip((Capability.CONDITIONAL_CREATE, Capability.OVERWRITE), steps_of(url), strict=True)
    return powers - {power for power, step in steps if step is None}
