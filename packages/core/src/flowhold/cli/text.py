"""Text that a terminal shows as it is: no control characters, lines and columns in order."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["columns", "one_line", "printable"]


def printable(text: str) -> str:
    """Return the text with control characters, which could drive a terminal, as escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def one_line(text: str) -> str:
    """Return printable text with every run of white space as one space."""
    return printable(" ".join(text.split()))


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines whose cells are aligned, two spaces between them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
