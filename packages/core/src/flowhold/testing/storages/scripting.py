"""Scripts and bundles: found or stored, which flow is meant, and what goes wrong in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import pytest

import flowhold
from flowhold import Capability, FlowholdError, Storage
from flowhold.errors import FlowNotFoundError, SerializationError
from flowhold.testing.powers import needs
from flowhold.testing.storages.suite import Keep, StorageSuite, make_flow, round_trip, script

__all__ = ["ScriptingTests"]

SCRIPT = Capability.SCRIPT
# An argument that a class does not have is refused by Python.
REFUSED = (FlowholdError, TypeError)


class ScriptingTests(StorageSuite):
    """Scripts and bundles."""

    @pytest.fixture
    def keep_script(self, keep: Keep, powers: Container[Capability]) -> Callable[..., Storage]:
        """Return what stores, or places, a script and returns a storage with flows of it."""

        def keep_script(text: str, *names: str, flow: Any = None, **options: Any) -> Storage:
            if Capability.STORE in powers:
                path = Path("script.py").absolute()
                path.write_text(text, encoding="utf-8")
                options = {"local_script_path": str(path), **options}
            else:
                keep.place(text)
            storage = keep.make_storage(stored_as_script=True, **options)
            for name in names:
                storage.add_flow(flow or make_flow(name))
            storage.build()
            if Capability.STORE in powers:
                path.unlink()
            return round_trip(storage)

        return keep_script

    def test_a_flow_of_a_script_loads(
        self, keep_script: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        with needs(powers, SCRIPT, refusals=REFUSED):
            storage = keep_script(script("etl"), "etl")
            assert storage.get_flow("etl").run({"x": 5}).result == ["etl", "ran", 5]

    def test_a_stored_script_is_pinned_and_a_found_one_is_not(
        self, keep_script: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        with needs(powers, SCRIPT, refusals=REFUSED):
            (reference,) = keep_script(script("etl"), "etl").references()
            assert reference.kind in ("script", "module", "image")
            assert reference.pinned or Capability.STORE not in powers

    def test_the_flow_asked_for_is_the_one_that_loads(
        self, keep_script: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        with needs(powers, SCRIPT, refusals=REFUSED):
            storage = keep_script(script("one", "two", "three"), "two")
            assert storage.get_flow("two").run().result == ["two", "ran", 1]

    def test_several_flows_of_one_script_each_load(
        self, keep_script: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        with needs(powers, SCRIPT, Capability.MANY_FLOWS, refusals=REFUSED):
            storage = keep_script(script("one", "two"), "one", "two")
            for name in ("two", "one"):
                assert storage.get_flow(name).run().result == [name, "ran", 1]

    def test_a_flow_that_the_script_does_not_have_is_told_with_those_it_has(
        self, keep_script: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        with needs(powers, SCRIPT, refusals=REFUSED):
            storage = keep_script(script("one", "two"), "three")
            with pytest.raises(FlowNotFoundError) as caught:
                storage.get_flow("three")
            for name in ("three", "one", "two"):
                assert name in str(caught.value)

    def test_a_script_without_flows_is_flow_not_found(
        self, keep_script: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        with needs(powers, SCRIPT, refusals=REFUSED):
            storage = keep_script("value = 1\n", "etl")
            with pytest.raises(FlowNotFoundError):
                storage.get_flow("etl")

    def test_a_flow_that_a_function_makes_loads_again(
        self, keep_script: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        text = "import flowhold\ndef make():\n    return flowhold.Flow('made')\n"
        path = Path("factory.py")
        path.write_text(text, encoding="utf-8")
        flow = flowhold.load(f"{path}:make")
        with needs(powers, SCRIPT, refusals=REFUSED):
            storage = keep_script(text, "made", flow=flow)
            assert storage.get_flow("made").name == "made"

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("def broken(:\n", "SyntaxError|invalid syntax"),
            ("import no_such_module_xyz\n", "no_such_module_xyz"),
            ("raise RuntimeError('at the top')\n", "at the top"),
            ("raise SystemExit('leaving')\n", "leaving"),
        ],
        ids=["syntax", "import", "error", "exit"],
    )
    def test_a_script_that_fails_says_why(
        self,
        keep_script: Callable[..., Storage],
        powers: Container[Capability],
        text: str,
        reason: str,
    ) -> None:
        with needs(powers, SCRIPT, refusals=REFUSED):
            storage = keep_script(text, "etl")
            with pytest.raises(SerializationError, match=reason):
                storage.get_flow("etl")

    def test_storing_a_script_does_not_run_it(
        self, keep_script: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        with needs(powers, SCRIPT, refusals=REFUSED):
            storage = keep_script(_marking("ran.txt") + script("etl"), "etl")
            assert not Path("ran.txt").exists(), "the script ran when it was stored"
            assert [check["ok"] for check in storage.verify()] == [True]
            assert not Path("ran.txt").exists(), "the script ran when it was verified"
            storage.get_flow("etl")
            assert Path("ran.txt").exists()

    def test_registering_and_running_at_the_top_of_a_script_do_nothing_while_it_loads(
        self, keep_script: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        text = script("etl") + "flow_0.run()\nflow_0.register()\n"
        with needs(powers, SCRIPT, refusals=REFUSED):
            storage = keep_script(text, "etl")
            with pytest.warns(UserWarning, match="does nothing"):
                assert storage.get_flow("etl").run().result == ["etl", "ran", 1]

    def test_a_script_that_is_missing_is_refused(
        self, make_storage: Callable[..., Storage], powers: Container[Capability]
    ) -> None:
        try:
            storage = make_storage(stored_as_script=True, local_script_path="/no/such/script.py")
            storage.add_flow(make_flow("etl"))
            storage.build()
        except REFUSED:
            return
        pytest.fail("a script that does not exist was stored")

    def test_a_bundle_brings_its_modules_and_files(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.BUNDLE, refusals=REFUSED):
            options = _project()
            storage = keep.make_storage(stored_as_script=True, **options)
            storage.add_flow(make_flow("etl"))
            storage.build()
            shutil.rmtree("project")
            assert round_trip(storage).get_flow("etl").run().result == ["from helper", "from data"]

    def test_a_reference_to_a_bundle_loads_it(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.BUNDLE, Capability.SERIALIZES_FLOWS, refusals=REFUSED):
            storage = keep.make_storage(stored_as_script=True, **_project())
            storage.add_flow(make_flow("etl"))
            (reference,) = storage.build().references()
            shutil.rmtree("project")
            assert reference.kind in ("bundle", "image")
            assert reference.pinned
            assert flowhold.load(reference).run().result == ["from helper", "from data"]

    def test_a_pickle_brings_files_too(self, keep: Keep, powers: Container[Capability]) -> None:
        with needs(powers, Capability.BUNDLE, Capability.PICKLE, refusals=REFUSED):
            storage = keep.make_storage(**_project())
            storage.add_flow(make_flow("etl"))
            (reference,) = storage.build().references()
            shutil.rmtree("project")
            assert reference.kind in ("pickle", "image")
            assert flowhold.load(reference).run().result == ["etl", "ran", 1]

    def test_the_same_files_give_the_same_bundle(
        self, keep: Keep, powers: Container[Capability]
    ) -> None:
        with needs(powers, Capability.BUNDLE, refusals=REFUSED):
            digests = []
            for _ in range(2):
                storage = keep.make_storage(stored_as_script=True, **_project())
                storage.add_flow(make_flow("etl"))
                digests.append(storage.build().references()[0].sha256)
                shutil.rmtree("project")
            assert digests[0] == digests[1], "bundles must be reproducible"


def _marking(name: str) -> str:
    return f"from pathlib import Path\nPath({str(Path(name).absolute())!r}).write_text('ran')\n"


def _project() -> dict[str, Any]:
    """Write a project of three files, and return the options that store it."""
    folder = Path("project").absolute()
    folder.mkdir()
    (folder / "kit_helper.py").write_text("VALUE = 'from helper'\n", encoding="utf-8")
    (folder / "data.txt").write_text("from data", encoding="utf-8")
    (folder / "etl.py").write_text(
        "import flowhold, kit_helper\n"
        "from pathlib import Path\n"
        "@flowhold.flow(name='etl')\n"
        "def run():\n"
        "    data = Path(__file__).with_name('data.txt').read_text()\n"
        "    return [kit_helper.VALUE, data]\n",
        encoding="utf-8",
    )
    return {
        "local_script_path": str(folder / "etl.py"),
        "include": ["kit_helper.py", "data.txt"],
    }
