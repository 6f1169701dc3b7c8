"""What stores behind an SDK share, with a service that fails as it is told."""

from __future__ import annotations

import io
import os
import pickle
import socket
import threading
import time
from typing import ClassVar

import pytest

import flowhold
from flowhold import Capability, clients
from flowhold.bodies import Download
from flowhold.clients import check_options, secret_mapping, shared_client
from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    ObjectExistsError,
    ObjectNotFoundError,
    SecretNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.remote import RemoteStore
from flowhold.rules import PYTHON, Rule, Rules
from flowhold.store import SCRATCH, ObjectInfo


class ServiceError(Exception):
    """What an SDK raises."""

    def __init__(self, *codes, text="its own\n words"):
        super().__init__(text)
        self.codes = list(codes)


class Store(RemoteStore):
    """A service in a dictionary."""

    scheme = "x"
    rules: ClassVar[Rules] = {
        "NoBucket": Rule(StorageError, "the bucket of {place} does not exist", "create {it}"),
        "Lost": Rule(StorageUnavailableError, "{place} cannot be reached: {reason}"),
    }

    def __init__(self, bucket="b", prefix="", **options):
        super().__init__(bucket, prefix, **options)
        self.objects = {}
        self.failures = []
        self.calls = []

    def _make_client(self, secret):
        return Client(secret=secret)

    def _called(self, name):
        self.calls.append(name)
        if self.failures and (error := self.failures.pop(0)):
            raise error

    def _upload(self, upload):
        data = upload.file.read()
        if self.failures and self.failures[0] == "answer lost":
            self.failures.pop(0)
            self.objects.setdefault(upload.path, data)
            upload.retried = True
        self._called("upload")
        if upload.if_absent and upload.path in self.objects:
            raise ServiceError(412)
        self.objects[upload.path] = data
        return ObjectInfo(upload.path, len(data))

    def _download(self, path, offset, etag):
        self._called("download")
        if path not in self.objects:
            raise ServiceError(404)
        data = self.objects[path][offset:]
        return Download(len(data), iter([data])), "etag"

    def _head(self, path):
        self._called("head")
        if path not in self.objects:
            raise ServiceError(404)
        return ObjectInfo(path, len(self.objects[path]))

    def _list(self, prefix, start_after):
        self._called("list")
        for path in sorted(self.objects, key=str.encode):
            yield ObjectInfo(path, len(self.objects[path]))

    def _delete(self, path):
        self._called("delete")
        if path not in self.objects:
            raise ServiceError(404)
        del self.objects[path]

    def _codes(self, error):
        return (error.codes, str(error)) if isinstance(error, ServiceError) else None


def test_keys_are_below_the_prefix_and_come_back_without_it():
    store = Store(prefix="/some/where/")
    assert store.put("a/b", b"1").key == "a/b"
    assert [*store.objects] == ["some/where/a/b"]
    assert store.head("a/b").key == "a/b"
    assert [info.key for info in store.list("a/")] == ["a/b"]
    assert [*store.list(start_after="a/b")] == []
    store.delete("a/b")
    assert store.objects == {}


def test_of_what_a_service_lists_only_what_was_asked_for_is_seen():
    store = Store(prefix="p")
    store.objects = dict.fromkeys(["o/a", "p/a/b", "p/ab", "p/b", f"p/{SCRATCH}/a", "pa/a"], b"")
    assert [info.key for info in store.list()] == ["a/b", "ab", "b"]
    assert [info.key for info in store.list("a")] == ["a/b", "ab"]
    assert [info.key for info in store.list("a", "a/b")] == ["ab"]


def test_what_a_service_cannot_do_is_refused_before_any_request():
    store = Store()
    store.capabilities = store.capabilities - {Capability.CONDITIONAL_CREATE}
    store.put("a", b"1")
    with pytest.raises(StorageError, match="only where there is none") as caught:
        store.put("a", b"2", if_absent=True)
    assert "overwrite=True" in caught.value.hint
    assert store.objects == {"a": b"1"}
    assert store.calls == ["upload"]


def test_a_service_that_cannot_replace_only_creates():
    store = Store()
    store.capabilities = store.capabilities - {Capability.OVERWRITE}
    store.put("a", b"1")
    with pytest.raises(ObjectExistsError):
        store.put("a", b"2")
    assert store.objects == {"a": b"1"}
    store.delete("a/b")


def test_a_key_that_is_too_long_below_the_prefix_is_refused_before_any_request():
    store = Store(prefix="p" * 200)
    with pytest.raises(ConfigurationError):
        store.put("/".join(["k" * 200] * 5), b"")
    assert store.calls == []


@pytest.mark.parametrize(
    ("codes", "kind", "said"),
    [
        ([401], AccessDeniedError, "the credentials for x://b/k were refused: its own words"),
        ([403], AccessDeniedError, "no permission for x://b/k: its own words"),
        ([404], ObjectNotFoundError, "there is no object x://b/k"),
        ([412], ObjectExistsError, "x://b/k exists already"),
        ([429], StorageUnavailableError, "x://b/k did not answer as it should: its own words"),
        ([503], StorageUnavailableError, "x://b/k did not answer as it should: its own words"),
        (["NoBucket", 404], StorageError, "the bucket of x://b/k does not exist"),
        (["Lost"], StorageUnavailableError, "x://b/k cannot be reached: its own words"),
        (["Strange", 418], StorageError, "x://b/k: its own words"),
    ],
)
def test_errors_are_ours_by_the_most_telling_code(codes, kind, said):
    store = Store()
    store.failures = [ServiceError(*codes)]
    with pytest.raises(StorageError) as caught:
        store.head("k")
    assert type(caught.value) is kind
    assert str(caught.value) == said
    assert caught.value.location == "k"
    assert isinstance(caught.value.__cause__, ServiceError)


def test_what_is_no_error_of_the_sdk_is_not_hidden():
    store = Store()
    store.failures = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        store.head("k")


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (FileNotFoundError(2, "its own words"), ObjectNotFoundError),
        (IsADirectoryError(21, "its own words"), ObjectNotFoundError),
        (FileExistsError(17, "its own words"), ObjectExistsError),
        (PermissionError(13, "its own words"), AccessDeniedError),
        (ConnectionResetError(104, "its own words"), StorageUnavailableError),
        (socket.gaierror(-2, "its own words"), StorageUnavailableError),
        (TimeoutError("its own words"), StorageUnavailableError),
        (OSError("its own words"), StorageError),
        (ZeroDivisionError("its own words"), StorageError),
    ],
)
def test_a_store_that_names_no_codes_has_rules_for_errors_of_python(raised, kind):
    class Plain(Store):
        rules = PYTHON
        _codes = RemoteStore._codes

    store = Plain()
    store.failures = [raised]
    with pytest.raises(StorageError) as caught:
        store.head("k")
    assert type(caught.value) is kind
    assert caught.value.__cause__ is raised


def test_errors_of_keys_with_braces_are_told_too():
    with pytest.raises(ObjectNotFoundError, match=r"x://b/\{0\}\{x"):
        Store().get("{0}{x")


def test_a_create_whose_answer_was_lost_is_no_conflict():
    store = Store()
    store.failures = ["answer lost"]
    assert store.put("k", [b"mine"], if_absent=True).size == 4


def test_a_create_that_another_won_while_an_answer_was_lost_is_a_conflict():
    store = Store()
    store.objects["k"] = b"his!"
    store.failures = ["answer lost"]
    with pytest.raises(ObjectExistsError):
        store.put("k", b"mine", if_absent=True)
    assert store.objects["k"] == b"his!"


def test_a_conflict_without_a_retry_is_one_even_for_the_same_bytes():
    store = Store()
    store.put("k", b"same", if_absent=True)
    store.calls.clear()
    with pytest.raises(ObjectExistsError):
        store.put("k", b"same", if_absent=True)
    assert store.calls == ["upload"]


def test_urls_name_bucket_and_prefix():
    store = Store.from_url("x://bucket/some%20where/", {"retries": 1})
    assert (store.bucket, store.prefix, store.retries) == ("bucket", "some where/", 1)
    assert repr(store) == "Store('x://bucket/some where/')"


@pytest.mark.parametrize("url", ["x://", "x:///k", "x://b?c=d", "x://b#c"])
def test_a_url_without_a_bucket_is_refused(url):
    with pytest.raises(ConfigurationError, match="does not name a bucket"):
        Store.from_url(url)


def test_an_option_that_the_store_does_not_know_is_named():
    with pytest.raises(ConfigurationError, match="colour"):
        Store.from_url("x://b", {"colour": "red"})


class Client:
    """What a client is made of."""

    made = 0

    def __init__(self, **options):
        type(self).made += 1
        self.options = options


def test_a_client_is_made_once_for_the_same_options_and_environment(monkeypatch):
    monkeypatch.setattr(clients, "_clients", {})
    first = shared_client(Client, "ACME_", url="u", nested={"a": 1})
    assert shared_client(Client, "ACME_", nested={"a": 1}, url="u") is first
    assert shared_client(Client, "ACME_", url="u", nested={"a": 2}) is not first
    monkeypatch.setenv("ACME_PROFILE", "other")
    assert shared_client(Client, "ACME_", url="u", nested={"a": 1}) is not first


def test_threads_share_one_client(monkeypatch):
    monkeypatch.setattr(clients, "_clients", {})
    monkeypatch.setattr(Client, "made", 0)
    threads = [
        threading.Thread(target=shared_client, args=(Client, "ACME_"), kwargs={"url": "u"})
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Client.made == 1


def test_clients_of_many_configurations_do_not_pile_up(monkeypatch):
    kept = {}
    monkeypatch.setattr(clients, "_clients", kept)
    for number in range(100):
        shared_client(Client, "ACME_", number=number)
    assert len(kept) <= 32


def test_a_secret_of_several_values_is_a_json_object():
    assert secret_mapping("CLOUD", '{"id": "a", "number": 5}') == {"id": "a", "number": 5}
    for text in ("canary{", '["canary"]'):
        with pytest.raises(ConfigurationError, match="the secret CLOUD is not") as caught:
            secret_mapping("CLOUD", text)
        assert "canary" not in repr(caught.value)
        assert caught.value.__context__ is None


def test_a_client_is_made_anew_for_another_value_of_the_secret():
    store = Store()
    store.credentials_secret = "KEY"
    with flowhold.secrets({"KEY": "a"}):
        first = store.client
        assert store.client is first
    with flowhold.secrets({"KEY": "b"}):
        assert store.client.options == {"secret": "b"}
    with pytest.raises(SecretNotFoundError):
        _ = store.client
    assert pickle.loads(pickle.dumps(store))._made is None


@pytest.mark.parametrize(
    ("code", "anew"), [(404, False), (412, False), (403, True), ("Lost", True)]
)
def test_a_client_is_made_anew_after_what_may_have_been_its_connection(code, anew):
    store = Store()
    first = store.client
    store.failures = [ServiceError(code)]
    with pytest.raises(flowhold.FlowholdError):
        store.head("a")
    assert (store.client is not first) is anew


def test_a_client_is_lent_to_one_thread_at_a_time():
    store, inside, most = Store(), [], []

    def borrow():
        for _ in range(50):
            with store.exclusive_client() as client:
                inside.append(client)
                most.append(len(inside))
                time.sleep(0)
                inside.remove(client)

    threads = [threading.Thread(target=borrow) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_clients_of_its_own(monkeypatch):
    monkeypatch.setattr(clients, "_clients", {})
    store = Store()
    before = store.client, shared_client(Client, "ACME_", url="u")
    with clients._lock:
        child = os.fork()
        if not child:
            after = store.client, shared_client(Client, "ACME_", url="u")
            os._exit(any(one is other for one, other in zip(before, after, strict=True)))
    assert os.waitpid(child, 0)[1] == 0
    assert (store.client, shared_client(Client, "ACME_", url="u")) == before


@pytest.mark.parametrize(
    ("bucket", "options"),
    [
        ("", {}),
        (None, {}),
        (5, {}),
        ("b", {"retries": -1}),
        ("b", {"retries": "3"}),
        ("b", {"timeout": 0}),
        ("b", {"timeout": "3"}),
    ],
)
def test_what_cannot_be_is_refused_when_a_store_is_made(bucket, options):
    with pytest.raises(ConfigurationError):
        Store(bucket, **options)


@pytest.mark.parametrize("url", ["x://key:canary@b/p", "x://b/p?sig=canary", "x://b/p#canary"])
def test_a_url_with_credentials_is_refused_and_not_shown(url):
    with pytest.raises(ConfigurationError) as caught:
        Store.from_url(url)
    assert "canary" not in f"{caught.value} {caught.value.hint}"


def test_credentials_in_the_words_of_an_sdk_are_not_shown():
    store = Store()
    store.failures = [ServiceError("Lost", text="no way to http://me:canary@host/b")]
    with pytest.raises(StorageUnavailableError) as caught:
        store.head("k")
    assert str(caught.value) == "x://b/k cannot be reached: no way to http://host/b"


@pytest.mark.parametrize(
    "options",
    [
        {"password": "canary"},
        {"proxies": {"https": "http://me:canary@proxy:3128"}},
        {"headers": {"Authorization": "Bearer canary"}},
        {"endpoint_url": "https://me:canary@host"},
        {"endpoint": ["https://host/?sv=1&sig=canary"]},
        {"credential": "canary"},
    ],
)
def test_options_that_are_written_down_hold_no_credentials(options):
    with pytest.raises(ConfigurationError, match="holds credentials") as caught:
        check_options("client_options", options)
    assert "canary" not in f"{caught.value} {caught.value.hint}"


def test_options_without_credentials_are_taken_as_a_dictionary_of_their_own():
    given = {"endpoint_url": "https://host:9000", "config": {"signature_version": "s3v4"}}
    assert check_options("client_options", given) == given
    assert check_options("client_options", given) is not given
    assert check_options("client_options", None) == {}
    with pytest.raises(ConfigurationError, match="client_options must be a mapping"):
        check_options("client_options", "abc")


def test_a_comparison_that_fails_is_no_conflict():
    store = Store()
    store.failures = ["answer lost", None, ServiceError(403)]
    with pytest.raises(AccessDeniedError):
        store.put("k", b"mine", if_absent=True)


def test_a_file_of_credentials_that_is_missing_is_named():
    store = Store()
    store.failures = [FileNotFoundError(2, "No such file or directory", "/keys/token")]
    with pytest.raises(ConfigurationError, match="/keys/token"):
        store.head("k")


def test_an_error_of_the_callers_own_file_is_the_callers():
    class Broken(io.BytesIO):
        def read(self, *_):
            raise OSError("bad sector")

    with pytest.raises(OSError, match="bad sector"):
        Store().put("k", Broken(b"bytes"))


def test_errors_pickle():
    with pytest.raises(ObjectNotFoundError) as caught:
        Store().head("k")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
