"""The tests of object stores, by theme, and the one class that has them all."""

from __future__ import annotations

from flowhold.testing.stores.atomicity import AtomicityTests
from flowhold.testing.stores.catalogs import CatalogTests
from flowhold.testing.stores.concurrency import ConcurrencyTests
from flowhold.testing.stores.conditional import ConditionalTests
from flowhold.testing.stores.deleting import DeletingTests
from flowhold.testing.stores.failures import FailuresTests
from flowhold.testing.stores.listing import ListingTests
from flowhold.testing.stores.naming import NamingTests
from flowhold.testing.stores.outcomes import ResultTests
from flowhold.testing.stores.reading import ReadingTests
from flowhold.testing.stores.secrecy import SecrecyTests
from flowhold.testing.stores.sizes import SizesTests

__all__ = ["ObjectStoreTests"]


class ObjectStoreTests(
    ReadingTests,
    SizesTests,
    NamingTests,
    ConditionalTests,
    AtomicityTests,
    ListingTests,
    DeletingTests,
    FailuresTests,
    ConcurrencyTests,
    SecrecyTests,
    CatalogTests,
    ResultTests,
):
    """What every object store must do.

    A subclass has the fixture ``store``: an empty :class:`~flowhold.ObjectStore`. See the page
    *Testing* of the documentation for the others, which all have defaults.
    """
