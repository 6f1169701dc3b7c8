"""Signed references: made, checked before anything is opened, and bound to flow and version."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flowhold
from flowhold import Catalog, keyring
from flowhold.checking import check_reference
from flowhold.copying import copy_flows
from flowhold.dsse import MAX_SIGNATURES, Envelope
from flowhold.errors import (
    ConfigurationError,
    SerializationError,
    SignatureError,
    UnverifiedError,
)
from flowhold.fetching import fetch
from flowhold.keys import PrivateKey, PublicKey
from flowhold.reference import Reference
from flowhold.registering import register, register_all
from flowhold.signing import Signer, examine, signed_by
from flowhold.storage import Bytes, Local, Module

TYPE = "application/vnd.flowhold.reference+json"


def etl(value=1):
    return flowhold.flow(lambda: value, name="etl")


@pytest.fixture
def release():
    return keyring.create("release")


@pytest.fixture
def trusted(release):
    keyring.trust(release)
    return release


@pytest.fixture
def signed(release):
    return register(etl(), storage=Bytes(), sign="release")


def envelope(reference):
    return copy.deepcopy(dict(reference.signed))


def read(document):
    return Reference.from_json(json.dumps(document))


def sealed(fields, *keys):
    """Return the reference that a document with these signatures is."""
    content = Envelope(TYPE, fields if isinstance(fields, bytes) else json.dumps(fields).encode())
    signers = [PrivateKey.read(keyring.private_path(key)) for key in keys]
    signatures = tuple((each.public.id, each.sign(content.signed_bytes)) for each in signers)
    return read(dataclasses.replace(content, signatures=signatures).to_document())


def test_what_is_signed_is_as_the_specification_says():
    # The vector of the specification.
    pae = Envelope("http://example.com/HelloWorld", b"hello world").signed_bytes
    assert pae == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert Envelope("é", b"").signed_bytes == "DSSEv1 2 é 0 ".encode()


def test_a_signed_reference_is_a_standard_envelope_of_the_stored_document(signed, release):
    text = (Path("../flowhold/data/catalog/etl/0000000001.json")).read_text()
    document = json.loads(text)
    assert text == signed.to_json()
    assert document.keys() == {"payloadType", "payload", "signatures"}
    assert document["payloadType"] == TYPE
    payload = base64.b64decode(document["payload"])
    assert payload.decode() == dataclasses.replace(signed, signed=None).to_json()
    (entry,) = document["signatures"]
    assert entry["keyid"] == release.id
    data = b"DSSEv1 %d %b %d %b" % (len(TYPE), TYPE.encode(), len(payload), payload)
    assert release.holds(base64.b64decode(entry["sig"]), data)


def test_the_signature_is_of_the_same_bytes_again(release):
    signer = Signer(["release"])
    reference = register(etl(), storage=Bytes())
    assert signer(reference).to_json() == signer(reference).to_json()


def test_the_version_is_signed_and_each_registration_has_its_own(release):
    for number in range(1, 4):
        added = register(etl(number), storage=Bytes(), sign="release")
        payload = json.loads(base64.b64decode(added.signed["payload"]))
        assert (added.version, payload["version"]) == (number, number)
    assert Signer(["release"]).has_signed(Catalog().get("etl"))


def test_of_registrations_at_once_each_signature_is_over_its_own_version(trusted):
    flows = [flowhold.flow(lambda: 1, name=f"etl {number}") for number in range(8)]
    register_all(flows, storage=Bytes(), sign="release")
    signer = Signer(["release"])
    reference = register(etl(), storage=Bytes())
    # What another registration took meanwhile: the next number is signed instead.
    added = [Catalog().add(reference, newest=0, sign=signer) for _ in range(3)]
    assert [each.version for each in added] == [2, 3, 4]
    for each in added:
        assert flowhold.load(f"etl@{each.version}").run().result == 1


def test_trusted_signatures_load_by_every_way(trusted, signed, tmp_path):
    path = tmp_path / "etl.json"
    for text in (signed.to_json(), json.dumps(signed.to_dict())):
        path.write_text(text)
        for source in (signed, signed.to_dict(), json.loads(text), path, "etl", "etl@1"):
            assert flowhold.load(source).run().result == 1
    twin = pickle.loads(pickle.dumps(signed))
    assert (twin, twin.signed) == (signed, signed.signed)


def test_workers_in_other_processes_check_the_signature_too(trusted):
    with flowhold.Flow("etl") as flow:
        flowhold.task(lambda: 8, name="eight")()
    register(flow, storage=Bytes(), sign="release")
    with ProcessPoolExecutor(1) as pool:
        assert flowhold.load("etl").run(executor=pool).result == 8
        # What is not trusted any more is not loaded there.
        loaded = flowhold.load("etl")
        keyring.revoke("release")
        assert "is revoked" in str(loaded.run(executor=pool).error)


@pytest.mark.parametrize("setting", ["FLOWHOLD_TRUSTED_KEYS", "FLOWHOLD_REQUIRE_SIGNATURE"])
def test_a_signature_is_checked_before_a_storage_is_made(release, signed, monkeypatch, setting):
    if setting.endswith("KEYS"):
        monkeypatch.setenv(setting, release.to_text())
    else:
        monkeypatch.setenv(setting, "yes")
        keyring.trust(release)
    assert flowhold.load(signed).name == "etl"
    opened = []
    monkeypatch.setattr(Reference, "open_storage", lambda self: opened.append(self))
    document = envelope(signed)
    document["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
    bad = read(document)
    for refused in (
        lambda: flowhold.load(bad),
        lambda: fetch(bad, "folder"),
        lambda: next(copy_flows([bad], Bytes(), Catalog("other"))),
    ):
        with pytest.raises(SignatureError, match="did not sign this"):
            refused()
    assert opened == []


def test_what_is_used_is_what_was_signed(trusted, signed):
    edited = dataclasses.replace(signed, location="elsewhere")
    with pytest.raises(SignatureError, match="is not what was signed"):
        flowhold.load(edited)
    document = signed.to_dict()
    document["location"] = "elsewhere"
    with pytest.raises(SerializationError, match="not those that are signed"):
        flowhold.load(document)
    # Only those of a reference count: `register --json` adds others.
    assert flowhold.load({**signed.to_dict(), "unchanged": True}).name == "etl"


def test_a_fields_type_is_what_was_signed(trusted, signed):
    """True is 1 to Python, and so is 1.0: what is used comes from the signed bytes all the same."""
    storage = {**signed.storage, "options": {"overwrite": 0}}
    edited = dataclasses.replace(signed, storage=storage)
    from flowhold.trust import check_trust

    assert edited == signed
    assert check_trust(edited).storage["options"]["overwrite"] is False


def test_a_signature_of_an_unsigned_machine_is_carried_along(signed, tmp_path):
    assert flowhold.load("etl").run().result == 1
    (tmp_path / "out").mkdir()
    storage = Local(tmp_path / "flows")
    register(etl(2), storage=storage, sign="release")
    fetch(Catalog().get("etl"), tmp_path / "out")
    again = Reference.from_json((tmp_path / "out" / "reference.json").read_bytes())
    assert again.signed == Catalog().get("etl").signed


def test_floating_flows_cannot_be_signed(release):
    with pytest.raises(SignatureError, match="'etl' is floating") as caught:
        register(etl(), storage=Module("json"), sign="release")
    assert caught.value.hint
    assert Catalog().newest("etl") is None


def test_a_floating_reference_does_not_load_even_with_a_signature(trusted):
    floating = register(etl(), storage=Module("json"))
    with pytest.raises(UnverifiedError, match="floating"):
        flowhold.load(sealed(floating.to_dict(), "release"))


def test_a_flow_that_did_not_change_is_signed_once(release):
    keyring.create("second")
    assert register(etl(), storage=Bytes()).version == 1
    for sign, version in (("release", 2), (["release"], 2), (None, 2), ([], 2), ("second", 3)):
        assert register(etl(), storage=Bytes(), sign=sign).version == version
    both = register(etl(), storage=Bytes(), sign=["release", "second"])
    assert both.version == 4
    assert register(etl(), storage=Bytes(), sign="second").version == 4


def test_a_forged_signature_is_not_taken_for_ones_own(release, signed):
    entry = Path("../flowhold/data/catalog/etl/0000000001.json")
    document = json.loads(entry.read_text())
    document["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
    entry.write_text(json.dumps(document))
    assert register(etl(), storage=Bytes(), sign="release").version == 2


def test_one_trusted_signature_of_several_is_enough(release):
    other = keyring.create("other")
    both = register(etl(), storage=Bytes(), sign=["release", "other"])
    assert signed_by(both) == f"{release}, {other}"
    for key in (release, other):
        path = keyring.trust(key)
        assert flowhold.load(both).name == "etl"
        assert [each.problem for each in examine(both)].count(None) == 1
        path.unlink()
    keyring.trust(release)
    keyring.trust(other)
    keyring.revoke("release")
    assert flowhold.load(both).name == "etl"
    keyring.revoke("other")
    with pytest.raises(SignatureError, match=r"release .* is revoked; other .* is revoked"):
        flowhold.load(both)


def test_keys_are_rotated_without_a_gap(release):
    """Sign with both, trust the new one everywhere, drop the old one."""
    old = register(etl(1), storage=Bytes(), sign="release")
    keyring.trust(release)
    keyring.trust(keyring.create("next"))
    between = register(etl(2), storage=Bytes(), sign=["release", "next"])
    new = Catalog().rollback("etl", 1, sign="next")
    keyring.revoke("release")
    for reference in (between, new):
        assert flowhold.load(reference).name == "etl"
    with pytest.raises(SignatureError, match="is revoked"):
        flowhold.load(old)


@pytest.mark.parametrize(
    ("tampered", "said"),
    [
        (lambda key, other: [], "it has none"),
        (lambda key, other: [(other.public.id, other.sign)], "is not trusted"),
        (lambda key, other: [(key.public.id, other.sign)], "release .* did not sign this"),
        (lambda key, other: [("", other.sign)], "an unnamed key is none that is trusted"),
        (lambda key, other: [(other.public.id, key.sign)], "is not trusted"),
        (lambda key, other: [("release", key.sign)], "key release is not trusted"),
        (lambda key, other: [(key.public.id, lambda data: b"")], "did not sign this"),
        (lambda key, other: [(key.public.id, lambda data: key.sign(data[:-1]))], "did not sign"),
    ],
)
def test_signatures_that_do_not_count_are_told(trusted, signed, tampered, said):
    key = PrivateKey.read(keyring.private_path("release"))
    other = PrivateKey.new("other")
    content = Envelope.from_document(signed.signed)
    signatures = [(keyid, sign(content.signed_bytes)) for keyid, sign in tampered(key, other)]
    bad = read(dataclasses.replace(content, signatures=tuple(signatures)).to_document())
    with pytest.raises(
        SignatureError, match=f"no signature of etl@1 counts here: .*{said}"
    ) as caught:
        flowhold.load(bad)
    assert "keys trust FILE" in caught.value.hint
    # Beside one that counts it does no harm.
    good = (key.public.id, key.sign(content.signed_bytes))
    both = dataclasses.replace(content, signatures=(*signatures, good)).to_document()
    assert flowhold.load(read(both)).name == "etl"


def test_a_signature_without_a_key_id_is_tried_with_every_trusted_key(trusted, signed):
    keyring.trust(PublicKey(bytes(32), "another"))
    document = envelope(signed)
    for keyid in (None, "", "left out"):
        document["signatures"][0]["keyid"] = keyid
        if keyid == "left out":
            del document["signatures"][0]["keyid"]
        assert flowhold.load(read(document)).name == "etl"


def test_a_key_that_has_expired_neither_counts_nor_signs(trusted, signed, monkeypatch):
    keyring.trust(dataclasses.replace(trusted, expires=date(2030, 6, 1)))
    monkeypatch.setattr("flowhold.keys._today", lambda: date(2030, 6, 1))
    assert flowhold.load(signed).name == "etl"
    monkeypatch.setattr("flowhold.keys._today", lambda: date(2030, 6, 2))
    with pytest.raises(SignatureError, match="expired on 2030-06-01"):
        flowhold.load(signed)
    keyring.create("short", date(2030, 6, 1))
    with pytest.raises(ConfigurationError, match=r"short .* expired on 2030-06-01"):
        register(etl(2), storage=Bytes(), sign="short")


def test_a_signed_entry_of_another_flow_or_version_is_refused(trusted):
    first = register(etl(1), storage=Bytes(), sign="release")
    register(etl(2), storage=Bytes(), sign="release")
    other = register(flowhold.flow(lambda: 3, name="other"), storage=Bytes(), sign="release")
    for reference in (first, other):
        Catalog().store.put("etl/0000000002.json", reference.to_json().encode())
        with pytest.raises(SerializationError, match=f"is of {reference.flow}@1"):
            flowhold.load("etl")


def test_a_signed_reference_goes_to_another_catalog_under_its_own_number_only(trusted, signed):
    mirror = Catalog("mirror")
    assert mirror.add(signed) == signed
    assert mirror.get("etl").signed == signed.signed
    with pytest.raises(SignatureError, match="is signed as that version, and would be version 2"):
        mirror.add(signed)
    assert flowhold.load("etl", catalog=mirror).name == "etl"


def test_a_rollback_of_a_signed_version_needs_a_key(trusted, signed):
    register(etl(2), storage=Bytes(), sign="release")
    with pytest.raises(SignatureError, match="etl@1 is signed") as caught:
        Catalog().rollback("etl", 1)
    assert "--sign KEY" in caught.value.hint
    back = Catalog().rollback("etl", 1, sign="release")
    assert (back.version, back.sha256) == (3, signed.sha256)
    assert flowhold.load("etl").run().result == 1


@pytest.mark.parametrize("strict", [True, False])
def test_what_others_have_forged_is_not_signed_by_mistake(release, signed, strict):
    """With no trusted key, an own one has to have signed it."""
    if strict:
        keyring.trust(release)
    keyring.create("next")
    entry = Path("../flowhold/data/catalog/etl/0000000001.json")
    document = json.loads(entry.read_text())
    fields = json.loads(base64.b64decode(document["payload"]))
    fields["sha256"] = "0" * 64
    document["payload"] = base64.b64encode(json.dumps(fields).encode()).decode()
    intact = entry.read_text()
    entry.write_text(json.dumps(document))
    catalog = Catalog()
    with pytest.raises(SignatureError, match="did not sign this"):
        catalog.rollback("etl", 1, sign="next")
    with pytest.raises(SignatureError, match="did not sign this"):
        next(copy_flows([catalog.get("etl")], Bytes(), catalog, sign=Signer(["next"])))
    entry.write_text(intact)
    assert catalog.rollback("etl", 1, sign="next").version == 2


def test_what_lost_its_signature_is_not_signed_again(release):
    register(etl(), storage=Bytes())
    catalog = Catalog()
    for _ in range(2):
        with pytest.raises(SignatureError, match="is not signed"):
            catalog.rollback("etl", 1, sign="release")
        with pytest.raises(SignatureError, match="is not signed"):
            next(copy_flows([catalog.get("etl")], Bytes(), catalog, sign=Signer(["release"])))
        keyring.trust(release)
    assert catalog.versions("etl") == [1]


def test_a_copy_is_signed_anew_and_keeps_the_signed_original(trusted, signed):
    other = keyring.create("other")
    keyring.trust(other)
    signer = Signer(["other"])
    (copied,) = copy_flows([signed], Local("flows"), Catalog("other"), sign=signer)
    assert signed_by(copied) == str(other)
    assert flowhold.load("etl", catalog="other").run().result == 1
    original = Reference.from_dict(copied.extra["copied_from"]["signed"])
    assert (original, original.signed) == (signed, signed.signed)
    detail = check_reference(copied)[0].detail
    assert detail == f"signed by {other}, trusted; a copy of etl@1, signed by {trusted}, trusted"
    # The history goes on, through a copy that is not signed too.
    (again,) = copy_flows([copied], Bytes(), Catalog("third"))
    assert again.signed is None
    with pytest.raises(SignatureError, match="is not signed"):
        flowhold.load(again)
    document = again.extra["copied_from"]["signed"]
    assert Reference.from_dict(document).extra["copied_from"]["signed"] == signed.signed


def test_copies_of_unsigned_copies_remember_both():
    first = register(etl(), storage=Bytes())
    catalog = Catalog("other")
    (one,) = copy_flows([first], Local("flows"), catalog)
    (two,) = copy_flows([one], Bytes(), catalog)
    assert two.extra["copied_from"]["storage"] == "local"
    assert two.extra["copied_from"]["copied_from"]["storage"] == "bytes"


def test_verify_tells_what_a_signature_is_worth(release, signed):
    def detail(reference):
        return check_reference(reference, load=False)[0]

    text = f"signed by {release}, not checked: no key is trusted here"
    assert (detail(signed).status, detail(signed).detail) == ("ok", text)
    keyring.trust(release)
    assert detail(signed).detail == f"signed by {release}, trusted"
    keyring.revoke("release")
    assert detail(signed).status == "fail"
    assert detail(signed).detail.endswith(f"{release} is revoked")
    assert {check.status for check in check_reference(signed)[1:-1]} == {"skip"}


@pytest.mark.parametrize("origin", [7, {"signed": 7}, {"signed": {}}, {"signed": "other"}])
def test_verify_is_not_misled_by_what_a_copy_says(release, origin):
    if origin == {"signed": "other"}:
        origin = {"signed": register(etl(9), storage=Bytes(), sign="release").signed}
    reference = register(etl(), storage=Bytes())
    detail = check_reference(dataclasses.replace(reference, extra={"copied_from": origin}))[
        0
    ].detail
    said = detail.partition("; ")[2]
    assert said.startswith("what it says it is a copy of") if origin != 7 else not said


def test_old_versions_that_no_trusted_key_has_signed_are_pruned_but_their_objects_stay(trusted):
    storage = Local("flows")
    plain = register(etl(1), storage=storage)
    signed = register(etl(2), storage=storage, sign="release")
    register(etl(3), storage=storage, sign="release")
    with pytest.warns(UserWarning, match="no trusted key has signed stay"):
        removed = Catalog().prune("etl", 1)
    assert [each.version for each in removed] == [1, 2]
    assert Catalog().versions("etl") == [3]
    assert Path(plain.location).exists()
    assert not Path(signed.location).exists()


def test_without_the_extra_signed_flows_do_not_load_and_the_error_says_what_to_install(
    trusted, signed
):
    code = """
import sys
sys.modules["cryptography"] = None
import flowhold
from flowhold.checking import check_reference
from flowhold.errors import SignatureError
reference = flowhold.Catalog().get("etl")
for call in (lambda: flowhold.load("etl"), lambda: flowhold.register(len, sign="release")):
    try:
        call()
        sys.exit("worked")
    except SignatureError as error:
        assert error.hint == 'pip install "flowhold[signing]"', error.hint
assert check_reference(reference)[0].hint == 'pip install "flowhold[signing]"'
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_signed_references_load_without_the_extra_where_none_is_asked_for(signed):
    code = """
import sys
sys.modules["cryptography"] = None
import flowhold
print(flowhold.load("etl").run().result)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert done.stdout == b"1\n"


def test_a_project_cannot_add_a_key(release, signed):
    keyring.trust(PublicKey(bytes(32), "another"))
    Path("flowhold.toml").write_text(f"trusted_keys = ['{release.to_text()}']")
    refused = pytest.raises(SignatureError, match="is not trusted")
    with pytest.warns(UserWarning, match="trusted_keys .* is ignored"), refused:
        flowhold.load(signed)


def test_url_safe_base64_is_read_too(trusted):
    # Some text whose base64 has the characters that differ.
    found = register(flowhold.flow(lambda: 1, name="etl ÿ>?~ÿ>?"), storage=Bytes(), sign="release")
    document = envelope(found)
    for entry, name in ((document, "payload"), (document["signatures"][0], "sig")):
        entry[name] = entry[name].replace("+", "-").replace("/", "_")
    assert flowhold.load(read(document)).name == found.flow


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(payloadType="application/vnd.in-toto+json"),
        lambda document: document.update(payloadType=""),
        lambda document: document.update(payloadType="\ud800"),
        lambda document: document.update(payload=document["payload"] + "="),
        lambda document: document.update(payload=document["payload"] + "\n"),
        lambda document: document.update(payload=" " + document["payload"]),
        lambda document: document.update(payload=None),
        lambda document: document.update(signatures={}),
        lambda document: document.update(signatures=document["signatures"] * (MAX_SIGNATURES + 1)),
        lambda document: document["signatures"].append("x"),
        lambda document: document["signatures"].append({"keyid": "x"}),
        lambda document: document["signatures"].append({"keyid": 5, "sig": ""}),
        lambda document: document["signatures"].append({"keyid": "x", "sig": "?"}),
        lambda document: document["signatures"].append({"keyid": "x", "sig": "QR=="}),
        lambda document: document.pop("signatures"),
    ],
)
def test_an_envelope_that_is_none_is_refused(signed, change):
    document = envelope(signed)
    change(document)
    with pytest.raises(SerializationError):
        read(document)


def test_names_that_come_twice_are_refused(trusted, signed):
    for text in (signed.to_json(), dataclasses.replace(signed, signed=None).to_json()):
        name = next(iter(json.loads(text)))
        with pytest.raises(SerializationError, match="a name is in it twice"):
            Reference.from_json(text.replace("{", f'{{"{name}": "", ', 1))
    payload = base64.b64decode(signed.signed["payload"])
    with pytest.raises(SerializationError, match="a name is in it twice"):
        sealed(payload.replace(b'"kind"', b'"location": "x", "kind"'), "release")


def test_what_is_signed_is_not_signed_inside(signed):
    for content in (signed.to_dict(), signed.signed, {**signed.to_dict(), "payloadType": TYPE}):
        with pytest.raises(SerializationError, match="is signed itself"):
            sealed(content, "release")


texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
ANY = PrivateKey.new("any").public
NAMES = st.sampled_from(["payloadType", "payload", "signatures", "keyid", "sig"])


@given(st.dictionaries(NAMES | texts, values | st.just(TYPE), max_size=5) | values)
@settings(max_examples=200, deadline=None)
def test_a_document_is_an_envelope_or_an_error_of_ours(document):
    try:
        found = Envelope.from_document(document)
    except SerializationError:
        return
    assert Envelope.from_document(found.to_document()) == found


@given(st.lists(st.dictionaries(NAMES, values | texts, max_size=3) | values, max_size=4))
@settings(max_examples=100, deadline=None)
def test_signatures_of_any_shape_are_read_or_refused(entries):
    document = {"payloadType": TYPE, "payload": "", "signatures": entries}
    try:
        Envelope.from_document(document)
    except SerializationError:
        return
    assert all(isinstance(entry, dict) for entry in entries)


@given(st.binary(max_size=50), st.binary(max_size=64), texts)
@settings(max_examples=60, deadline=None)
def test_no_made_up_signature_counts(payload, signature, keyid):
    content = Envelope(TYPE, payload, ((keyid, signature),))
    assert Envelope.from_document(json.loads(json.dumps(content.to_document()))) == content
    assert not ANY.holds(signature, content.signed_bytes)
