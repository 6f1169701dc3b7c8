"""Results: written, found again, checked, and described."""

from __future__ import annotations

import hashlib
import json
import pickle
import tracemalloc
from datetime import datetime, timezone

import pytest
import zstandard
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flowhold import LocalResult, Result
from flowhold.errors import (
    ConfigurationError,
    IntegrityError,
    ObjectNotFoundError,
    SerializationError,
    UnverifiedError,
)

NAMES = {"flow": "etl", "task": "load", "run_id": "r1"}


@pytest.fixture
def result(tmp_path):
    return LocalResult(tmp_path / "a folder")


def test_writing_returns_a_copy_that_reads_the_value_back(result, tmp_path):
    written = result.write({"rows": {1, 2}}, **NAMES)
    file = tmp_path / "a folder/etl/load/r1"
    assert written.location == "etl/load/r1"
    assert written.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert written.value == written.read().value == {"rows": {1, 2}}
    assert (result.location, result.sha256, result.value) == ("{flow}/{task}/{run_id}", None, None)


def test_writing_again_replaces(result):
    result.write(1, **NAMES)
    assert result.write(2, **NAMES).read().value == 2


def test_results_go_to_the_data_directory_by_default(tmp_path):
    for default in (Result(), LocalResult()):
        default.write(3, flow="f", task=type(default).__name__, run_id="r")
    root = tmp_path / "flowhold/data/results/f"
    assert sorted(path.name for path in root.iterdir()) == ["LocalResult", "Result"]


def test_any_url_of_a_plugin_or_path_is_a_place_for_results(tmp_path):
    for url in ((tmp_path / "x y").as_uri(), str(tmp_path / "x y")):
        assert Result(url).write("value", **NAMES).read().value == "value"
    assert (tmp_path / "x y/etl/load/r1").is_file()


def test_a_pickle_is_read_only_with_its_digest_or_when_asked_for(result):
    written = result.write([1], **NAMES)
    other = Result(result.url)
    with pytest.raises(UnverifiedError, match="no digest is known") as caught:
        other.read("etl/load/r1")
    assert "allow_unverified" in caught.value.hint
    assert other.read("etl/load/r1", sha256=written.sha256.upper()).value == [1]
    assert other.read("etl/load/r1", allow_unverified=True).value == [1]


def test_a_changed_pickle_is_refused_before_it_can_run(result, tmp_path):
    canary = tmp_path / "canary"

    class Payload:
        def __reduce__(self):
            return canary.write_text, ("ran",)

    written = result.write([1], **NAMES)
    (tmp_path / "a folder/etl/load/r1").write_bytes(pickle.dumps(Payload()))
    for read in (
        written.read,
        lambda: result.read("etl/load/r1", sha256=written.sha256, allow_unverified=True),
    ):
        with pytest.raises(IntegrityError, match="not what was written there"):
            read()
    assert not canary.exists()


def test_the_digest_of_one_location_does_not_vouch_for_another(result):
    first = result.write(1, flow="a", task="t", run_id="r")
    result.write(2, flow="b", task="t", run_id="r")
    with pytest.raises(UnverifiedError):
        first.read("b/t/r")


@pytest.mark.promise(
    "bombs, claims: what claims to be large, or never ends, is refused with bounded memory"
)
@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_a_result_without_a_digest_decompresses_within_the_limit(
    tmp_path, monkeypatch, compression
):
    result = LocalResult(tmp_path, "bomb", serializer=f"json+{compression}")
    written = result.write("x" * 50_000_000)
    assert (tmp_path / "bomb").stat().st_size < 100_000
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "1000000")
    assert written.read().value == written.value
    tracemalloc.start()
    with pytest.raises(SerializationError, match="decompress to more than 1000000 bytes"):
        result.read()
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_a_compressed_result_that_does_not_tell_its_size_is_refused_without_a_digest(tmp_path):
    result = LocalResult(tmp_path, "bomb", serializer="json+zstd")
    packer = zstandard.ZstdCompressor(write_content_size=False)
    (tmp_path / "bomb").write_bytes(packer.compress(b"0"))
    with pytest.raises(SerializationError):
        result.read()


def test_json_is_read_without_a_digest_but_a_known_one_is_checked(tmp_path):
    result = LocalResult(tmp_path, serializer="json+gzip")
    written = result.write({"a": [1]}, **NAMES)
    assert result.read("etl/load/r1").value == {"a": [1]}
    other = result.write({"a": [2]}, **NAMES)
    with pytest.raises(IntegrityError):
        written.read()
    assert other.read().value == {"a": [2]}


def test_exists_by_location_or_by_the_names_in_it(result):
    assert not result.exists(**NAMES)
    written = result.write(1, **NAMES)
    assert result.exists(**NAMES)
    assert result.exists("etl/load/r1")
    assert written.exists()
    assert not result.exists("etl/load/r2")


def test_reading_what_is_not_there_says_so(result):
    with pytest.raises(ObjectNotFoundError):
        result.read("nowhere", allow_unverified=True)


def test_an_unserializable_value_leaves_nothing_behind(tmp_path):
    result = LocalResult(tmp_path, serializer="json")
    with pytest.raises(SerializationError, match="a set cannot be written as json"):
        result.write({1}, **NAMES)
    assert not result.exists(**NAMES)


def test_locations_take_dates_and_names_of_the_callers():
    date = datetime(2026, 11, 20, tzinfo=timezone.utc)
    result = Result(location="{date:%Y}/{date:%m}/{customer!s:>4}.json")
    assert result.format(date=date, customer="ab").location == "2026/11/  ab.json"


@given(name=st.text(min_size=1, max_size=60))
def test_no_name_reaches_out_of_its_place_in_the_key(name):
    try:
        location = Result(location="results/{flow}/value").format(flow=name).location
    except ConfigurationError:
        assert any(0xD800 <= ord(letter) < 0xE000 for letter in name)
        return
    assert location.split("/")[0::2] == ["results", "value"]
    assert location.count("/") == 2


def test_different_names_have_different_locations():
    names = ["a/b", "a%2Fb", "a\\b", "..", "%2E%2E", ".", "{x}"]
    assert len({Result(location="{flow}").format(flow=name).location for name in names}) == len(
        names
    )


@pytest.mark.parametrize("location", ["{nothing}", "{", "{0}", "{flow.nothing}", "{flow:%Q}", 3])
def test_a_template_that_cannot_be_filled_in_is_a_clear_error(location):
    with pytest.raises(ConfigurationError, match="cannot be filled in") as caught:
        Result(location=location).format(flow="f")
    assert "flow" in caught.value.hint


@pytest.mark.parametrize("location", ["../{flow}", "/{flow}", "{flow}//x", ""])
def test_a_template_that_is_no_key_is_refused(location):
    with pytest.raises(ConfigurationError, match="cannot be a key"):
        Result(location=location).write(1, flow="f")


def test_an_unknown_serializer_is_refused_at_once():
    with pytest.raises(ConfigurationError, match="no serializer 'xml'"):
        Result(serializer="xml")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    url=st.none() | st.sampled_from(["file:///srv/x", "s3://bucket/prefix"]),
    location=st.text(),
    serializer=st.sampled_from(["pickle", "json", "json+zstd"]),
    options=st.dictionaries(st.text(), st.booleans() | st.text()),
)
def test_a_result_survives_a_round_trip_through_json(url, location, serializer, options):
    result = Result(url, location, serializer, options)
    try:
        described = result.serialize()
    except ConfigurationError as error:
        assume("holds credentials" not in str(error))
        raise
    back = Result.deserialize(json.loads(json.dumps(described)))
    assert back == result
    assert hash(back) == hash(result)


def test_a_described_result_reads_the_same_value(result):
    written = result.write("value", **NAMES)
    back = Result.deserialize(json.loads(json.dumps(written.serialize())))
    assert back == written
    assert back.value is None
    assert back.read().value == "value"


@pytest.mark.parametrize("document", [{"color": 1}, {"options": 5}])
def test_a_malformed_description_is_refused(document):
    with pytest.raises(ConfigurationError):
        Result.deserialize(document)


def test_what_is_not_json_is_named_when_it_is_described():
    with pytest.raises(ConfigurationError, match="config of a result is not JSON"):
        Result(options={"config": object()}).serialize()
    custom = Result(serializer=Reversed())
    with pytest.raises(ConfigurationError, match="serializer of a result is not JSON"):
        custom.serialize()


class Reversed:
    def dumps(self, value):
        return value[::-1].encode()

    def loads(self, data):
        return data.decode()[::-1]


def test_a_serializer_can_be_anything_that_dumps_and_loads(tmp_path):
    written = LocalResult(tmp_path, serializer=Reversed()).write("abc", **NAMES)
    assert (tmp_path / written.location).read_bytes() == b"cba"
    assert written.read().value == "abc"


def test_subclasses_keep_their_credentials_to_themselves():
    class Vault(Result):
        def safe_options(self):
            return {name: value for name, value in self.options.items() if name != "password"}

    vault = Vault("vault://x", options={"password": "hunter2", "region": "eu"})
    assert vault.serialize()["options"] == {"region": "eu"}
    import cloudpickle

    data = cloudpickle.dumps(vault)
    assert b"hunter2" not in data
    assert "hunter2" not in repr(vault)
    assert pickle.loads(data).options == {"region": "eu"}


def test_neither_value_nor_open_store_is_pickled(result):
    written = result.write("secret value", **NAMES)
    data = pickle.dumps(written)
    assert b"secret value" not in data
    assert pickle.loads(data).read().value == "secret value"
