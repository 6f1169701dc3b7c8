from __future__ import annotations

import pickle
import subprocess
import sys
import tracemalloc
import types

import pytest

import flowhold
from flowhold import pickling, unpickling
from flowhold.envelope import open_envelope, seal
from flowhold.errors import SerializationError
from flowhold.unpacking import flow_from_bytes

AUDITED = """
import sys
import flowhold
from flowhold import pickling, unpickling

pickled = b"".join(pickling.dump(flowhold.Flow("etl"))[0])
found = []
sys.addaudithook(lambda event, what: found.append(what) if event == "pickle.find_class" else None)
for _ in range(2):
    unpickling.load(pickled)
print(found.count(("flowhold.flows", "Flow")))
"""


@pytest.fixture
def pickled():
    return b"".join(pickling.dump(flowhold.Flow("etl"))[0])


@pytest.mark.parametrize("files", [[], None])
def test_what_is_behind_the_pickle_is_not_run(pickled, files):
    header = {"kind": "pickle", "pickle": len(pickled) - 1, "flow": "etl"}
    data = seal(header if files is None else {**header, "files": files}) + pickled
    assert open_envelope(data).files == pickled[-1:]
    with pytest.raises(SerializationError, match="could not be loaded"):
        flow_from_bytes(data, "pickle", name="etl")


@pytest.mark.parametrize("large", [bytes(16 << 20), "a" * (16 << 20)], ids=["bytes", "text"])
def test_nothing_large_is_copied_but_into_what_is_loaded(large):
    pickled = memoryview(b"before" + pickle.dumps(large, protocol=5))[6:]
    tracemalloc.start()
    try:
        assert unpickling.load(pickled) == large
        assert tracemalloc.get_traced_memory()[1] < 17 << 20
    finally:
        tracemalloc.stop()


def test_audit_hooks_are_told_of_each_class_each_time():
    run = subprocess.run([sys.executable, "-c", AUDITED], check=True, capture_output=True)
    assert run.stdout.split() == [b"2"], run.stderr


def test_a_class_is_what_its_module_has_now(pickled, monkeypatch):
    class Other(flowhold.Flow):
        pass

    class Another(flowhold.Flow):
        pass

    assert type(unpickling.load(pickled)) is flowhold.Flow
    monkeypatch.setattr("flowhold.flows.Flow", Other)
    assert type(unpickling.load(pickled)) is Other
    monkeypatch.setitem(sys.modules, "flowhold.flows", types.SimpleNamespace(Flow=Another))
    assert type(unpickling.load(pickled)) is Another


def test_what_a_module_does_not_have_is_told_as_by_pickle():
    with pytest.raises(AttributeError, match="Nothing"):
        unpickling.load(b"cflowhold.flows\nNothing\n.")
