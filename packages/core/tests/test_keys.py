"""Keys: as text, as files, and which of them count on this machine."""

from __future__ import annotations

import base64
import hashlib
import os
import pickle
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowhold import keyring
from flowhold.errors import ConfigurationError, FlowholdError
from flowhold.keys import PrivateKey, PublicKey

PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
NO_PASSWORD = serialization.NoEncryption()
CONFIG = Path("../flowhold/config")


@pytest.fixture
def release():
    return keyring.create("release")


def private(key, encryption=NO_PASSWORD):
    return key.private_bytes(PEM, PKCS8, encryption)


def today():
    return datetime.now(timezone.utc).date()


def test_a_key_is_made_as_two_files_and_only_its_owner_can_read_the_private_one(release):
    private, public = (CONFIG / "keys" / f"release.{kind}" for kind in ("key", "pub"))
    assert private.stat().st_mode & 0o777 == 0o600
    assert public.read_text() == release.to_text() + "\n"
    again = serialization.load_pem_private_key(private.read_bytes(), None)
    assert again.public_key().public_bytes_raw() == release.raw
    assert keyring.own() == [release]


def test_the_text_of_a_key_is_its_der_and_its_id_the_hash_of_that(release):
    kind, encoded, name = release.to_text().split()
    der = base64.b64decode(encoded)
    loaded = serialization.load_der_public_key(der)
    assert (kind, name) == ("ed25519", "release")
    assert loaded.public_bytes_raw() == release.raw
    assert release.id == hashlib.sha256(der).hexdigest()[:16]
    assert str(release) == f"release ({release.id})"


def test_a_key_is_read_from_its_line_from_a_file_and_from_pem(release, tmp_path):
    ends = PublicKey(release.raw, "other", date(2030, 12, 31))
    assert PublicKey.from_text(ends.to_text()) == ends
    assert PublicKey.from_text(f"# a comment\n\n{release.to_text()}\n\n") == release
    assert PublicKey.from_text(" ".join(release.to_text().split()[:2])).name == release.id
    loaded = ed25519.Ed25519PublicKey.from_public_bytes(release.raw)
    pem = loaded.public_bytes(PEM, SPKI).decode()
    assert PublicKey.from_text(pem) == PublicKey(release.raw, release.id)
    path = tmp_path / "their.pem"
    path.write_text(pem)
    assert PublicKey.read(path) == PublicKey(release.raw, "their")
    assert pickle.loads(pickle.dumps(release)) == release


@pytest.mark.parametrize(
    "change",
    [
        lambda line: "",
        lambda line: "ed25519",
        lambda line: line.replace("ed25519", "rsa"),
        lambda line: line.replace("MCow", "MCox"),
        lambda line: line.replace("=", ""),
        lambda line: line + " expires=2030-13-01",
        lambda line: line + " expires=20301201",
        lambda line: line + " expires=",
        lambda line: line + " forever=yes",
        lambda line: line + " two names",
        lambda line: line.replace("release", "../release"),
        lambda line: f"{line}\n{line}",
        lambda line: f"ed25519 {base64.b64encode(b'x' * 32).decode()} raw",
        lambda line: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    ],
)
def test_what_is_no_public_key_is_refused(release, change):
    with pytest.raises(ConfigurationError, match="this text is not a public key"):
        PublicKey.from_text(change(release.to_text()))


@given(st.text(max_size=60) | st.from_regex(r"ed25519 [A-Za-z0-9+/=]{0,70}( \w+)?", fullmatch=True))
@settings(max_examples=200, deadline=None)
def test_a_text_is_a_key_or_an_error_of_ours(text):
    try:
        key = PublicKey.from_text(text)
    except ConfigurationError:
        return
    assert PublicKey.from_text(key.to_text()) == key


@given(st.binary(max_size=200))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_file_is_a_key_or_an_error_of_ours(tmp_path, data):
    path = tmp_path / "some.key"
    path.write_bytes(data)
    path.chmod(0o600)
    for read in (PrivateKey.read, PublicKey.read):
        with pytest.raises(FlowholdError):
            read(path)


def test_a_private_key_of_openssl_signs(tmp_path):
    key = ed25519.Ed25519PrivateKey.generate()
    path = tmp_path / "ci.pem"
    path.write_bytes(private(key))
    path.chmod(0o600)
    read = PrivateKey.read(path)
    assert read.public == PublicKey(key.public_key().public_bytes_raw(), "ci")
    assert read.public.holds(read.sign(b"data"), b"data")
    assert not read.public.holds(read.sign(b"data"), b"date")
    assert not read.public.holds(b"", b"data")


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
def test_a_private_key_that_others_can_read_or_change_is_refused(release, mode):
    path = keyring.private_path("release")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="other users may read or change it") as caught:
        PrivateKey.read(path)
    assert caught.value.hint == f"run: chmod 600 {path}"


def private_ones():
    """Keys of other kinds, with a password, cut off, or with another heading."""
    new = ed25519.Ed25519PrivateKey.generate
    yield from (b"", b"no key", private(ec.generate_private_key(ec.SECP256R1())))
    yield private(new(), serialization.BestAvailableEncryption(b"word"))
    yield private(new())[:-40]
    yield private(new()).replace(b"PRIVATE", b"PUBLIC")


@pytest.mark.parametrize("data", [*private_ones()], ids=range(6))
def test_what_is_no_private_key_is_refused_without_showing_it(tmp_path, data):
    path = tmp_path / "bad.key"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="is not a private key of Ed25519") as caught:
        PrivateKey.read(path)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    frame = error.__traceback__
    while frame:
        if "flowhold" in frame.tb_frame.f_code.co_filename:
            assert data not in frame.tb_frame.f_locals.values() or data == b""
        frame = frame.tb_next if "tests" in frame.tb_frame.f_code.co_filename else None


def test_a_private_key_shows_itself_nowhere(release):
    key = PrivateKey.read(keyring.private_path("release"))
    seed = base64.b64decode(key.to_pem().split(b"\n")[1])[-32:]
    assert repr(key) == f"<private key {release}>"
    assert seed.hex() not in repr(key)


def test_a_key_that_is_not_there_is_told(release):
    for read in (PrivateKey.read, PublicKey.read):
        with pytest.raises(ConfigurationError, match="cannot be read: No such file") as caught:
            read(keyring.private_path("nobody"))
        assert "keys list" in caught.value.hint
        with pytest.raises(ConfigurationError):
            read(Path("a\0b"))


def test_a_key_is_named_or_its_path_given(release, tmp_path):
    assert keyring.private_path("release") == keyring.folder() / "release.key"
    for path in ("release.key", "./release", "ci.pem", str(tmp_path / "x")):
        assert keyring.private_path(path) == Path(path)
    assert keyring.private_path(Path("~/ci.key")) == Path.home() / "ci.key"


def test_a_key_is_made_once(release):
    assert keyring.own() == [release]
    for kind in ("pub", "key"):
        with pytest.raises(ConfigurationError, match=rf"release\.{kind} exists already"):
            keyring.create("release")
        (CONFIG / "keys" / f"release.{kind}").rename(f"release.{kind}")
    assert keyring.create("release") != release


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "-x", "é", "x" * 65, "a.key", "\0"])
def test_a_name_that_is_none_is_refused(name, release):
    with pytest.raises(ConfigurationError, match="cannot be the name of a key"):
        keyring.create(name)
    with pytest.raises(ConfigurationError, match="cannot be the name of a key"):
        keyring.trust(PublicKey(release.raw, name))


def test_a_key_counts_up_to_its_last_day(release):
    for days, flaw in ((1, None), (0, None), (-1, f"expired on {today() - timedelta(1)}")):
        key = PublicKey(release.raw, "release", today() + timedelta(days))
        assert keyring.flaw_of(key) == flaw


def test_what_was_added_is_trusted_unless_the_setting_chooses(release, monkeypatch):
    assert not keyring.is_strict()
    other = PublicKey(bytes(32), "other")
    for key in (release, other):
        keyring.trust(key)
    assert keyring.is_strict()
    assert keyring.trusted() == [other, release]
    monkeypatch.setenv("FLOWHOLD_TRUSTED_KEYS", "release")
    assert keyring.trusted() == [release]


def test_the_setting_takes_names_files_and_texts(release, tmp_path, monkeypatch):
    keyring.trust(release)
    (tmp_path / "flowhold" / "config" / "team").mkdir()
    beside = tmp_path / "flowhold" / "config" / "team" / "their.pub"
    beside.write_text(PublicKey(bytes(32), "their").to_text())
    # A file of the working directory, which may be somebody else's, is another one.
    Path("team").mkdir()
    Path("team/their.pub").write_text("not this")
    text = PublicKey(bytes([1] * 32), "text").to_text()
    monkeypatch.setenv("FLOWHOLD_TRUSTED_KEYS", f"release, team/their.pub, {beside}, {text}")
    assert [key.name for key in keyring.trusted()] == ["release", "their", "their", "text"]


@pytest.mark.parametrize(
    "entry", ["nobody", "no/file.pub", "ed25519 AAAA", "a b", "file.pub", "~x/y"]
)
def test_a_trusted_key_that_cannot_be_read_is_an_error_and_not_left_out(entry, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_TRUSTED_KEYS", entry)
    assert keyring.is_strict()
    with pytest.raises(ConfigurationError):
        keyring.trusted()


def test_a_damaged_file_among_the_trusted_ones_is_an_error(release):
    keyring.trust(release)
    (keyring.folder() / "trusted" / "bad.pub").write_text("?")
    assert keyring.is_strict()
    with pytest.raises(ConfigurationError, match=r"bad\.pub is not a public key"):
        keyring.trusted()


def test_a_trusted_key_gets_another_last_day_but_no_other_key_its_name(release):
    path = keyring.trust(release)
    keyring.trust(PublicKey(release.raw, "release", date(2030, 1, 1)))
    assert PublicKey.read(path).expires == date(2030, 1, 1)
    with pytest.raises(ConfigurationError, match="exists already"):
        keyring.trust(PublicKey(bytes(32), "release"))
    assert [path.name] == os.listdir(path.parent)


def test_a_revoked_key_stays_revoked_and_everything_stays_strict(release):
    keyring.trust(release)
    assert keyring.revoke("release") == (release.id, [release])
    assert keyring.revoke(release.id) == (release.id, [release])
    assert keyring.flaw_of(release) == "is revoked"
    assert keyring.is_strict()
    assert keyring.revoked() == [release.id]
    with pytest.raises(ConfigurationError, match="is revoked") as caught:
        keyring.trust(release)
    os.unlink(caught.value.hint.rpartition(" ")[2])
    assert keyring.flaw_of(release) is None


def test_a_key_that_is_not_known_here_is_revoked_by_its_id(release):
    assert keyring.revoke("0123456789abcdef") == ("0123456789abcdef", [])
    assert keyring.is_revoked("0123456789abcdef")
    for which in ("nobody", "0123", "../../x", "0123456789ABCDEF", ""):
        assert not keyring.is_revoked(which)
        with pytest.raises(ConfigurationError, match="no key here has the name"):
            keyring.revoke(which)
    keyring.trust(PublicKey(bytes(32), "release"))
    with pytest.raises(ConfigurationError, match="several keys have the name"):
        keyring.revoke("release")


def test_folders_that_cannot_be_read_or_written_are_told(release, as_anybody):
    code = """
import os, sys
from flowhold import keyring
from flowhold.errors import ConfigurationError
trusted = keyring.folder() / "trusted"
trusted.mkdir()
(trusted / "a.pub").write_text("?")
os.chmod(trusted, 0)
try:
    for attempt in (keyring.is_strict, keyring.trusted):
        try:
            attempt()
            sys.exit("a folder that cannot be read is as good as none")
        except ConfigurationError as error:
            assert "cannot be read: Permission denied" in str(error)
    os.chmod(keyring.folder(), 0o500)
    for attempt in (lambda: keyring.create("new"), lambda: keyring.revoke("0" * 16)):
        try:
            attempt()
            sys.exit("written")
        except ConfigurationError as error:
            assert "cannot be written" in str(error)
finally:
    os.chmod(keyring.folder(), 0o700)
    os.chmod(trusted, 0o700)
"""
    done = as_anybody("-c", code)
    assert done.returncode == 0, done.stderr


def test_without_the_extra_errors_say_what_to_install(release):
    code = """
import sys
sys.modules["cryptography"] = None
from flowhold import keyring
from flowhold.errors import SignatureError
from flowhold.keys import PrivateKey
(own,) = keyring.own()
keyring.trust(own)
calls = [lambda: PrivateKey.read(keyring.private_path("release"))]
calls += [lambda: keyring.create("new"), lambda: own.holds(b"", b"")]
for call in calls:
    try:
        call()
        sys.exit("works")
    except SignatureError as error:
        assert "cryptography, is not installed" in str(error)
        assert error.hint == 'pip install "flowhold[signing]"'
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert keyring.trusted() == [release]


def test_what_looks_like_an_id_is_no_name_when_it_is_revoked(release):
    other = PrivateKey.new("other").public
    keyring.trust(PublicKey(release.raw, other.id))
    assert keyring.revoke(other.id)[0] == other.id
    assert keyring.is_revoked(other.id)
    assert not keyring.is_revoked(release.id)


def test_a_link_that_leads_nowhere_revokes(release):
    folder = keyring.folder() / "revoked"
    folder.mkdir()
    (folder / release.id).symlink_to("nowhere")
    assert keyring.is_revoked(release.id)


def test_a_public_key_without_its_private_one_is_no_own_key(release):
    (keyring.folder() / "stranger.pub").write_text(PrivateKey.new("stranger").public.to_text())
    assert keyring.own() == [release]


def test_a_key_in_a_comment_is_none(release):
    other = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(PEM, SPKI).decode()
    commented = "\n".join(f"# {line}" for line in other.splitlines())
    assert PublicKey.from_text(f"{release.to_text()}\n{commented}") == release
    with pytest.raises(ConfigurationError):
        PublicKey.from_text(f"{release.to_text()}\n{other}")


def test_a_file_that_is_not_called_like_a_key_is_no_reason_to_trust_everybody(release):
    trusted = CONFIG / "keys" / "trusted"
    trusted.mkdir()
    (trusted / "release.pem").write_text(release.to_text())
    for ask in (keyring.is_strict, keyring.trusted):
        with pytest.raises(ConfigurationError, match=r"release\.pem is not the file"):
            ask()


def test_of_several_last_days_of_a_key_the_first_holds(release, monkeypatch):
    first, last = date(2030, 1, 1), date(2040, 1, 1)
    for name, day in (("a", last), ("b", first), ("c", None)):
        keyring.trust(PublicKey(release.raw, name, day))
    assert [(key.name, key.expires) for key in keyring.trusted()] == [
        (name, first) for name in "abc"
    ]
    monkeypatch.setenv("FLOWHOLD_TRUSTED_KEYS", f"{release.to_text()}, b")
    assert [key.expires for key in keyring.trusted()] == [first, first]


@pytest.mark.parametrize("text", [",", " , ,"])
def test_a_setting_of_keys_that_names_none_is_refused(text, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_TRUSTED_KEYS", text)
    with pytest.raises(ConfigurationError, match="FLOWHOLD_TRUSTED_KEYS names no key"):
        keyring.is_strict()
