from __future__ import annotations

import sys

import pytest

import flowhold
from flowhold.errors import FlowNotFoundError, IntegrityError, SerializationError
from flowhold.storage import Module, Storage

CODE = """
import flowhold
@flowhold.flow
def etl(): return "etl ran"
@flowhold.flow(name="other")
def second(): return "second ran"
def make(): return flowhold.Flow("made")
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "jobs_xyz").mkdir()
    (tmp_path / "jobs_xyz" / "__init__.py").touch()
    file = tmp_path / "jobs_xyz" / "daily.py"
    file.write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield file
    for name in [name for name in sys.modules if name.startswith("jobs_xyz")]:
        del sys.modules[name]


def stored(target, name="etl", **options):
    storage = Module(target, **options)
    storage.add_flow(flowhold.Flow(name))
    return storage.build()


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("jobs_xyz.daily", "etl"),
        ("jobs_xyz.daily", "other"),
        ("jobs_xyz.daily:second", "other"),
        ("jobs_xyz.daily:make", "made"),
    ],
)
def test_a_flow_is_found_in_a_module_by_name_attribute_or_factory(module, target, name):
    storage = stored(target, name)
    restored = Storage.deserialize(storage.serialize())
    assert restored.flows == {name: target}
    assert restored.get_flow(name).name == name
    assert repr(restored) == f"<Storage: Module module={target!r}>"
    (reference,) = restored.references()
    assert (reference.kind, reference.pinned) == ("module", False)


def test_the_flow_asked_for_is_the_one_that_loads(module):
    with pytest.raises(FlowNotFoundError, match=r"second in .* is the flow 'other', not 'etl'"):
        stored("jobs_xyz.daily:second").get_flow("etl")
    with pytest.raises(FlowNotFoundError, match=r"has no flow 'gone'; found: 'etl', 'other'"):
        stored("jobs_xyz.daily", "gone").get_flow("gone")


@pytest.mark.parametrize("target", ["nowhere_xyz", "jobs_xyz.nowhere", "nowhere_xyz.sub:attr"])
def test_a_module_that_is_not_there_says_how_to_have_it(module, target):
    storage = stored(target)
    with pytest.raises(FlowNotFoundError, match="there is no module") as caught:
        storage.get_flow("etl")
    assert "PYTHONPATH" in caught.value.hint
    assert storage.verify()[0]["ok"] is False


def test_a_module_that_imports_what_is_missing_names_that(module):
    module.write_text("import nowhere_xyz\n")
    with pytest.raises(SerializationError) as caught:
        stored("jobs_xyz.daily").get_flow("etl")
    assert "the module jobs_xyz.daily could not be loaded" in str(caught.value)
    assert "No module named 'nowhere_xyz' (daily.py, line 1)" in str(caught.value)


def test_verifying_does_not_run_the_module(module):
    module.write_text("raise SystemExit('ran')")
    (check,) = stored("jobs_xyz.daily").verify()
    assert check["ok"]
    assert "floating" in check["detail"]
    assert "jobs_xyz.daily" not in sys.modules


def test_registering_in_a_module_that_is_being_loaded_does_nothing(module):
    with module.open("a") as file:
        file.write("got = etl.register()\n")
    with pytest.warns(UserWarning, match="does nothing while"):
        stored("jobs_xyz.daily").get_flow("etl")
    assert sys.modules["jobs_xyz.daily"].got is None


def test_a_changed_source_adds_a_version(module):
    flow = flowhold.Flow("etl", storage=Module("jobs_xyz.daily"))
    assert [flow.register().version, flow.register().version] == [1, 1]
    module.write_text(CODE + "# changed")
    assert flow.register().version == 2


def test_two_loads_of_a_module_do_not_share_what_is_noted_of_their_reference(module):
    reference = stored("jobs_xyz.daily").references()[0]
    flow = flowhold.load(reference)
    assert flow._source == reference
    assert sys.modules["jobs_xyz.daily"].etl._source is None
    assert flow.run().result == "etl ran"


def test_looking_for_a_module_imports_nothing_and_a_digest_it_cannot_check_is_refused(
    tmp_path, monkeypatch
):
    package = tmp_path / "loud"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "quiet.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    storage = Module("loud.quiet")
    storage.add_flow(flowhold.Flow("etl"))
    assert storage.verify()[0]["ok"]
    (reference,) = storage.references()
    assert storage.fingerprint(None)
    claimed = flowhold.Reference.from_dict(reference.to_dict() | {"sha256": "0" * 64})
    with pytest.raises(IntegrityError, match="cannot check the digest"):
        flowhold.load(claimed)
