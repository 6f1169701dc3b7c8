"""Files that are on the disk under their names once written, as with `Local` storage."""

from __future__ import annotations

import os

__all__ = ["write"]


def write(path, data) -> None:
    """Write a file, give it its name, and wait for both to be on the disk."""
    with open(f"{path}.tmp", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.tmp", path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
