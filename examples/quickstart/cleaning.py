"""Turns rows of the shop's export into orders, and counts what had to be left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation


@dataclass(frozen=True)
class Order:
    number: int
    day: date
    country: str
    product: str
    quantity: int
    price: Decimal
    currency: str


@dataclass(frozen=True)
class Cleaned:
    orders: list[Order]
    left_out: dict[str, int]


def parse(row: dict[str, str]) -> Order:
    quantity = int(row["quantity"])
    if quantity < 1:
        raise ValueError("an order has at least one piece")
    return Order(
        number=int(row["order"]),
        day=date.fromisoformat(row["day"]),
        country=row["country"],
        product=row["product"],
        quantity=quantity,
        price=Decimal(row["price"]),
        currency=row["currency"],
    )


def clean(rows: Iterable[dict[str, str]]) -> Cleaned:
    orders: dict[int, Order] = {}
    left_out: Counter[str] = Counter()
    for row in rows:
        if row["status"] == "cancelled":
            left_out["cancelled"] += 1
            continue
        try:
            order = parse(row)
        except (ValueError, InvalidOperation):
            left_out["unreadable"] += 1
            continue
        if order.number in orders:
            left_out["repeated"] += 1
        else:
            orders[order.number] = order
    return Cleaned(list(orders.values()), dict(sorted(left_out.items())))
