"""The newest version of each flow that this machine has seen in a catalog.

``<data directory>/seen/<catalog>/<flow>/<version>`` are files; of several the highest counts. So
nothing has to be locked: whoever notes a version makes its file first and then removes lower ones,
and the highest is always there. Where the entry of a version was at hand, its etag and the entry
are in the file, which spares asking a service for it again.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from contextlib import suppress

from flowhold import settings
from flowhold.entries import DIGITS, name_in
from flowhold.errors import IntegrityError
from flowhold.writing import unused_name

__all__ = ["Seen"]

_KEPT = 64 << 10

_warned: set[str] = set()


class Seen:
    """What was seen in one catalog; where that cannot be kept, a warning says so once.

    Args:
        catalog: What the catalog is called, the same for all that use it on this machine.
    """

    def __init__(self, catalog: str) -> None:
        self.catalog = catalog
        name = hashlib.sha256(catalog.encode(errors="surrogateescape")).hexdigest()[:16]
        # Not where a project says: a project that is new here would have seen nothing.
        self.folder = settings.of_user().data_dir / "seen" / name
        self.active = settings.current().rollback_protection

    def newest(self, flow: str) -> int:
        """Return the highest version seen of a flow, by its name in the catalog's keys."""
        # What cannot be read cannot be noted either, which is when a warning says so.
        with suppress(OSError):
            if self.active:
                return max(map(_number, os.listdir(self.folder / flow)), default=0)
        return 0

    def note(self, flow: str, version: int) -> None:
        """Note that a version of a flow is there."""
        if not self.active:
            return
        place = self.folder / flow
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            (place / f"{version:0{DIGITS}}").touch()
            for name in os.listdir(place):
                if 0 < _number(name) < version:
                    with suppress(FileNotFoundError):
                        (place / name).unlink()
        except OSError as error:
            self._warn(error)

    def keep(self, flow: str, version: int, etag: str, entry: bytes) -> None:
        """Keep the entry of a version that was noted, unless it is large."""
        place = self.folder / flow
        path, temporary = place / f"{version:0{DIGITS}}", place / unused_name()
        with suppress(OSError):  # it is asked for again
            if self.active and len(entry) <= _KEPT and path.exists():
                temporary.write_bytes(b"%s\n%s" % (etag.encode(), entry))
                os.replace(temporary, path)

    def entry(self, flow: str, version: int, etag: str) -> bytes | None:
        """Return the entry that was kept of a version, if it has that etag."""
        with suppress(OSError):
            if self.active:
                data = (self.folder / flow / f"{version:0{DIGITS}}").read_bytes()
                kept, _, entry = data.partition(b"\n")
                return entry if kept == etag.encode() else None
        return None

    def check(self, flow: str, seen: int, newest: int) -> None:
        """Refuse a newest version that is older than one seen before it was looked for.

        Raises:
            IntegrityError: It is; the catalog was set back, by whomever.
        """
        if newest < seen:
            state = f"its newest is {newest} now" if newest else "it has none now"
            raise IntegrityError(
                f"the catalog {self.catalog} had version {seen} of {name_in(flow)!r}, and {state}",
                location=flow,
                hint=f"an older one is loaded as NAME@VERSION; if the catalog was restored or made "
                f"anew on purpose, remove {self.folder / flow}",
            )

    def _warn(self, error: OSError) -> None:
        text = f"{self.folder}: {error.strerror}"
        if text not in _warned:
            _warned.add(text)
            warnings.warn(
                f"which versions were seen cannot be kept in {text}; so a catalog that is set back "
                f"goes unnoticed",
                stacklevel=4,
            )


def _number(name: str) -> int:
    return int(name) if len(name) == DIGITS and name.isascii() and name.isdigit() else 0
