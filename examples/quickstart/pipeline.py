"""A year of orders, cleaned, converted to one currency and summed up in a report."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import cleaning
from currency import convert, load_rates
from reporting import Sale, by_country, by_month, report_text, top_products

from flowhold import Flow, Parameter, task


@task
def read_orders() -> list[dict[str, str]]:
    with (Path(__file__).parent / "orders.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@task
def clean(rows: list[dict[str, str]]) -> cleaning.Cleaned:
    return cleaning.clean(rows)


@task
def read_rates() -> dict[str, Decimal]:
    return load_rates()


@task
def convert_sales(
    cleaned: cleaning.Cleaned, rates: dict[str, Decimal], currency: str
) -> list[Sale]:
    return [
        Sale(
            month=f"{order.day:%Y-%m}",
            country=order.country,
            product=order.product,
            amount=convert(order.price * order.quantity, order.currency, currency, rates),
        )
        for order in cleaned.orders
    ]


@task
def sum_countries(sales: list[Sale]) -> dict[str, Decimal]:
    return by_country(sales)


@task
def sum_months(sales: list[Sale]) -> dict[str, Decimal]:
    return by_month(sales)


@task
def best_products(sales: list[Sale], top: int) -> dict[str, Decimal]:
    return top_products(sales, top)


@task
def report(
    cleaned: cleaning.Cleaned,
    sales: list[Sale],
    sections: dict[str, dict[str, Decimal]],
    currency: str,
) -> str:
    return report_text(sales, cleaned.left_out, sections, currency)


with Flow("sales-report") as flow:
    top = Parameter("top", default=5)
    currency = Parameter("currency", default="EUR")

    cleaned = clean(read_orders())
    sales = convert_sales(cleaned, read_rates(), currency)
    sections = {
        "By country": sum_countries(sales),
        "By month": sum_months(sales),
        "Best products": best_products(sales, top),
    }
    report(cleaned, sales, sections, currency)


if __name__ == "__main__":
    print(flow.run().result)
