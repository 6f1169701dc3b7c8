"""What is nested deeply, claims to be large or never ends: a value or an error, and bounded."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import sys
from contextlib import suppress

import pytest
from forges.cases import FAKES, forge_of

import flowhold
from flowhold import Flow
from flowhold.catalog import Catalog
from flowhold.clients import secret_mapping
from flowhold.envelope import MAGIC, open_envelope
from flowhold.errors import ConfigurationError, FlowholdError
from flowhold.prefect1 import read_flows
from flowhold.reference import PAYLOAD_TYPE, SCHEMA, Reference
from flowhold.results import LocalResult
from flowhold.storage import Local, Storage
from flowhold.testing.faults import FaultProxy, Status
from flowhold_storage_docker.ignore import Ignore
from flowhold_storage_webhook import Webhook

NESTED = "bombs, nesting: what is nested deeply is a value or an error of Flowhold"
CLAIMED = "bombs, claims: what claims to be large, or never ends, is refused with bounded memory"
MIB = 1 << 20
DEPTHS = [50, 150, 300, 480, 700, 900, 970, 990, 1_100, 3_000, 30_000, 100_000]
SHAPES = {
    "lists": lambda depth: "[" * depth + "]" * depth,
    "objects": lambda depth: '{"a":' * depth + "1" + "}" * depth,
    "both": lambda depth: '[{"a":' * (depth // 2) + "1" + "}]" * (depth // 2),
    "without end": lambda depth: "[" * depth,
    "objects without end": lambda depth: '{"a":' * depth,
}
FIELDS = {
    "flow": "etl",
    "storage": {"type": "local", "options": {"directory": "/nowhere"}, "flows": {}},
    "location": "/nowhere/etl",
    "kind": "pickle",
    "created": "2026-01-01T00:00:00+00:00",
    "sha256": "0" * 64,
    "schema": SCHEMA,
}
HOLE = "the hole"


def document(*path):
    """Return a reference in JSON with a hole at a place."""
    fields = json.loads(json.dumps(FIELDS))
    inner = fields
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
    inner[path[-1]] = HOLE
    return json.dumps(fields)


def used(reference):
    """Do with a reference what is done with one that was read."""
    Reference.from_json(reference.to_json())
    assert reference == reference.from_dict(reference.to_dict())
    assert len(repr(reference)) + hash(reference)
    Catalog().add(reference)
    reference.open_storage().serialize()


def read_reference(*path):
    return lambda text, _: used(
        Reference.from_json(document(*path).replace(json.dumps(HOLE), text))
    )


def read_signed(text, _):
    inner = document("extra").replace(json.dumps(HOLE), text).encode()
    signed = {"payloadType": PAYLOAD_TYPE, "payload": base64.b64encode(inner).decode()}
    used(Reference.from_json(json.dumps({**signed, "signatures": []})))


def read_signatures(text, _):
    used(Reference.from_json(f'{{"payloadType": "{PAYLOAD_TYPE}", "signatures": {text}}}'))


def read_beside(text, _):
    used(Reference.from_json(f'{{"signed": {text}, "flow": {text}}}'))


def read_entry(text, folder):
    (folder / "etl").mkdir(exist_ok=True)
    entry = document("storage", "options", "x").replace(json.dumps(HOLE), text)
    (folder / "etl" / "0000000001.json").write_text(entry)
    catalog = Catalog(folder)
    catalog.versions("etl")
    with suppress(FlowholdError):
        catalog.add(Reference.from_dict({**FIELDS, "storage": {}}))
    used(catalog.get("etl"))


def read_header(text, _):
    header = f'{{"kind": "pickle", "pickle": 0, "x": {text}, "files": {text}}}'.encode()
    open_envelope(struct.pack(">8sHI", MAGIC, 1, len(header)) + header)


def read_stored(text, folder):
    header = f'{{"kind": "bundle", "script": "a.py", "files": [{text}]}}'.encode()
    data = struct.pack(">8sHI", MAGIC, 1, len(header)) + header
    (folder / "stored").write_bytes(data)
    fields = {**FIELDS, "kind": "bundle", "location": f"{folder}/stored", "size": len(data)}
    fields["storage"] = {**FIELDS["storage"], "options": {"directory": str(folder)}}
    flowhold.load(Reference.from_dict({**fields, "sha256": hashlib.sha256(data).hexdigest()}))


def nested(text):
    """Return as objects what JSON would be, which no parser bounds."""
    value = 1
    for _ in range(text.count("[") + text.count("{")):
        value = [value] if "[" in text else {"a": value}
    return value


def read_storage(text, _):
    value = nested(text)
    for name in ("directory", "labels", "secrets", "x", "include"):
        with suppress(FlowholdError):
            Storage.deserialize({"type": "local", "options": {name: value}, "flows": {}})
        with suppress(FlowholdError):
            Storage.deserialize({"type": "webhook", "options": {name: value}, "flows": value})
    Webhook({"url": "http://a/b", "json": value}, "POST", {"url": "http://a/b"}, "GET").serialize()


def write_options(text, _):
    storage = Local("/nowhere")
    storage.directory = nested(text)
    storage.serialize()


def read_result(text, folder):
    (folder / "result").write_text(text)
    LocalResult(folder, location="result", serializer="json").read()


def write_result(text, folder):
    LocalResult(folder, location="out", serializer="json").write(nested(text))


def read_secrets(text, folder):
    from flowhold.settings import find_config_dir

    path = find_config_dir() / "secrets.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"A = {text.replace(':', '=')}")
    path.chmod(0o600)
    flowhold.secret("A")


def read_settings(text, folder):
    from flowhold import settings

    path = settings.find_config_dir() / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"catalog = {text.replace(':', '=')}")
    try:
        settings.current()
    finally:
        path.unlink()


def read_login(text, _):
    secret_mapping("LOGIN", text)
    secret_mapping("LOGIN", f'{{"a": {text}}}')


def read_prefect(text, _):
    read_flows(text)
    read_flows(f'{{"version": 1, "flows": [{text}], "storage": {text}}}')


def read_pattern(text, _):
    Ignore([text[:3000], f"a/{text[:3000]}/b"]).leaves_out("a/b/c")


def asked(storage_by, body):
    """Ask a storage whose server answers everything with this."""
    answers = [Status(200, body, {"Content-Type": "application/json"})]
    answers.append(Status(400, body, {"Content-Type": "application/json"}))
    for answer in answers:
        with FaultProxy("http://127.0.0.1:1", lambda _, answer=answer: answer) as proxy:
            storage = storage_by(proxy.url)
            with suppress(FlowholdError):
                storage.add_flow(Flow("etl"))
                storage.build()
            with suppress(FlowholdError):
                storage.get_flow("etl")
            storage.get_flow("another")


def read_forge(name):
    def read(text, _):
        with forge_of(name) as forge:
            asked(lambda url: forge.storage(host=url, timeout=5, retries=0), text.encode())

    return read


def read_webhook(text, _):
    both = {"url": "{url}/{{slug}}"}

    def storage_by(url):
        both["url"] = f"{url}/{{slug}}"
        return Webhook(both, "PUT", both, "GET", timeout=5, retries=0)

    asked(storage_by, text.encode())


def read_lfs(text, folder):
    from flowhold_storage_git.address import Address
    from flowhold_storage_git.lfs import fetch_files

    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 3\n" % (b"a" * 64)
    (folder / "large").write_bytes(pointer)
    digests = {"large": hashlib.sha256(pointer).hexdigest()}
    answer = Status(200, text.encode(), {"Content-Type": "application/vnd.git-lfs+json"})
    with FaultProxy("http://127.0.0.1:1", lambda _: answer) as proxy:
        fetch_files(Address.parse(f"{proxy.url}/a/b.git"), folder, digests, 5, 0)


READERS = {
    "reference": read_reference("extra"),
    "options in a reference": read_reference("storage", "options", "x"),
    "flows in a reference": read_reference("storage", "flows", "etl"),
    "storage in a reference": read_reference("storage"),
    "environment": read_reference("environment", "packages"),
    "signed reference": read_signed,
    "signatures": read_signatures,
    "fields beside a signature": read_beside,
    "entry of a catalog": read_entry,
    "header": read_header,
    "stored flow": read_stored,
    "serialized storage": read_storage,
    "options of a storage": write_options,
    "result": read_result,
    "written result": write_result,
    "secrets.toml": read_secrets,
    "config.toml": read_settings,
    "login in JSON": read_login,
    "metadata of Prefect 1": read_prefect,
    "ignore file": read_pattern,
    "answer of a webhook": read_webhook,
    "answer of LFS": read_lfs,
    **{f"answer of {name}": read_forge(name) for name in FAKES},
}


@pytest.mark.parametrize("name", READERS)
def test_what_is_nested_deeply(name, trying, sample, swift, tmp_path):
    cases = [(shape, depth) for shape in SHAPES for depth in DEPTHS]
    for number, (shape, depth) in enumerate(trying(NESTED, sample(cases, 2))):
        print(shape, depth)  # shown where it fails
        folder = tmp_path / f"{number}"
        folder.mkdir()
        with suppress(FlowholdError):
            READERS[name](SHAPES[shape](depth), folder)


def test_a_login_that_is_nested_too_deeply_is_refused():
    with pytest.raises(ConfigurationError, match="not a JSON object"):
        secret_mapping("LOGIN", "[" * 100_000)


def test_an_option_that_is_nested_too_deeply_is_no_json_value():
    with pytest.raises(ConfigurationError, match="not a JSON value"):
        write_options("[" * 100_000, None)


CLAIMS = ["header length", "frame size", "pack objects", "pack size", "delta size"]
SERVED = ["webhook", "github", "gitlab", "bitbucket", "git", "lfs", "s3", "gcs", "azure"]
SERVED += ["catalog", "no size"]
KINDS = CLAIMS + [f"{how} {where}" for how in ("claim", "endless") for where in SERVED]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to know its memory")
def test_what_claims_to_be_large_or_never_ends(child, trying, sample):
    for kind in trying(CLAIMED, sample(KINDS, 2)):
        outcome = child("claims.py", kind)
        print(kind, outcome)  # shown where it fails
        assert outcome["error"], outcome
        assert outcome["memory"] <= outcome["allowed"], outcome
        assert outcome["sent"] <= outcome["allowed"], outcome
