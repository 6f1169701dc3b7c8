"""What is said of a reference in one line."""

from __future__ import annotations

from flowhold.cli.text import printable
from flowhold.reference import Reference
from flowhold.signing import signed_by

__all__ = ["line"]


def line(word: str, reference: Reference) -> str:
    """Return what was done, and with which flow: its version, kind, place, size and labels."""
    kind, storage = reference.kind, reference.storage["type"]
    facts = [kind if kind == storage else f"{kind} in {storage}"]
    if reference.size is not None:
        facts.append(f"{reference.size:,} bytes")
    facts.append(reference.state)
    if reference.labels:
        facts.append(f"labels {', '.join(reference.labels)}")
    if signers := signed_by(reference):
        facts.append(f"signed by {signers}")
    version = "" if reference.version is None else f"@{reference.version}"
    return printable(f"{word} {reference.flow}{version} ({', '.join(facts)})")
