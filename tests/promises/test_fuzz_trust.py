"""Whatever signatures, keys and files of secrets hold: a value, or an error of Flowhold."""

from __future__ import annotations

import json
from datetime import date

from hostile_values import document, mutated, texts, values
from hypothesis import strategies as st

import flowhold
from flowhold import keyring
from flowhold.dsse import Envelope
from flowhold.errors import SecretNotFoundError
from flowhold.keys import PrivateKey, PublicKey
from flowhold.reference import PAYLOAD_TYPE, Reference
from flowhold.signing import verified
from flowhold.trust import check_trust


def test_signed_references(fuzz):
    key = PrivateKey.new("fuzz")
    fields = Reference("etl", {"type": "memory"}, "etl", "pickle", version=1, sha256="0" * 64)
    content = Envelope(PAYLOAD_TYPE, fields.to_json().encode())
    signatures = ((key.public.id, key.sign(content.signed_bytes)),)
    good = Envelope(content.payload_type, content.payload, signatures).to_document()
    entries = st.lists(document(good["signatures"][0]) | values, max_size=3)
    near = document(good) | entries.map(lambda signed: {**good, "signatures": signed})
    beside = near.map(lambda signed: {**fields.to_dict(), "signed": signed})
    raw = mutated(json.dumps(good).encode())

    def read(text):
        found = verified(Reference.from_json(text), [key.public])
        assert found == fields

    fuzz((near | beside).map(json.dumps) | raw, reader=read)


def test_public_keys(fuzz, home):
    key = PublicKey(bytes(32), "release", date(2030, 1, 1))
    body = key.to_text().split()[1]
    pem = f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"
    path = home / "some.pub"

    def read(data):
        path.write_bytes(data)
        found = PublicKey.read(path)
        assert PublicKey.from_text(found.to_text()) == found
        assert len(found.raw) == 32

    fuzz(mutated(key.to_text().encode()) | mutated(pem.encode()) | st.binary(), reader=read)


def test_private_keys(fuzz, home):
    good = PrivateKey.new("fuzz")
    path = home / "some.key"
    path.touch(0o600)

    def read(data):
        path.write_bytes(data)
        assert len(PrivateKey.read(path).sign(b"")) == 64

    fuzz(mutated(good.to_pem()) | st.binary(), reader=read)


def test_folders_of_trusted_keys(fuzz, home, monkeypatch):
    """A folder with any file in it never lets load what is not signed."""
    key = PublicKey(bytes(32), "release", date(2030, 1, 1))
    place = home / "config" / "keys" / "trusted" / "release.pub"
    place.parent.mkdir(parents=True)
    chosen = st.sampled_from(["", "release", key.to_text(), "keys/trusted/release.pub", " ,,", ","])
    unsigned = Reference("etl", {"type": "memory"}, "etl", "pickle", version=1, sha256="0" * 64)

    def read(data, setting):
        place.write_bytes(data)
        monkeypatch.setenv("FLOWHOLD_TRUSTED_KEYS", setting)
        for found in keyring.trusted():
            assert len(found.raw) == 32
        check_trust(unsigned)
        raise AssertionError("it loads")

    fuzz(mutated(key.to_text().encode()) | st.binary(max_size=99), chosen, reader=read)


def test_files_of_secrets(fuzz, home):
    good = b"TOKEN = 'a'\nOTHER = \"b\"\n[more]\nTOKEN = 'c'\n"
    path = home / "config" / "secrets.toml"
    path.touch(0o600)

    def read(data, name):
        path.write_bytes(data)
        assert isinstance(flowhold.secret(name), str)

    names = st.sampled_from(["TOKEN", "OTHER", "more"]) | texts
    fuzz(mutated(good) | st.binary(max_size=60), names, reader=read)


def test_folders_of_secrets(fuzz, home, monkeypatch):
    folder = home / "secrets"
    (folder / "below").mkdir(parents=True)
    (home / "outside").write_text("outside")
    monkeypatch.setenv("FLOWHOLD_SECRETS_DIR", str(folder))
    names = st.sampled_from(["TOKEN", "below", "../outside", "..", ".", "below/../../outside"])

    def read(name, data):
        (folder / "TOKEN").write_bytes(data)
        try:
            found = flowhold.secret(name)
        except SecretNotFoundError:
            assert name != "TOKEN"
            raise
        assert name == "TOKEN"
        assert found.encode() in data

    fuzz(names | texts, st.binary(max_size=60) | texts.map(_utf8), reader=read)


def _utf8(text):
    return text.encode(errors="replace")
