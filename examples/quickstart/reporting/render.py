"""The report as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from . import totals

WIDTH = 30


def report_text(
    sales: Sequence[totals.Sale],
    left_out: dict[str, int],
    sections: dict[str, dict[str, Decimal]],
    currency: str,
) -> str:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
    lines = [
        f"Sales report in {currency}",
        f"{len(sales):,} orders, {totals.total(sales):,.2f} {currency}",
        f"left out: {reasons or 'nothing'}",
    ]
    for title, sums in sections.items():
        lines += ["", title, *_bars(sums)]
    return "\n".join(lines)


def _bars(sums: dict[str, Decimal]) -> list[str]:
    longest = max(sums.values(), default=Decimal(1))
    return [
        f"  {name:<8} {amount:>12,.2f}  {'#' * int(WIDTH * amount / longest)}"
        for name, amount in sums.items()
    ]
