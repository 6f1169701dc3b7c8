"""Converts amounts with the rates in rates.json, which lies beside this module."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

CENT = Decimal("0.01")


def load_rates() -> dict[str, Decimal]:
    # The path is asked for when the flow runs: wherever that is, the file lies beside this module.
    text = (Path(__file__).parent / "rates.json").read_text(encoding="utf-8")
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)["per_euro"]


def convert(amount: Decimal, source: str, target: str, rates: dict[str, Decimal]) -> Decimal:
    unknown = {source, target} - rates.keys()
    if unknown:
        raise ValueError(f"no rate for {', '.join(sorted(unknown))}")
    return (amount / rates[source] * rates[target]).quantize(CENT)
