"""Write orders.csv again, the same every time: a year of orders, with the usual dirt in it."""

from __future__ import annotations

import csv
import random
from datetime import date, timedelta
from pathlib import Path

PRODUCTS = {
    "Kettle": "24.90",
    "Toaster": "31.50",
    "Lamp": "18.75",
    "Chair": "79.00",
    "Desk": "249.00",
    "Shelf": "64.20",
    "Rug": "112.40",
    "Mirror": "45.60",
    "Clock": "22.15",
    "Vase": "14.35",
    "Blanket": "37.80",
    "Basket": "16.95",
}
COUNTRIES = {
    "DE": "EUR",
    "FR": "EUR",
    "ES": "EUR",
    "GB": "GBP",
    "US": "USD",
    "CH": "CHF",
    "PL": "PLN",
}
HEADER = ["order", "day", "country", "product", "quantity", "price", "currency", "status"]


def rows(count: int = 10_400, seed: int = 2025) -> list[list[str]]:
    # Only random() is used: its sequence for a seed is the same in every version of Python.
    draw = random.Random(seed).random

    def pick(items: list[str]) -> str:
        return items[int(draw() * len(items))]

    found: list[list[str]] = []
    for number in range(count):
        country = pick(list(COUNTRIES))
        product = pick(list(PRODUCTS))
        row = [
            str(100_001 + number),
            str(date(2025, 1, 1) + timedelta(days=number * 365 // count)),
            country,
            product,
            str(1 + int(draw() ** 3 * 9)),
            PRODUCTS[product],
            COUNTRIES[country],
            "cancelled" if draw() < 0.03 else "paid",
        ]
        if draw() < 0.01:
            row[4] = pick(["", "n/a", "-1"])
        found.append(row)
        if draw() < 0.015:
            found.append(row)
    return found


def write(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows())


if __name__ == "__main__":
    write(Path(__file__).parent / "orders.csv")
