"""What the tests of storages share: fixtures, flows to store, and ways to reach what is stored."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import flowhold
from flowhold import Capability, Storage
from flowhold.storage import ObjectStorage
from flowhold.storage.documents import option_parameters
from flowhold.testing.suite import Suite

__all__ = [
    "Keep",
    "StorageSuite",
    "claimed",
    "keeps_bytes",
    "make_flow",
    "round_trip",
    "script",
    "spoil",
    "takes",
    "values_of",
]


class Keep:
    """Stores flows in a new storage of the place, in the way that the storage declares.

    Called with names and options of the storage. Running a flow gives its name, ``value`` and its
    parameter ``x``, which is 1 by default.
    """

    def __init__(self, make_storage: Callable[..., Storage], place_script: Any) -> None:
        self.make_storage = make_storage
        self.place_script = place_script

    def __call__(self, *names: str, value: Any = "ran", **options: Any) -> Storage:
        """Return a storage that holds flows of these names, built."""
        powers = self.make_storage().capabilities
        text = script(*names, value=value)
        if Capability.STORE not in powers:
            self.place(text)
        elif Capability.SCRIPT in powers and Capability.PICKLE not in powers:
            path = Path("kept.py").absolute()
            path.write_text(text, encoding="utf-8")
            options = {"stored_as_script": True, "local_script_path": str(path), **options}
        storage = self.make_storage(**options)
        for name in names:
            storage.add_flow(make_flow(name, value))
        return storage.build()

    def place(self, text: str) -> None:
        """Put a script where a storage finds it that stores nothing itself."""
        if self.place_script is None:
            pytest.fail(
                "a storage that does not declare STORE needs the fixture `place_script`: a "
                "function that puts the text of a script where the storage finds it"
            )
        self.place_script(text)


class StorageSuite(Suite):
    """Tests of a storage; a subclass has the fixture ``make_storage``.

    ``make_storage(**options)`` returns a storage over one and the same empty place.
    """

    @pytest.fixture
    def place_script(self) -> Callable[[str], None] | None:
        """Return what puts a script where the storage finds it; only for those without STORE."""
        return None

    @pytest.fixture
    def secret_values(self) -> Sequence[str]:
        """Return the credentials with which the storage was made; they must be seen nowhere."""
        return ()

    @pytest.fixture
    def backdoor(self) -> Any:
        """Return what reads, writes and removes stored flows past the storage, or None."""
        return None

    @pytest.fixture
    def powers(self, make_storage: Callable[..., Storage]) -> Container[Capability]:
        """Return what the storage declares that it can do."""
        return make_storage().capabilities

    @pytest.fixture
    def keep(self, make_storage: Callable[..., Storage], place_script: Any) -> Keep:
        """Return what stores flows; see :class:`Keep`."""
        return Keep(make_storage, place_script)


def make_flow(name: str = "etl", value: Any = "ran") -> flowhold.Flow:
    """Return a flow that no other process could import."""

    def body(x: Any = 1) -> Any:
        return [name, value, x]

    made: flowhold.Flow = flowhold.flow(body, name=name)
    return made


def script(*names: str, value: Any = "ran", before: str = "") -> str:
    """Return the text of a script that defines flows as :func:`make_flow` makes them."""
    lines = ["import flowhold", before]
    for number, name in enumerate(names):
        lines += [
            f"@flowhold.flow(name={name!r})",
            f"def flow_{number}(x=1):",
            f"    return [{name!r}, {value!r}, x]",
        ]
    return "\n".join([*lines, ""])


def takes(storage: Storage | Callable[..., Storage], option: str) -> bool:
    """Whether a storage has an argument of this name."""
    made = storage if isinstance(storage, Storage) else storage()
    return option in option_parameters(type(made))


def keeps_bytes(powers: Container[Capability]) -> bool:
    """Whether a storage stores flows as bytes, which have a digest."""
    kinds = (Capability.PICKLE, Capability.SCRIPT, Capability.BUNDLE)
    return Capability.STORE in powers and any(kind in powers for kind in kinds)


def round_trip(storage: Storage) -> Storage:
    """Return the storage as another process would get it: through JSON."""
    return Storage.deserialize(json.loads(json.dumps(storage.serialize())))


def claimed(storage: Storage, name: str, **changes: Any) -> Storage:
    """Return the storage as a document describes it in which a flow's record is changed."""
    document = json.loads(json.dumps(storage.serialize()))
    record = document["flows"].get(name) or {"location": storage.flows[name], "kind": "pickle"}
    document["flows"] = {**document["flows"], name: {**record, **changes}}
    return Storage.deserialize(document)


def spoil(
    storage: Storage, name: str, backdoor: Any, change: Callable[[bytes], bytes] | None
) -> Storage:
    """Change, or with None remove, what is stored of a flow, and return the storage to load from.

    By the back door where there is one; else through the storage's own object store; else what is
    recorded of the flow is changed.
    """
    location = storage.flows[name]
    if backdoor is not None:
        if change is None:
            backdoor.remove(location)
        else:
            backdoor.write(location, change(backdoor.read(location)))
        return storage
    if isinstance(storage, ObjectStorage):
        store, key = storage._at(location)
        if change is None:
            store.delete(key)
        else:
            store.put(key, change(store.get(key)))
        return storage
    if change is None:
        return claimed(storage, name, location=f"{location}-is-gone")
    return claimed(storage, name, sha256="0" * 64)


def values_of(environment: Mapping[str, str], folder: str) -> bytes:
    """Return the bytes of all files below one of Flowhold's folders."""
    paths = sorted(Path(environment[f"FLOWHOLD_{folder}_DIR"]).rglob("*"))
    return b"\n".join(os.fsencode(path) + path.read_bytes() for path in paths if path.is_file())
