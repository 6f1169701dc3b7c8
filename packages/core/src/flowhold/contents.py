"""A stored object as files in a folder, for people to look at; nothing of it is run."""

from __future__ import annotations

from pathlib import Path

from flowhold.bundles import read_entries, unpack
from flowhold.envelope import is_envelope, open_envelope

__all__ = ["PICKLE", "extract"]

PICKLE = "flow.pickle"
"""Name of the file that a pickle becomes."""


def extract(data: bytes, kind: str, file: str, folder: Path) -> None:
    """Write what a stored object holds below an empty folder.

    Args:
        data: The whole object, verified.
        kind: ``pickle``, ``script`` or ``bundle``.
        file: Name for the file of a script stored alone.
        folder: Where to write.

    Raises:
        IntegrityError: Its files are not what its header says.
    """
    if kind == "script":
        (folder / file).write_bytes(data)
        return
    if not is_envelope(data):
        (folder / PICKLE).write_bytes(data)
        return
    envelope = open_envelope(data)
    if files := envelope.header.get("files"):
        unpack(envelope.files, read_entries(files), folder)
    if envelope.kind == "pickle":
        (folder / PICKLE).write_bytes(envelope.pickle)
