"""Signed references that were changed, and catalogs that were set back, are refused.

Who can write the catalog can do anything to its entries. All that is stored here makes a file when
it is unpickled: the canary. One key is trusted, so that nothing may run but what it has signed.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import date
from itertools import combinations
from pathlib import Path

import pytest

import flowhold
from flowhold import Catalog, Reference, keyring
from flowhold.dsse import Envelope
from flowhold.errors import FlowholdError, IntegrityError, SignatureError
from flowhold.keys import PrivateKey
from flowhold.reference import PAYLOAD_TYPE
from flowhold.registering import register
from flowhold.storage import Local

SIGNED = "tamper, signature: a reference loads as a trusted key has signed it, or is refused"
BACK = "tamper, catalog entry: a catalog that was set back is refused as the newest"


class Singer:
    """Makes a file when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


class Scene:
    """A catalog with signed flows in it, what an attacker has, and the canaries."""

    def __init__(self, base):
        self.base = base
        self.catalog = Catalog()
        keyring.trust(keyring.create("good"))
        keyring.create("foreign")
        keyring.trust(keyring.create("expired"))
        keyring.trust(keyring.create("revoked"))
        self.old = self.add("etl", 1)
        self.mine = self.add("etl", 2)
        self.other = self.add("other", 1)
        self.evil = self.store("etl", "evil").references()[0]
        self.evil = replace(self.evil, version=2)
        path = base / "flowhold/data/catalog/etl/0000000002.json"
        self.path, self.text = path, path.read_bytes()

    def store(self, name, canary):
        storage = Local(self.base / f"flows-{canary}", result=False, add_default_labels=False)
        flow = flowhold.Flow(name)
        flow.singer = Singer(self.base / f"canary-{canary}")
        storage.add_flow(flow)
        return storage.build()

    def add(self, name, number):
        stored = self.store(name, f"{name}-{number}").references()[0]
        return self.catalog.add(stored, sign="good")

    def sang(self):
        canaries = sorted(self.base.glob("canary-*"))
        for canary in canaries:
            canary.unlink()
        return [canary.name for canary in canaries]

    def load(self, entry):
        self.path.write_bytes(entry)
        return flowhold.load("etl")


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def document(reference):
    return json.loads(reference.to_json())


def signed(fields, *keys, kind=PAYLOAD_TYPE, claimed=PAYLOAD_TYPE):
    """Return an envelope over some fields; ``kind`` is signed and ``claimed`` is said."""
    content = Envelope(kind, json.dumps(fields).encode())
    data = content.signed_bytes
    privates = [PrivateKey.read(keyring.private_path(key)) for key in keys]
    signatures = tuple((key.public.id, key.sign(data)) for key in privates)
    return replace(content, payload_type=claimed, signatures=signatures).to_document()


def expire_and_revoke():
    (ended,) = [key for key in keyring.own() if key.name == "expired"]
    keyring.trust(replace(ended, expires=date(2020, 1, 1)))
    keyring.revoke("revoked")


def test_the_canary_sings_for_what_was_signed(scene):
    assert scene.load(scene.text).name == "etl"
    assert scene.sang() == ["canary-etl-2"]


def test_entries_in_which_a_bit_was_changed(scene, trying, sample):
    """What an envelope says beside the signed bytes may change: what is loaded may not."""
    flips = [(at, 1 << bit) for at in range(len(scene.text)) for bit in range(8)]
    for at, bit in trying(SIGNED, sample(flips, 400)):
        changed = bytearray(scene.text)
        changed[at] ^= bit
        try:
            flow = scene.load(bytes(changed))
        except FlowholdError:
            assert scene.sang() == [], at
        else:
            assert flow._source == scene.mine, at
            assert scene.sang() == ["canary-etl-2"], at


def test_entries_that_were_cut_off(scene, trying, sample):
    for length in trying(SIGNED, sample(range(len(scene.text)), 100)):
        with pytest.raises(FlowholdError):
            scene.load(scene.text[:length])
        assert scene.sang() == []


def evils(scene):
    """Yield what an attacker writes in place of an entry, by what it is."""
    mine, other, old = document(scene.mine), document(scene.other), document(scene.old)
    evil = scene.evil.to_dict()
    for keys in (["foreign"], ["expired"], ["revoked"], ["foreign", "expired", "revoked"], []):
        yield f"signed with {keys}", signed(evil, *keys)
        found = signed(evil, *keys)
        both = found["signatures"] + mine["signatures"]
        yield f"signed with {keys}, and a signature of mine", {**found, "signatures": both}
    for whose, foreign in (("another flow", other), ("an older version", old)):
        yield f"all of {whose}", foreign
        yield f"the payload of {whose}", {**mine, "payload": foreign["payload"]}
        yield f"the signature of {whose}", {**mine, "signatures": foreign["signatures"]}
    stripped = replace(scene.mine, signed=None).to_dict()
    for name, fields in (("mine", stripped), ("evil", evil)):
        yield f"unsigned, {name}", fields
        yield f"unsigned, but with the name, {name}", {**fields, "signed": None}
        yield f"beside what is signed, {name}", {**fields, "signed": mine, "location": "x"}
    for key in ("foreign", "good"):
        yield f"an envelope in one of {key}", signed({**evil, "signed": mine}, key)
    # The good key has signed the evil bytes, as something else.
    for kind in ("application/vnd.in-toto+json", "application/json", "", PAYLOAD_TYPE + " "):
        yield f"signed as {kind!r}", signed(evil, "good", kind=kind)
        yield f"said to be {kind!r}", signed(evil, "good", claimed=kind)
        yield f"signed and said to be {kind!r}", signed(evil, "good", kind=kind, claimed=kind)
        yield f"mine, said to be {kind!r}", {**mine, "payloadType": kind}
    (entry,) = mine["signatures"]
    foreign = signed(evil, "foreign")["signatures"][0]
    payload = signed(evil)["payload"]
    for keyid in ("", None, entry["keyid"], foreign["keyid"], "x", entry["keyid"][:-1]):
        for sig in (entry["sig"], foreign["sig"], "", "AAAA"):
            forged = {"payloadType": PAYLOAD_TYPE, "payload": payload}
            yield "evil bytes", {**forged, "signatures": [{"keyid": keyid, "sig": sig}]}
            if sig != entry["sig"]:
                yield "bad signature", {**mine, "signatures": [{"keyid": keyid, "sig": sig}]}
    for name, value in {
        "version": 3,
        "location": "x",
        "sha256": "0" * 64,
        "kind": "script",
    }.items():
        fields = json.loads(base64.b64decode(mine["payload"])) | {name: value}
        changed = base64.b64encode(json.dumps(fields).encode()).decode()
        yield f"edited {name}", {**mine, "payload": changed}
    respelled = base64.b64encode(base64.b64decode(mine["payload"]) + b"\n").decode()
    yield "a byte more", {**mine, "payload": respelled}


def test_entries_that_an_attacker_wrote(scene, trying):
    cases = [*evils(scene)]
    expire_and_revoke()
    for name, entry in trying(SIGNED, cases):
        with pytest.raises(FlowholdError):
            scene.load(json.dumps(entry).encode())
        assert scene.sang() == [], name


def test_entries_that_say_a_name_twice(scene, trying):
    mine, evil = document(scene.mine), signed(scene.evil.to_dict(), "foreign")
    texts = []
    for names in (("payload",), ("signatures",), ("payloadType",), ("payload", "signatures")):
        for first, last in ((mine, evil), (evil, mine)):
            head = "".join(f"{json.dumps(name)}: {json.dumps(first[name])}, " for name in names)
            texts.append("{" + head + json.dumps(last)[1:])
    for text in trying(SIGNED, texts):
        with pytest.raises(FlowholdError):
            scene.load(text.encode())
        assert scene.sang() == [], text


def test_references_that_were_edited_after_they_were_read(scene, trying):
    edits = {"location": scene.evil.location, "sha256": scene.evil.sha256, "version": 7}
    edits |= {"storage": scene.evil.storage, "extra": {"more": 1}, "flow": "other"}
    edits |= {"size": 1, "kind": "script", "created": "now", "environment": {"python": "1"}}
    names = [*combinations(edits, 1), *combinations(edits, 2), tuple(edits)]
    for chosen in trying(SIGNED, names):
        edited = replace(scene.mine, **{name: edits[name] for name in chosen})
        with pytest.raises(SignatureError):
            flowhold.load(edited)
        assert scene.sang() == []


def test_entries_that_were_moved(scene, trying):
    """Under another number, or another name, nothing loads."""
    places = [("etl", number) for number in (1, 3, 4, 10, 9_999_999_999)]
    places += [(name, number) for name in ("other", "new") for number in (1, 2, 3)]
    for name, number in trying(SIGNED, places):
        path = scene.path.parent.with_name(name) / f"{number:010}.json"
        before = path.read_bytes() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(scene.text)
        for asked in (name, f"{name}@{number}"):
            if (asked, number) != ("etl", 1):  # whose newest is the second as before
                with pytest.raises(FlowholdError):
                    flowhold.load(asked)
                assert scene.sang() == []
        path.unlink() if before is None else path.write_bytes(before)
    assert flowhold.load("etl").name == "etl"


def test_a_catalog_of_which_entries_were_taken_away(tmp_path, trying, size):
    """Whichever are gone: the newest is the one that was seen, or there is an error."""
    count = size(7, 4)
    catalog = Catalog()
    flow = flowhold.Flow("etl")
    for _ in range(count):
        register(flow, storage=Local(tmp_path / "flows"), force=True)
    entries = sorted((tmp_path / "flowhold/data/catalog/etl").glob("*.json"))
    texts = [path.read_bytes() for path in entries]

    def add(name):
        return catalog.add(Reference(name, {"type": "local", "options": {}}, "x", "pickle"))

    gone = [few for number in range(count + 1) for few in combinations(range(count), number)]
    for indexes in trying(BACK, gone):
        for index in indexes:
            entries[index].unlink()
        if count - 1 in indexes:
            for attempt in (catalog.newest, catalog.get, add):
                with pytest.raises(IntegrityError):
                    attempt("etl")
        else:
            assert flowhold.load("etl")._source.version == count
        for version in range(1, count + 1):
            if version - 1 not in indexes:
                assert flowhold.load(f"etl@{version}")._source.version == version
        entries[0].parent.mkdir(exist_ok=True)
        for index in indexes:
            entries[index].write_bytes(texts[index])
    assert flowhold.load("etl")._source.version == count
