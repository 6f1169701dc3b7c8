"""The newest version of each flow that this machine has seen in a catalog.

``<data directory>/seen/<catalog>/<flow>/<version>`` are files; of several the highest counts. So
nothing has to be locked: whoever notes a version makes its file first and then removes lower ones,
and the highest is always there. Where the entry of a version was at hand, its etag and the entry
are in the file, which spares asking for it again.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from contextlib import suppress

from flowhold import settings
from flowhold.entries import DIGITS, name_in
from flowhold.errors import IntegrityError

__all__ = ["Seen"]

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

    def note(self, flow: str, version: int, etag: str | None = None, entry: str = "") -> None:
        """Note that a version of a flow is there.

        Args:
            flow: Its name in the catalog's keys.
            version: Which.
            etag: Of its entry, where it is known.
            entry: The entry.
        """
        if not self.active:
            return
        place = self.folder / flow
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Appended to, so that nothing is lost that another process has noted.
            with open(place / f"{version:0{DIGITS}}", "ab") as file:
                file.write(f"{etag}\n{entry}".encode() if etag and not file.tell() else b"")
            for name in os.listdir(place):
                if 0 < _number(name) < version:
                    with suppress(FileNotFoundError):
                        (place / name).unlink()
        except OSError as error:
            self._warn(error)

    def entry(self, flow: str, version: int, etag: str | None) -> bytes | None:
        """Return the entry that was noted with a version, if it has that etag; perhaps cut off."""
        with suppress(OSError):
            if self.active and etag:
                data = (self.folder / flow / f"{version:0{DIGITS}}").read_bytes()
                noted, _, entry = data.partition(b"\n")
                return entry if noted == etag.encode() else None
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
