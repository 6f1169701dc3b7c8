from __future__ import annotations

import csv
import sys
from collections import defaultdict
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart"


@pytest.fixture(scope="module")
def report_of_demo():
    """What the report must say, worked out in another way than the example does it."""
    per_euro = {"EUR": "1", "GBP": "0.8726", "USD": "1.1750", "CHF": "0.9314", "PLN": "4.2210"}
    paid = {}
    with (QUICKSTART / "orders.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["status"] == "paid" and row["quantity"].isdigit():
                euros = Decimal(row["price"]) * int(row["quantity"])
                euros /= Decimal(per_euro[row["currency"]])
                paid[row["order"]] = (
                    row["product"],
                    euros.quantize(Decimal("0.01"), ROUND_HALF_EVEN),
                )
    products = defaultdict(Decimal)
    for product, amount in paid.values():
        products[product] += amount
    return len(paid), sum(products.values()), max(products, key=products.get)


def test_the_orders_are_what_their_script_writes(process, tmp_path):
    code = "import pathlib, sys, make_orders; make_orders.write(pathlib.Path(sys.argv[1]))"
    process(
        sys.executable, "-c", code, tmp_path / "orders.csv", env={"PYTHONPATH": str(QUICKSTART)}
    )
    assert (tmp_path / "orders.csv").read_bytes() == (QUICKSTART / "orders.csv").read_bytes()


def test_the_demo_prints_one_right_report_three_times_and_leaves_nothing(
    process, tmp_path, report_of_demo
):
    orders, total, best = report_of_demo
    output = process(sys.executable, QUICKSTART / "demo.py", tmp_path / "a folder")
    assert orders >= 9_000
    assert output.count("Sales report in EUR\n") == 3
    assert output.count(f"{orders:,} orders, {total:,.2f} EUR\n") == 3
    assert output.count(f"Best products\n  {best}") == 3
    assert "The three reports are the same." in output
    assert not (tmp_path / "a folder").exists()


def test_the_parameters_change_the_report(process):
    process("flowhold", "register", "pipeline.py", "--script", "-o", "include=*", cwd=QUICKSTART)
    output = process(
        "flowhold", "run", "sales-report", "-p", "top=1", "-p", "currency=PLN", "--json"
    )
    assert "Sales report in PLN" in output
    assert output.partition("Best products")[2].count("#  ") == 0
    assert "Rug" not in output
