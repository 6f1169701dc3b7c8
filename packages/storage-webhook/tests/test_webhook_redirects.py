"""Redirects are followed as their status says, and carry no credentials to another host."""

from __future__ import annotations

import json

import pytest

from flowhold import flow
from flowhold.errors import AccessDeniedError, FlowholdError, StorageError
from flowhold_storage_webhook import Webhook

SECRET = "canary-redirected"
PRIVATE = {
    "headers": {
        "Authorization": "Bearer ${SECRET}",
        "X-Own": "x-own ${SECRET}",
        "X-Plain": "x-plain",
        "Accept": "application/x-flow",
        "Accept-Language": "${SECRET}",
        "Content-Type": "application/x-flow",
    },
    "params": {"key": "${SECRET}"},
    "cookies": {"session": "${SECRET}"},
}


@pytest.fixture
def hosts(answering, monkeypatch):
    """Two servers of different origins."""
    monkeypatch.setenv("SECRET", SECRET)
    return answering(), answering()


def storage_of(server, methods=("PUT", "GET"), *, build=None, get=None):
    url = {"url": f"{server.url}/flow"}
    return Webhook({**url, **(build or {})}, methods[0], {**url, **(get or {})}, methods[1])


def store(storage):
    storage.add_flow(flow(lambda: 1, name="etl"))
    return storage.build()


def to(server, status, path="/there"):
    return status, {"Location": f"{server.url}{path}"}, b""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "credentials", [PRIVATE, {"auth": ["me", "${SECRET}"]}], ids=["all", "auth"]
)
def test_loading_from_another_host_carries_no_credentials_there(hosts, status, credentials):
    first, second = hosts
    second.answers["/flow"] = (201, {}, b"")
    storage = store(storage_of(second))
    first.answers["/flow"] = to(second, status)
    second.answers["/there"] = (200, {}, second.requests[0][3])
    second.requests.clear()
    storage.get_flow_request_kwargs = {"url": f"{first.url}/flow", **credentials}
    assert storage.get_flow().run().result == 1
    ((_, path, headers, _),) = first.requests
    assert SECRET in json.dumps([path, headers]) or "Authorization" in headers
    ((method, path, headers, body),) = second.requests
    assert (method, path, body) == ("GET", "/there", b"")
    assert not {"Authorization", "Cookie", "X-Own", "X-Plain", "Accept-Language"} & {*headers}
    assert SECRET not in json.dumps([path, headers])
    if credentials is PRIVATE:
        assert headers["Accept"] == "application/x-flow"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_host_that_was_left_is_not_logged_in_to_again(hosts, status):
    first, second = hosts
    first.answers["/flow"] = to(second, status)
    second.answers["/there"] = to(first, status, "/back")
    first.answers["/back"] = (404, {}, b"")
    storage = storage_of(first, get=PRIVATE)
    with pytest.raises(FlowholdError):
        storage.get_flow("etl", allow_unverified=True)
    assert SECRET not in json.dumps([first.requests[1][:3], second.requests[0][:3]])


def test_another_path_of_the_host_keeps_the_login(hosts):
    first, _ = hosts
    first.answers["/flow"] = to(first, 302)
    first.answers["/there"] = (404, {}, b"")
    with pytest.raises(FlowholdError):
        storage_of(first, get=PRIVATE).get_flow("etl", allow_unverified=True)
    assert first.requests[1][2]["Authorization"] == f"Bearer {SECRET}"
    assert first.requests[1][1] == "/there"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_put_sends_the_flow_to_where_it_is_led(hosts, status):
    first, second = hosts
    first.answers["/flow"] = to(second, status)
    second.answers["/there"] = (201, {}, b"")
    storage = store(storage_of(first, build=PRIVATE))
    ((method, _, headers, body),) = second.requests
    assert method == "PUT"
    assert body == first.requests[0][3]
    assert len(body) == storage.references()[0].size
    assert SECRET not in json.dumps(headers)
    assert headers["Content-Type"] == "application/x-flow"


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("status", [301, 302])
def test_a_redirect_that_may_lose_the_flow_is_told(hosts, status, method):
    first, second = hosts
    first.answers["/flow"] = to(second, status)
    with pytest.raises(StorageError, match="without saying whether the flow") as caught:
        store(storage_of(first, (method, "GET")))
    assert "give the URL" in caught.value.hint
    assert second.requests == []


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_method_and_body_is_followed(hosts, status):
    first, second = hosts
    first.answers["/flow"] = to(second, status)
    second.answers["/there"] = (200, {}, b"")
    store(storage_of(first, ("POST", "GET")))
    assert [request[0] for request in second.requests] == ["POST"]
    assert second.requests[0][3] == first.requests[0][3]


def test_see_other_after_an_upload_is_looked_at(hosts):
    first, second = hosts
    first.answers["/flow"] = to(second, 303)
    second.answers["/there"] = (200, {}, b"stored")
    store(storage_of(first, ("POST", "GET")))
    assert [(request[0], request[3]) for request in second.requests] == [("GET", b"")]


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize(
    "body", [{"json": {"key": "${SECRET}"}}, {"data": "key=${SECRET}"}], ids=str
)
def test_a_body_that_can_hold_credentials_goes_to_no_other_host(hosts, status, body):
    first, second = hosts
    first.answers["/flow"] = to(second, status)
    with pytest.raises(StorageError, match="to another host, where the body"):
        storage_of(first, ("PUT", "POST"), get=body).get_flow("etl", allow_unverified=True)
    assert second.requests == []


def test_it_is_dropped_where_the_method_becomes_get(hosts):
    first, second = hosts
    first.answers["/flow"] = to(second, 302)
    storage = storage_of(first, ("PUT", "POST"), get={"json": {"key": "${SECRET}"}})
    with pytest.raises(FlowholdError):
        storage.get_flow("etl", allow_unverified=True)
    assert [(request[0], request[3]) for request in second.requests] == [("GET", b"")]


def test_another_host_that_wants_a_login_is_told_apart(hosts):
    first, second = hosts
    first.answers["/flow"] = to(second, 302)
    second.answers["/there"] = (401, {}, b"")
    with pytest.raises(StorageError, match="where this login is not sent") as caught:
        storage_of(first, get=PRIVATE).get_flow("etl", allow_unverified=True)
    assert second.url in str(caught.value)
    with pytest.raises(AccessDeniedError):
        storage_of(first).get_flow("etl", allow_unverified=True)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("/flow", "more than 5 times"),
        ("ftp://127.0.0.1/", "clear text"),
        ("http://[::1", "to what is no URL"),
        ("file:///etc/passwd", "clear text"),
    ],
)
def test_redirects_that_lead_nowhere(hosts, location, said):
    first, _ = hosts
    first.answers["/flow"] = (302, {"Location": location}, b"")
    with pytest.raises(FlowholdError, match=said) as caught:
        storage_of(first).get_flow("etl", allow_unverified=True)
    assert caught.value.hint


def test_they_can_be_switched_off(hosts):
    first, second = hosts
    first.answers["/flow"] = to(second, 302)
    with pytest.raises(StorageError, match="although allow_redirects is false"):
        storage_of(first, get={"allow_redirects": False}).get_flow("etl", allow_unverified=True)
    assert second.requests == []


def test_a_redirect_without_a_target_is_told(hosts):
    first, _ = hosts
    first.answers["/flow"] = (302, {}, b"")
    with pytest.raises(StorageError, match="HTTP 302"):
        storage_of(first).get_flow("etl", allow_unverified=True)
