"""Signatures

Loads of a small flow from `Local`, by its reference and by name: what it takes to check that a
trusted key has signed it. No peer checks signatures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from peers import OWN
from rows import Row
from turns import Contender, in_turn

MOST = 0.001
"""How many seconds a check may add to a load."""


def rows(size) -> Iterator[Row]:
    """Yield what each kind of check adds."""
    loads = size(20, 2)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"folder": folder, "loads": loads}
        taken = in_turn({"flowhold": Contender("signing:Flowhold", OWN, settings)}, size(60, 0))
    for signed, plain, trusted in (
        ("signed", "not signed", "one key trusted"),
        ("signed three times", "not signed", "three keys trusted"),
        ("signed, by name", "not signed, by name", "one key trusted"),
    ):
        with_it, without = (taken[name].per(loads)["flowhold"] for name in (signed, plain))
        yield Row(f"load, {signed}", {"flowhold": with_it, plain: without})
        added = {"flowhold": with_it - without, "allowed": MOST}
        yield Row(f"added to a load: {signed}, {trusted}", added, {"allowed": 1})
