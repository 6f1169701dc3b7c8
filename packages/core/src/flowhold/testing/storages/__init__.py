"""The tests of storages, by theme, and the one class that has them all."""

from __future__ import annotations

from flowhold.testing.storages.checking import CheckingTests
from flowhold.testing.storages.environments import EnvironmentTests
from flowhold.testing.storages.extracting import ExtractingTests
from flowhold.testing.storages.holding import HoldingTests
from flowhold.testing.storages.labelling import LabellingTests
from flowhold.testing.storages.outcomes import OutcomeTests
from flowhold.testing.storages.pickles import PicklesTests
from flowhold.testing.storages.pickling import PicklingTests
from flowhold.testing.storages.pinning import PinningTests
from flowhold.testing.storages.placing import PlacingTests
from flowhold.testing.storages.referring import ReferringTests
from flowhold.testing.storages.runners import RunnersTests
from flowhold.testing.storages.scripting import ScriptingTests
from flowhold.testing.storages.secrecy import SecrecyTests
from flowhold.testing.storages.serializing import SerializingTests

__all__ = ["StorageTests"]


class StorageTests(
    HoldingTests,
    PlacingTests,
    PicklesTests,
    ScriptingTests,
    CheckingTests,
    PinningTests,
    RunnersTests,
    ReferringTests,
    SerializingTests,
    PicklingTests,
    SecrecyTests,
    LabellingTests,
    OutcomeTests,
    EnvironmentTests,
    ExtractingTests,
):
    """What every storage must do.

    A subclass has the fixture ``make_storage``: called with options, it returns a storage over one
    and the same empty place. See the page *Testing* of the documentation for the other fixtures.
    """
