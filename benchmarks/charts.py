"""Charts as SVG: how our value stands to each other's, on a scale where twice is as far as half."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from rows import Row

__all__ = ["chart"]

WIDTH, LEFT, RIGHT, LINE, TOP = 960, 520, 60, 22, 34
LEAST, MOST = 1 / 32, 4
GOOD, BAD, PLAIN = "#2e8b57", "#c0392b", "#5b7fa6"
TICKS = {1 / 32: "1/32", 1 / 8: "1/8", 1 / 2: "1/2", 1: "1", 2: "2", 4: "4"}


def chart(rows: Sequence[Row]) -> str:
    """Return a bar for each comparison; left of 1 ours is less, and a black mark is the goal."""
    bars = [(row.measure, each) for row in rows for each in row.comparisons() if each.ratio]
    height = TOP + LINE * len(bars) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(8, 18, "ours / theirs"),
    ]
    for ratio, label in TICKS.items():
        x = _x(ratio)
        parts.append(
            f'<line x1="{x}" x2="{x}" y1="{TOP - 8}" y2="{height - 8}" '
            f'stroke="{"#333" if ratio == 1 else "#ddd"}"/>{_text(x, 18, label, "middle")}'
        )
    for number, (measure, each) in enumerate(bars):
        y = TOP + LINE * number
        colour = PLAIN if each.met is None else GOOD if each.met else BAD
        start, end = sorted((_x(1), _x(each.ratio)))
        parts.append(_text(LEFT - 10, y + 13, f"{measure}: {each.peer}", "end"))
        parts.append(
            f'<rect x="{start}" y="{y + 2}" width="{max(end - start, 1):.1f}" '
            f'height="{LINE - 8}" fill="{colour}"/>'
        )
        if each.goal:
            x = _x(each.goal)
            parts.append(
                f'<line x1="{x}" x2="{x}" y1="{y}" y2="{y + LINE - 4}" '
                f'stroke="black" stroke-width="2"/>'
            )
        parts.append(_text(WIDTH - RIGHT + 8, y + 13, f"{each.ratio:.2f}"))
    return "\n".join([*parts, "</svg>\n"])


def _x(ratio: float) -> float:
    place = math.log(min(max(ratio, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return round(LEFT + place * (WIDTH - LEFT - RIGHT), 1)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    shown = text if len(text) < 80 else f"{text[:77]}..."
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(shown)}</text>'
