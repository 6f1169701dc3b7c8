from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
from pathlib import Path

import cloudpickle
import pytest

import flowhold
from flowhold.errors import (
    ConfigurationError,
    FlowNotFoundError,
    IntegrityError,
    SerializationError,
    UnverifiedError,
)
from flowhold.packing import Packing, Payload
from flowhold.registering import register
from flowhold.storage import Bytes, Local
from flowhold.unpacking import flow_from_bytes, kind_of

KINDS = ["pickle", "pickle with files", "script", "bundle"]


class Canary:
    """Writes a file as soon as it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (Path(self.path), "unpickled")


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


@pytest.fixture
def stored(tmp_path, canary):
    """Store a flow that writes the canary when any of it is run; return its reference."""

    def store(kind):
        folder = tmp_path / "project"
        folder.mkdir()
        script = folder / "etl.py"
        script.write_text(
            f"import flowhold, pathlib{', helper_xyz' if kind == 'bundle' else ''}\n"
            f"pathlib.Path({str(canary)!r}).touch()\n"
            "@flowhold.flow\ndef etl(): return 'ran'\n"
        )
        (folder / "helper_xyz.py").write_text(
            f"import pathlib\npathlib.Path({str(canary)!r}).touch()"
        )
        flow = flowhold.Flow("etl")
        flow.canary = Canary(canary)
        options = {"stored_as_script": kind in ("script", "bundle")}
        if kind in ("pickle with files", "bundle"):
            options["include"] = ["*.py"]
        return register(
            flow, storage=Local(tmp_path / "flows", local_script_path=str(script), **options)
        )

    return store


@pytest.mark.parametrize("kind", KINDS)
def test_the_canary_sings_when_a_flow_is_loaded(stored, canary, kind):
    reference = stored(kind)
    assert not canary.exists()
    assert reference.kind == kind.partition(" ")[0]
    assert reference.sha256 == hashlib.sha256(Path(reference.location).read_bytes()).hexdigest()
    assert flowhold.load(reference).name == "etl"
    assert canary.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_anywhere_is_refused_before_anything_runs(stored, canary, kind):
    reference = stored(kind)
    file = Path(reference.location)
    data = file.read_bytes()
    positions = {0, 7, 12, len(data) // 3, len(data) // 2, len(data) - 1}
    damaged = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in positions]
    damaged += [data[:-1], data + b"\n", b"", data[: len(data) // 2]]
    for bad in damaged:
        file.write_bytes(bad)
        with pytest.raises(IntegrityError, match="not the one that was recorded"):
            flowhold.load(reference)
        with pytest.raises(IntegrityError):
            flowhold.load(reference, allow_unverified=True)
        assert reference.open_storage().verify()[0]["ok"] is False
    assert not canary.exists()
    file.write_bytes(data)
    assert flowhold.load("etl").name == "etl"


@pytest.mark.parametrize("kind", ["pickle", "pickle with files", "bundle"])
def test_without_a_digest_only_scripts_load_unless_that_is_allowed(stored, canary, kind):
    floating = dataclasses.replace(stored(kind), sha256=None)
    with pytest.raises(UnverifiedError, match="nothing is recorded to check"):
        flowhold.load(floating)
    assert not canary.exists()
    assert flowhold.load(floating, allow_unverified=True).name == "etl"


@pytest.mark.parametrize(("kind", "claimed"), [("pickle", "script"), ("pickle", "bundle")])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_pickle_that_is_recorded_as_something_else_is_not_unpickled(
    stored, canary, kind, claimed, pinned
):
    reference = dataclasses.replace(stored(kind), kind=claimed)
    if not pinned:
        reference = dataclasses.replace(reference, sha256=None)
    with pytest.raises((IntegrityError, UnverifiedError, FlowNotFoundError, SerializationError)):
        flowhold.load(reference)
    assert not canary.exists()


def test_a_bare_pickle_that_is_recorded_as_a_bundle_is_not_unpickled(canary):
    data = cloudpickle.dumps(Canary(canary))
    for kind in ("bundle", "image", "memory"):
        with pytest.raises(SerializationError, match="not a stored flow"):
            flow_from_bytes(data, kind)
    with pytest.raises(SerializationError):
        flow_from_bytes(data, "script")
    assert not canary.exists()


def prefect1(flow, **versions):
    body = base64.b64encode(cloudpickle.dumps(flow)).decode()
    return json.dumps({"flow": body, "versions": versions}).encode()


@pytest.mark.parametrize("bare", [False, True])
def test_flows_that_prefect_1_stored_are_read_when_trusted(tmp_path, bare):
    flow = flowhold.flow(lambda: "old ran", name="old")
    file = tmp_path / "old.prefect"
    file.write_bytes(cloudpickle.dumps(flow) if bare else prefect1(flow))
    assert kind_of(file.read_bytes()) == "pickle"
    with pytest.raises(UnverifiedError):
        Local(tmp_path).get_flow(str(file))
    loaded = Local(tmp_path).get_flow(str(file), allow_unverified=True)
    assert loaded.run().result == "old ran"


def test_the_versions_of_a_prefect_1_flow_explain_why_it_does_not_load(canary):
    data = prefect1(flowhold.Flow("old"), cloudpickle="1.2", pandas_xyz="1.0", python="3.6.1")
    with pytest.warns(UserWarning, match=r"python: stored with 3\.6\.1.*pandas_xyz"):
        flow_from_bytes(data, "pickle")
    document = json.loads(data)
    document["flow"] = base64.b64encode(b"\x80\x05cnowhere_xyz\nFlow\n.").decode()
    with pytest.raises(SerializationError, match="No module named 'nowhere_xyz'") as caught:
        flow_from_bytes(json.dumps(document).encode(), "pickle")
    assert "cloudpickle: stored with 1.2" in caught.value.hint


@pytest.mark.parametrize(
    "data", [b"import os", b"{'a': 1}", b'{"flow": 3}', b'{"flow": "?"}', b"{" * 9999, b"[]", b""]
)
def test_what_only_looks_like_a_prefect_1_flow_is_a_script(data):
    assert kind_of(data) == "script"


def test_a_pickle_of_another_flow_is_not_the_one_asked_for():
    payload = Packing(None).pack(flowhold.Flow("other"))
    with pytest.raises(FlowNotFoundError, match="holds the flow 'other', not 'etl'"):
        flow_from_bytes(b"".join(payload.parts), "pickle", name="etl")


def test_a_pickle_of_no_flow_is_a_clear_error():
    with pytest.raises(ConfigurationError, match="is not a flow"):
        flow_from_bytes(cloudpickle.dumps([1]), "pickle")


def test_a_payload_tells_size_and_digest_of_all_its_parts():
    payload = Payload("pickle", [b"ab", b"", b"c"], {})
    assert payload.size == 3
    assert payload.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert "ab" not in repr(payload)


def test_packing_a_script_needs_one(tmp_path):
    for script, problem in [(None, "no script"), (tmp_path / "x.py", "x.py does not exist")]:
        with pytest.raises(ConfigurationError, match=problem):
            Packing(script, as_script=True).pack(flowhold.Flow("etl"))


def test_a_bundle_is_the_same_bytes_wherever_and_whenever_it_is_made(tmp_path):
    payloads = []
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "data").mkdir(parents=True)
        for path in (
            ("data/b.csv", "data/a.csv", "etl.py")
            if name == "one"
            else (
                "etl.py",
                "data/a.csv",
                "data/b.csv",
            )
        ):
            (folder / path).write_text(path)
            os.utime(folder / path, (len(payloads) * 1e6, len(payloads) * 1e6))
        packing = Packing(folder / "etl.py", as_script=True, include=["data/"])
        payloads.append((b"".join(packing.pack(flowhold.Flow("x")).parts), packing))
    assert payloads[0][0] == payloads[1][0]
    assert len({packing.fingerprint(flowhold.Flow("x")) for _, packing in payloads}) == 1
    (tmp_path / "two" / "data" / "b.csv").write_text("!")
    assert len({packing.fingerprint(flowhold.Flow("x")) for _, packing in payloads}) == 2


def test_the_distributions_that_a_flow_uses_are_recorded():
    flow = flowhold.Flow("etl")
    flow.given = pytest.fixture
    packages = register(flow, storage=Bytes()).environment["packages"]
    assert packages["pytest"] == pytest.__version__
    assert {"flowhold", "cloudpickle"} <= packages.keys()


def test_damage_in_a_stored_flow_whose_digest_fits_is_still_refused():
    payload = Packing(None).pack(flowhold.Flow("etl"))
    data = b"".join(payload.parts)
    for bad, error in [
        (data[:-1], SerializationError),
        (data[:10], SerializationError),
        (data.replace(b'"kind":"pickle"', b'"kind":"pickel"'), SerializationError),
        (data.replace(b"FLOWHOLD\0\1", b"FLOWHOLD\0\2"), SerializationError),
    ]:
        with pytest.raises(error):
            flow_from_bytes(bad, "pickle")
