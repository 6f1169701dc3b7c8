"""Sums of sales by country, month and product."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple


class Sale(NamedTuple):
    month: str
    country: str
    product: str
    amount: Decimal


def total(sales: Iterable[Sale]) -> Decimal:
    return sum((sale.amount for sale in sales), Decimal(0))


def by_country(sales: Iterable[Sale]) -> dict[str, Decimal]:
    return _largest_first(_sums(sales, lambda sale: sale.country))


def by_month(sales: Iterable[Sale]) -> dict[str, Decimal]:
    return dict(sorted(_sums(sales, lambda sale: sale.month).items()))


def top_products(sales: Iterable[Sale], count: int) -> dict[str, Decimal]:
    return dict(list(_largest_first(_sums(sales, lambda sale: sale.product)).items())[:count])


def _sums(sales: Iterable[Sale], group: Callable[[Sale], str]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for sale in sales:
        sums[group(sale)] = sums.get(group(sale), Decimal(0)) + sale.amount
    return sums


def _largest_first(sums: dict[str, Decimal]) -> dict[str, Decimal]:
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))
