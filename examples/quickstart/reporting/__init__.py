"""Adds sales up and writes the report about them."""

from .render import report_text
from .totals import Sale, by_country, by_month, top_products

__all__ = ["Sale", "by_country", "by_month", "report_text", "top_products"]
