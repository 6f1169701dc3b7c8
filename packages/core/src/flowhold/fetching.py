"""A flow's code in a folder, to be looked at: verified, and nothing of it run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from flowhold.contents import free_path
from flowhold.errors import ConfigurationError, FlowholdError, StorageError
from flowhold.reference import Reference
from flowhold.trust import check_trust
from flowhold.writing import unused_name

__all__ = ["extract", "fetch"]

REFERENCE = "reference.json"


def extract(reference: Reference, folder: Path) -> None:
    """Write a flow's code into an empty folder.

    Raises:
        IntegrityError: The stored bytes are not those that were recorded.
        SignatureError: The settings ask for a signature that the reference does not have.
        StorageError: The code cannot be had; some storages have none to look at.
    """
    reference = check_trust(reference)
    reference.open_storage().extract(reference.flow, folder)


def fetch(reference: Reference, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a flow's code, and its reference as ``reference.json``, into a new or empty folder.

    Args:
        reference: What to fetch.
        folder: It gets everything, or nothing where this fails.

    Returns:
        The paths of the files, relative to ``folder``.

    Raises:
        ConfigurationError: ``folder`` is not empty, or not a folder.
        FlowholdError: As of :func:`extract`.
    """
    target = Path(os.path.abspath(folder))
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        problem = "is not empty" if target.is_dir() else "is not a folder"
        raise ConfigurationError(f"{target} {problem}", hint="name a new or empty folder")
    try:
        return _fetch(reference, target)
    except FlowholdError:
        raise
    except OSError as error:
        raise StorageError(
            f"{error.filename or target} cannot be written: {error.strerror}", hint="check the path"
        ) from error


def _fetch(reference: Reference, target: Path) -> list[Path]:
    # A folder that is there may be the working directory or a mount, so it is filled, not replaced.
    new = not target.exists()
    place = target.parent if new else target
    place.mkdir(parents=True, exist_ok=True)
    temporary = place / f".fetch-{unused_name()}"
    try:
        temporary.mkdir()
        extract(reference, temporary)
        last = free_path(temporary, REFERENCE)
        last.write_text(reference.to_json() + "\n", encoding="utf-8")
        paths = sorted(
            path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file()
        )
        if new:
            os.rename(temporary, target)
        else:
            for path in sorted(temporary.iterdir(), key=lambda path: path == last):
                os.rename(path, target / path.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return paths
