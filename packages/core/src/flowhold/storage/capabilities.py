"""What a storage can do, all in one list."""

from __future__ import annotations

import enum

__all__ = ["Capability"]


class Capability(enum.Enum):
    """What a storage can do; what it does not declare it refuses."""

    PICKLE = "pickle"
    """Keeps pickled flows."""
    SCRIPT = "script"
    """Keeps or finds scripts."""
    BUNDLE = "bundle"
    """Keeps a script with its files."""
    STORE = "store"
    """Writes flows; without it, it only finds what is there."""
    MANY_FLOWS = "many flows"
    """Holds several flows at once."""
    OVERWRITE = "overwrite"
    """Can replace an object."""
    CONDITIONAL_CREATE = "conditional create"
    """Of several writers of one key one wins."""
    LIST = "list"
    """Lists keys."""
    DELETE = "delete"
    """Removes objects."""
    REVISIONS = "revisions"
    """Finds a flow at a branch, tag or commit."""
    ENV_RUNNER = "env runner"
    """Runs a flow where it is stored, in a process that is told of by environment variables."""
    IMAGE = "image"
    """Keeps flows in an image, pinned by its digest."""
    SERIALIZES_FLOWS = "serializes flows"
    """``deserialize(serialize())`` still holds the flows."""
