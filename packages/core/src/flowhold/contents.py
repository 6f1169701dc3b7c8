"""A stored object as files in a folder, for people to look at; nothing of it is run."""

from __future__ import annotations

from pathlib import Path

from flowhold.bundles import read_entries, unpack
from flowhold.envelope import is_envelope, open_envelope

__all__ = ["PICKLE", "extract", "free_path", "pickle_in"]

PICKLE = "flow.pickle"
"""Name of the file that a pickle becomes; with underscores before it where it is taken."""


def extract(data: bytes, kind: str, file: str, folder: Path) -> None:
    """Write what a stored object holds below an empty folder.

    Args:
        data: The whole object, verified.
        kind: ``pickle``, ``script`` or ``bundle``.
        file: Name for the file of a script stored alone.
        folder: Where to write.

    Raises:
        IntegrityError: Its files are not what its header says.
        SerializationError: It is no stored flow of that kind.
    """
    if kind == "script":
        (folder / file).write_bytes(data)
        return
    if kind == "pickle" and not is_envelope(data):
        (folder / PICKLE).write_bytes(data)
        return
    envelope = open_envelope(data)
    if files := envelope.header.get("files"):
        entries = read_entries(files)
        unpack(envelope.files, entries, folder)
        for entry in entries:
            # Here they are for people, who may want to change them.
            (folder / entry.path).chmod(0o700 if entry.executable else 0o600)
    if envelope.kind == "pickle":
        free_path(folder, PICKLE).write_bytes(envelope.pickle)


def free_path(folder: Path, name: str) -> Path:
    """Return a path for a file beside those of the flow, which may have one of that name."""
    while (path := folder / name).exists():
        name = f"_{name}"
    return path


def pickle_in(folder: Path) -> Path:
    """Return where :func:`extract` wrote the pickle of a flow."""
    path = folder / PICKLE
    while (longer := folder / f"_{path.name}").exists():
        path = longer
    return path
