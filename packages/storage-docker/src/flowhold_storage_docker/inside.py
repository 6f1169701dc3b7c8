"""What a process finds that runs in an image: references to the flows in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flowhold.errors import FlowholdError
from flowhold.reference import Reference
from flowhold.storage.records import Record

__all__ = ["references_inside", "same_flow"]


def references_inside(directory: str) -> Iterator[Reference]:
    """Yield the references in the folder of flows of the image that this process runs in.

    There are none where it runs in no image.
    """
    for path in sorted(Path(directory).glob("*.json")):
        try:
            yield Reference.from_json(path.read_bytes())
        except (OSError, FlowholdError):
            continue


def same_flow(directory: str, name: str | None, record: Record) -> Reference | None:
    """Return the reference in the image to the flow of a record; None where it is not there.

    What has no digest could be anything that is at that path, so that it is never the same.
    """
    if record.sha256 is None:
        return None
    return next(
        (
            found
            for found in references_inside(directory)
            if name in (None, found.flow)
            and (found.location, found.sha256) == (record.location, record.sha256)
        ),
        None,
    )
