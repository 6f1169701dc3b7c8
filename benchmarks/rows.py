"""What was measured: for each measure our value beside others', their ratios and the goals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Comparison", "Row", "shown"]


class Comparison(NamedTuple):
    """Ours beside another's: the ratio, and the goal and whether it is met where there is one."""

    peer: str
    value: float | str
    ratio: float | None
    goal: float | None
    met: bool | None

    @property
    def verdict(self) -> str:
        """Whether the goal is met, in a word or two."""
        return "" if self.goal is None else {True: "met", False: "MISSED", None: "?"}[self.met]


@dataclass(frozen=True)
class Row:
    """One measure.

    Attributes:
        measure: What was done.
        values: By contender, ours first: seconds, or a number of ``unit``; a text says why there is
            none.
        goals: By contender, the most that our value may be of its value.
        unit: Of the values: ``s``, or what is counted.
    """

    measure: str
    values: Mapping[str, float | str]
    goals: Mapping[str, float] = field(default_factory=dict)
    unit: str = "s"

    def __post_init__(self) -> None:
        unknown = self.goals.keys() - self.values.keys()
        assert not unknown, f"{self.measure}: goals for {unknown}, which were not measured"

    @property
    def ours(self) -> tuple[str, float]:
        """Our contender and its value."""
        name, value = next(iter(self.values.items()))
        assert not isinstance(value, str), f"{name}: {value}"
        return name, value

    def comparisons(self) -> Iterator[Comparison]:
        """Yield ours beside each other contender's."""
        own, ours = self.ours
        for peer, value in self.values.items():
            if peer == own:
                continue
            goal = self.goals.get(peer)
            if isinstance(value, str):
                yield Comparison(peer, value, None, goal, None)
            else:
                ratio = ours / value
                yield Comparison(peer, value, ratio, goal, None if goal is None else ratio <= goal)

    def text(self, verdicts: bool) -> str:
        """Return the measure for a terminal, perhaps with whether it meets its goals."""
        own, ours = self.ours
        lines = [self.measure, f"  {own:<44} {shown(ours, self.unit):>12}"]
        for each in self.comparisons():
            line = f"  {each.peer:<44} {shown(each.value, self.unit):>12}"
            if each.ratio is not None:
                line += f"  {each.ratio:6.2f}"
            if verdicts and each.goal is not None:
                line += f"  goal {each.goal:.2f}: {each.verdict}"
            lines.append(line)
        return "\n".join(lines)


def shown(value: float | str, unit: str) -> str:
    """Return a value as people read it."""
    if isinstance(value, str):
        return value
    if unit != "s":
        return f"{value:,.0f} {unit}"
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1000:.2f} ms" if value >= 0.0001 else f"{value * 1e6:.1f} µs"
