"""Where Azure's account and credentials come from, and the clients that are made of them."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from flowhold.errors import AccessDeniedError, ConfigurationError, SecretNotFoundError
from flowhold_storage_azure import AzureStore
from flowhold_storage_azure.client import make_client

VARIABLE = "AZURE_STORAGE_CONNECTION_STRING"
SECRET = "FLOWHOLD_SECRET_AZURE"
URL = "https://account.blob.core.windows.net"


def string(account):
    return f"AccountName={account};AccountKey=a2V5"


def account_of(**options):
    return AzureStore("flows", **options).client.account_name


def test_the_account_is_of_the_first_that_is_given(monkeypatch):
    options = {"account_url": URL, "credential": "a2V5"}
    assert account_of(**options) == "account"
    monkeypatch.setenv(VARIABLE, string("variable"))
    assert account_of(**options) == "variable"
    monkeypatch.setenv(SECRET, string("secret"))
    options["connection_string_secret"] = "AZURE"
    assert account_of(**options) == "secret"
    assert account_of(**options, connection_string=string("explicit")) == "explicit"


def test_nothing_given_is_an_error_that_lists_what_could_be():
    with pytest.raises(ConfigurationError) as caught:
        account_of()
    for way in ("connection_string,", "connection_string_secret", VARIABLE, "account_url"):
        assert way in str(caught.value)


def test_a_secret_that_is_missing_is_told_before_the_environment_is_asked(monkeypatch):
    monkeypatch.setenv(VARIABLE, string("variable"))
    with pytest.raises(SecretNotFoundError, match="NOWHERE"):
        account_of(connection_string_secret="NOWHERE")


def test_credentials_are_looked_for_when_first_used(monkeypatch):
    store = AzureStore("flows", connection_string_secret="AZURE")
    monkeypatch.setenv(SECRET, string("later"))
    assert store.client.account_name == "later"


@pytest.mark.parametrize("given", ["connection_string", "account_url"])
def test_without_a_key_the_default_credential_is_used(given):
    from azure.identity import DefaultAzureCredential

    options = {given: "AccountName=account" if given == "connection_string" else URL}
    assert isinstance(AzureStore("flows", **options).client.credential, DefaultAzureCredential)


@pytest.mark.parametrize(
    "given", [string("a"), "AccountName=a;SharedAccessSignature=sv=1&sig=x",
              "UseDevelopmentStorage=true"]
)  # fmt: skip
def test_a_string_with_a_key_or_signature_needs_no_azure_identity(given, monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    assert account_of(connection_string=given)


def test_without_azure_identity_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(ConfigurationError, match="azure-identity is needed") as caught:
        account_of(account_url=URL, timeout=99)
    assert caught.value.hint == 'pip install "flowhold-storage-azure[identity]"'


@pytest.mark.parametrize(
    "options",
    [
        {"connection_string": "Q0FOQVJZ"},
        {"connection_string": "AccountKey=Q0FOQVJZ"},
        {"account_url": "http://account.blob.core.windows.net"},
    ],
)
def test_wrong_options_are_told_without_showing_them(options):
    with pytest.raises((ConfigurationError, TypeError)) as caught:
        AzureStore("flows", **options).get("object")
    assert isinstance(caught.value, ConfigurationError)
    assert "Q0FOQVJZ" not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"


def test_a_key_that_is_none_is_access_denied(azure_server, azure_container):
    given = azure_server.connection_string.replace(azure_server.key, "no-key")
    with pytest.raises(AccessDeniedError) as caught:
        AzureStore(azure_container, connection_string=given).get("object")
    assert "no-key" not in str(caught.value)


@pytest.fixture
def signature(azure_server, azure_container):
    return generate_container_sas(
        azure_server.account,
        azure_container,
        azure_server.key,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry="2099-01-01T00:00:00Z",
    )


@pytest.mark.parametrize("way", ["connection_string", "credential"])
def test_a_signature_allows_what_it_says(azure_server, azure_container, raw, signature, way):
    options = {"account_url": azure_server.url, "credential": signature}
    if way == "connection_string":
        given = f"BlobEndpoint={azure_server.url};SharedAccessSignature={signature}"
        options = {"connection_string": given}
    raw.upload_blob("object", b"x")
    store = AzureStore(azure_container, **options)
    assert store.get("object") == b"x"
    assert [info.key for info in store.list()] == ["object"]
    with pytest.raises(AccessDeniedError) as caught:
        store.put("another", b"x")
    secret = signature.partition("sig=")[2]
    assert secret not in f"{caught.value}{caught.value.__cause__}"


class Refusing:
    """A credential that gives no token."""

    def __init__(self):
        self.asked = 0

    def get_token(self, *scopes, **options):
        self.asked += 1
        raise ClientAuthenticationError("sign in first")


def test_a_credential_that_fails_is_access_denied_and_not_tried_again():
    credential = Refusing()
    with pytest.raises(AccessDeniedError, match="sign in first"):
        AzureStore("flows", account_url=URL, credential=credential).get("object")
    assert credential.asked == 1


class Token:
    def get_token(self, *scopes, **options):
        return AccessToken("token", 1 << 40)


def client(**options):
    given = {
        "connection_string": None,
        "account_url": URL,
        "credential": "a2V5",
        "timeout": 30,
        "retries": 3,
    }
    container, settings = options.pop("container", "flows"), options.pop("options", {})
    return make_client(container, settings, **{**given, **options})


def test_a_client_is_made_once_for_each_configuration():
    credential = Token()
    with ThreadPoolExecutor(8) as threads:
        clients = list(threads.map(lambda _: client(credential=credential), range(32)))
    assert len(set(map(id, clients))) == 1
    others = [
        client(credential=Token()),
        client(account_url=f"{URL}.cn"),
        client(timeout=5),
        client(retries=1),
        client(options={"connection_verify": False}),
        client(connection_string=string("a")),
        client(container="results", credential=credential),
    ]
    assert len({id(made) for made in (*others, clients[0])}) == 8


def test_stores_of_one_account_share_their_connections(azure_server):
    first, second = (
        AzureStore(name, connection_string=azure_server.connection_string) for name in "ab"
    )
    session = first.client._config.transport.session
    assert session is not None
    assert second.client._config.transport.session is session
    assert session.adapters["https://"]._pool_maxsize >= 16


def test_timeouts_and_retries_are_those_that_are_given():
    made = AzureStore("a", connection_string=string("a"), timeout=7, retries=5).client._config
    assert made.transport.connection_config.timeout == 7
    assert made.transport.connection_config.read_timeout == 7
    policy = made.retry_policy
    assert {policy.total_retries, policy.read_retries, policy.status_retries} == {5}
    waits = [max(policy.get_backoff_time({"count": n}) for _ in range(99)) for n in (1, 2, 3)]
    assert [wait <= most for wait, most in zip(waits, (0.5, 1, 2), strict=True)] == [True] * 3
