"""Code in a folder to be looked at: verified, and nothing of it run."""

from __future__ import annotations

import shutil
from collections.abc import Container
from pathlib import Path
from typing import Any

import pytest

from flowhold import Capability, FlowholdError, Storage
from flowhold.errors import IntegrityError
from flowhold.fetching import fetch
from flowhold.testing.powers import needs
from flowhold.testing.storages.suite import (
    Keep,
    StorageSuite,
    keeps_bytes,
    make_flow,
    script,
    spoil,
)

__all__ = ["ExtractingTests"]


class ExtractingTests(StorageSuite):
    """``extract``, ``fetch`` and ``delete``."""

    @pytest.fixture
    def folder(self) -> Path:
        """Return an empty folder."""
        folder = Path("extracted").absolute()
        folder.mkdir()
        return folder

    def test_the_code_of_a_flow_is_written_to_a_folder(
        self, keep: Keep, powers: Container[Capability], folder: Path
    ) -> None:
        storage = keep("etl")
        if not keeps_bytes(powers) and Capability.SCRIPT not in powers:
            with pytest.raises(FlowholdError):
                storage.extract("etl", folder)
            assert [*folder.iterdir()] == [], "a refused extract has written something"
            return
        storage.extract("etl", folder)
        written = [path for path in folder.rglob("*") if path.is_file()]
        assert written, "extract() wrote nothing"
        assert all(path.stat().st_size for path in written)

    def test_a_script_is_written_as_it_is(
        self, keep: Keep, powers: Container[Capability], folder: Path
    ) -> None:
        text = script("etl", value="größe")
        with needs(powers, Capability.SCRIPT, refusals=(FlowholdError, TypeError)):
            if Capability.STORE in powers:
                Path("etl.py").write_text(text, encoding="utf-8")
                storage = keep.make_storage(stored_as_script=True, local_script_path="etl.py")
            else:
                keep.place(text)
                storage = keep.make_storage()
            storage.add_flow(make_flow("etl"))
            storage.build().extract("etl", folder)
            (file,) = (path for path in folder.rglob("*") if path.is_file())
            assert file.suffix == ".py"
            assert file.read_text(encoding="utf-8") == text

    def test_a_bundle_is_written_with_all_its_files(
        self, keep: Keep, powers: Container[Capability], folder: Path
    ) -> None:
        project = Path("project")
        project.mkdir()
        (project / "etl.py").write_text(script("etl"), encoding="utf-8")
        (project / "data.txt").write_text("data", encoding="utf-8")
        with needs(powers, Capability.BUNDLE, refusals=(FlowholdError, TypeError)):
            storage = keep.make_storage(
                stored_as_script=True,
                local_script_path=str(project / "etl.py"),
                include=["data.txt"],
            )
            storage.add_flow(make_flow("etl"))
            storage.build()
            shutil.rmtree(project)
            storage.extract("etl", folder)
            assert sorted(path.name for path in folder.rglob("*")) == ["data.txt", "etl.py"]

    def test_extracting_runs_nothing(
        self, keep: Keep, powers: Container[Capability], folder: Path
    ) -> None:
        mark = Path("ran.txt").absolute()
        storage = keep.make_storage()
        if Capability.STORE not in powers:
            keep.place(f"open({str(mark)!r}, 'w').close()\n")
        storage.add_flow(make_flow("etl", _Writing(mark)))
        try:
            storage.build().extract("etl", folder)
        except FlowholdError:
            assert not keeps_bytes(powers)
        assert not mark.exists(), "extract() ran the flow's code"

    def test_what_was_changed_is_not_extracted(
        self, keep: Keep, powers: Container[Capability], backdoor: Any, folder: Path
    ) -> None:
        storage = keep("etl")
        if not keeps_bytes(powers):
            assert not any(reference.sha256 for reference in storage.references())
            return
        spoilt = spoil(storage, "etl", backdoor, lambda data: data[:-1] + b"#")
        with pytest.raises(IntegrityError):
            spoilt.extract("etl", folder)
        assert [*folder.iterdir()] == [], "changed code was written"

    def test_fetching_a_reference_gives_code_and_reference(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        for reference in keep("etl").references():
            files = fetch(reference, "fetched")
            assert Path("reference.json") in files
            assert len(files) >= 2, "a reference without code"

    def test_extracting_what_is_not_there_is_refused(self, keep: Keep, folder: Path) -> None:
        with pytest.raises(FlowholdError):
            keep("etl").extract("missing", folder)
        assert [*folder.iterdir()] == []

    def test_a_deleted_flow_is_forgotten(self, keep: Keep) -> None:
        storage = keep("etl")
        storage.delete("etl")
        assert storage.flows == {}
        with pytest.raises(FlowholdError):
            storage.get_flow("etl")

    def test_deleting_removes_what_was_stored_and_nothing_else(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        if Capability.STORE not in powers:
            storage = keep("etl")
            storage.delete("etl")
            storage.add_flow(make_flow("etl"))
            assert storage.get_flow("etl").name == "etl", "delete() removed what it had not stored"
            return
        other = keep("other")
        before = _stored(other)
        storage = keep("etl")
        mine = _stored(storage)
        storage.delete("etl")
        if Capability.DELETE in powers and mine is not None:
            # A storage that carries its bytes with it has none of the other's.
            assert _stored(storage) in (before, set()), "delete() left the object"
        assert other.get_flow("other").run().result == ["other", "ran", 1]

    def test_deleting_what_is_not_there_does_nothing(self, keep: Keep) -> None:
        storage = keep("etl")
        storage.delete("missing")
        assert storage.get_flow("etl").name == "etl"

    def test_a_flow_can_be_stored_again_after_a_delete(self, keep: Keep) -> None:
        storage = keep("etl")
        storage.delete("etl")
        storage.add_flow(make_flow("etl"))
        assert storage.build().get_flow("etl").run().result == ["etl", "ran", 1]


class _Writing:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "ran")


def _stored(storage: Storage) -> set[str] | None:
    """Return the keys of the storage's object store, None where it has none."""
    store = getattr(storage, "store", None)
    return None if store is None else {info.key for info in store.list()}
