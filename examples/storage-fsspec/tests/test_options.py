"""Credentials are not written down, and what a protocol cannot do is refused."""

from __future__ import annotations

import json

import pytest

from flowhold import Capability, FlowholdError
from flowhold.errors import ConfigurationError
from flowhold_storage_fsspec import Fsspec, FsspecStore

PASSWORD = "hunter2-do-not-show"


@pytest.mark.parametrize("make", [Fsspec, FsspecStore])
@pytest.mark.parametrize(
    "options",
    [
        {"url": f"sftp://me:{PASSWORD}@host/flows"},
        {"url": f"sftp://me:a/{PASSWORD}@host/flows"},
        {"url": "sftp://host/flows", "storage_options": {"password": PASSWORD}},
    ],
    ids=["url", "url with a slash", "storage_options"],
)
def test_a_password_among_the_options_is_refused_and_not_shown(make, options):
    with pytest.raises(ConfigurationError) as caught:
        make(**options)
    assert PASSWORD not in f"{caught.value!r} {caught.value.hint}"


def test_of_a_secret_only_the_name_is_written_down(monkeypatch, tmp_path):
    monkeypatch.setenv("FLOWHOLD_SECRET_NAS", json.dumps({"global_store": False}))
    storage = Fsspec(f"memory://{tmp_path}", credentials_secret="NAS")
    assert storage.serialize()["options"]["credentials_secret"] == "NAS"
    assert "global_store" not in json.dumps(storage.serialize())


def test_the_options_of_a_secret_are_used(monkeypatch, tmp_path):
    monkeypatch.setenv("FLOWHOLD_SECRET_NAS", json.dumps({"no_such_option_of_it": 1}))
    store = FsspecStore("sftp://host/flows", credentials_secret="NAS")
    with pytest.raises(FlowholdError, match="no_such_option_of_it"):
        store.get("key")


@pytest.mark.parametrize(
    ("url", "lacking"),
    [
        ("memory://flows", set()),
        ("sftp://host/flows", set()),
        ("smb://host/share", {Capability.OVERWRITE}),
        ("ftp://host/flows", {Capability.CONDITIONAL_CREATE}),
    ],
)
def test_what_a_protocol_lacks_is_not_declared(url, lacking):
    for made, kind in ((FsspecStore(url), FsspecStore), (Fsspec(url), Fsspec)):
        assert kind.capabilities - made.capabilities == lacking


def test_a_create_without_a_way_to_create_is_refused():
    with pytest.raises(FlowholdError, match="only where there is none"):
        FsspecStore("ftp://host/flows").put("key", b"x", if_absent=True)


@pytest.mark.parametrize("url", ["", "flows", "simplecache::sftp://host/flows", "a\0b://x"])
def test_what_names_no_folder_is_refused(url):
    with pytest.raises(ConfigurationError):
        FsspecStore(url)


def test_a_protocol_that_fsspec_does_not_know_is_an_error_that_says_so():
    with pytest.raises(ConfigurationError, match="Protocol not known: nowhere"):
        FsspecStore("nowhere://host/flows").get("key")
