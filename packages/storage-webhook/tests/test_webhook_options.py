"""What Webhook can be made of, and what it says where it cannot."""

from __future__ import annotations

import inspect
import json
import pickle

import pytest
import requests
from requests.auth import HTTPBasicAuth

import flowhold
from flowhold import Storage
from flowhold.errors import ConfigurationError
from flowhold.project import registering
from flowhold.trees import loading_code
from flowhold_storage_webhook import Webhook
from flowhold_storage_webhook.arguments import ARGUMENTS

URL = {"url": "https://example.com/flow"}


def make(build=URL, get=URL, methods=("PUT", "GET"), **options):
    return Webhook(build, methods[0], get, methods[1], **options)


def test_the_arguments_are_those_of_requests():
    taken = inspect.signature(requests.Session.request).parameters.keys()
    assert {*ARGUMENTS} == taken - {"self", "method"}


def test_positions_are_those_of_the_seeds():
    names = [*inspect.signature(Webhook).parameters]
    assert names[:6] == [
        "build_request_kwargs",
        "build_request_http_method",
        "get_flow_request_kwargs",
        "get_flow_request_http_method",
        "stored_as_script",
        "flow_script_path",
    ]


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST", "PUT"])
def test_methods_that_are_taken(method):
    storage = make(methods=(method, method))
    assert storage.build_request_http_method == storage.get_flow_request_http_method == method


@pytest.mark.parametrize("method", ["put", "DELETE", "", None, 5, "HEAD", "PUT "])
@pytest.mark.parametrize("which", [0, 1])
def test_other_methods_are_refused(method, which):
    methods = ["PUT", "GET"]
    methods[which] = method
    option = ("build_request_http_method", "get_flow_request_http_method")[which]
    with pytest.raises(ConfigurationError, match=f"{option} must be one of GET, PATCH, POST, PUT"):
        make(methods=methods)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (None, "must be a mapping, not a NoneType"),
        ("https://example.com", "must be a mapping, not a str"),
        ({}, "no URL"),
        ({"url": None}, "no URL"),
        ({"url": 5}, "no URL"),
        ({"url": ""}, "no URL"),
        ({"url": "example.com/flow"}, "no URL"),
        ({"url": "ftp://example.com"}, "no URL"),
        ({**URL, "heders": {}}, "does not take: heders"),
        ({**URL, "method": "PUT", 5: 6}, "does not take: 5, method"),
        ({**URL, "headers": ["a"]}, "headers in .* must be a mapping"),
        ({**URL, "proxies": "http://proxy"}, "proxies in .* must be a mapping"),
        ({**URL, "timeout": "soon"}, "timeout in .* must be seconds"),
        ({**URL, "timeout": [1, 2, 3]}, "timeout in .* must be seconds"),
        ({**URL, "timeout": (5, None)}, "timeout in .* must be seconds"),
        ({**URL, "timeout": [None, 5]}, "timeout in .* must be seconds"),
        ({**URL, "cert": ("a", None)}, "cert in .* must be a path"),
        ({**URL, "verify": 5}, "verify in .* must be true, false or a path"),
        ({**URL, "cert": ["one"]}, "cert in .* must be a path, or a pair"),
        ({**URL, "allow_redirects": "no"}, "allow_redirects in .* must be true or false"),
        ({**URL, "auth": "me"}, "auth in .* must be a pair"),
        ({**URL, "auth": ["me"]}, "auth in .* must be a pair"),
        ({**URL, "headers": {"X": ["deep", "${"]}}, "begins no name"),
    ],
)
def test_wrong_arguments_are_told(arguments, said):
    with pytest.raises(ConfigurationError, match=rf"build_request_kwargs.*{said}|{said}"):
        make(build=arguments)
    with pytest.raises(ConfigurationError, match=rf"get_flow_request_kwargs.*{said}|{said}"):
        make(get=arguments)


def test_a_form_cannot_carry_a_flow():
    with pytest.raises(ConfigurationError, match="files"):
        make(build={**URL, "files": {"a": "b"}})
    make(get={**URL, "files": {"a": "b"}})


def test_arguments_that_contain_themselves_are_refused():
    headers = {}
    headers["X"] = headers
    with pytest.raises(ConfigurationError, match="contains itself"):
        make(build={**URL, "headers": headers})


@pytest.mark.parametrize(
    "arguments",
    [
        {"headers": {"Authorization": "Bearer canary-1"}},
        {"headers": {"X-Api-Key": "canary-1"}},
        {"headers": {"X-Auth-Token": "canary-1"}},
        {"headers": {"PRIVATE-TOKEN": "canary-1"}},
        {"headers": {"Cookie": "session=canary-1"}},
        {"headers": {"Ocp-Apim-Subscription-Key": "canary-1"}},
        {"headers": {"x-functions-key": "canary-1"}},
        {"params": {"token": "canary-1"}},
        {"json": {"deep": [{"password": "canary-1"}]}},
        {"auth": ["me", "canary-1"]},
        {"auth": ("me", "canary-1")},
        {"proxies": {"https": "http://me:canary-1@proxy"}},
        {"url": "https://me:canary-1@example.com/"},
        {"url": "https://example.com/?token=canary-1"},
    ],
    ids=str,
)
def test_credentials_are_not_written_down(arguments):
    with pytest.raises(ConfigurationError, match="written down") as caught:
        make(get={**URL, **arguments})
    assert "canary" not in f"{caught.value} {caught.value.hint}"
    assert "${NAME}" in caught.value.hint


@pytest.mark.parametrize(
    "arguments",
    [
        {"headers": {"Authorization": "Bearer ${T}", "X-Api-Key": "$T", "Accept": "*/*"}},
        {"headers": {"Idempotency-Key": "{sha256}", "X-Auth-Token": "$T"}},
        {"auth": ["me", "${T}"]},
        {"auth": ["", ""]},
        {"params": {"token": "${T}"}},
        {"url": "https://me:${T}@example.com/?token=${T}"},
        {"url": "${WHOLE}"},
        {"verify": False, "timeout": (3, 5), "allow_redirects": True, "stream": False},
    ],
    ids=str,
)
def test_templates_of_them_are(arguments):
    storage = make(get={**URL, **arguments})
    document = json.loads(json.dumps(storage.serialize()))
    assert document["options"]["get_flow_request_kwargs"] == json.loads(
        json.dumps({**URL, **arguments})
    )
    again = Storage.deserialize(document)
    assert type(again) is Webhook
    assert again.serialize() == document


def test_what_is_no_json_is_told_when_it_is_written_down():
    storage = make(get={**URL, "auth": HTTPBasicAuth("me", "secret")})
    with pytest.raises(ConfigurationError, match=r"get_flow_request_kwargs.*not a JSON value"):
        storage.serialize()


def test_the_arguments_given_are_not_those_kept():
    given = {**URL, "headers": {"X": "1"}}
    storage = make(build=given)
    given["headers"]["X"] = "2"
    assert storage.build_request_kwargs == {**URL, "headers": {"X": "1"}}


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"timeout": "5"}, {"retries": -1}, {"retries": 1.5}]
)
def test_bounds_that_are_none(options):
    with pytest.raises(ConfigurationError, match="must be"):
        make(**options)


def test_a_script_has_to_be_known_where_it_is_stored(tmp_path):
    with pytest.raises(ConfigurationError, match="needs to know the script") as caught:
        make(stored_as_script=True)
    assert "flow_script_path" in caught.value.hint
    assert make(stored_as_script=True, flow_script_path="etl.py").flow_script_path == "etl.py"
    assert make(stored_as_script=True, local_script_path="etl.py").flow_script_path == "etl.py"
    with pytest.raises(ConfigurationError, match="the same option"):
        make(local_script_path="one.py", flow_script_path="other.py")
    with registering(tmp_path / "etl.py"):
        make(stored_as_script=True)


def test_a_script_need_not_be_known_where_it_loads():
    with loading_code():
        make(stored_as_script=True)
    document = make(stored_as_script=True, flow_script_path="/only/here.py").serialize()
    assert "/only/here.py" not in json.dumps(document)
    again = Storage.deserialize(document)
    assert again.stored_as_script is True
    assert pickle.loads(pickle.dumps(again)).serialize() == document


def test_a_script_that_is_not_there_is_told():
    storage = make(stored_as_script=True, flow_script_path="/no/such/etl.py")
    with pytest.raises(ConfigurationError, match=r"/no/such/etl\.py does not exist"):
        storage.add_flow(flowhold.Flow("etl"))


def test_it_shows_where_flows_are_but_no_query():
    storage = make(get={"url": "https://example.com/{slug}?a=b"})
    assert repr(storage) == "<Storage: Webhook url='https://example.com/{slug}'>"


@pytest.mark.parametrize("home", ["flowhold.storage", "flowhold_storage_webhook"])
def test_the_class_is_found(home):
    assert __import__(home, fromlist=["Webhook"]).Webhook is Webhook


@pytest.mark.parametrize("name", [".", "..", "../other", "a/../b", "..\\other"])
def test_a_name_that_would_lead_out_of_the_place_in_the_url_is_refused(name):
    place = {"url": "https://example.com/flows/{name}/flow"}
    with pytest.raises(ConfigurationError, match="would lead out of"):
        make(get=place).get_flow(name, allow_unverified=True)
    with pytest.raises(ConfigurationError, match="would lead out of"):
        make(place, place).add_flow(flowhold.Flow(name))
    slugs = {"url": "https://example.com/flows/{slug}/flow"}
    assert make(slugs, slugs).add_flow(flowhold.Flow(name)) == name
