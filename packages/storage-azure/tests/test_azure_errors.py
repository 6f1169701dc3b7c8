"""What Azure's errors become: each row of the table, by real answers and by ones put in between."""

from __future__ import annotations

import gc
import socket
import traceback
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from azure.core.pipeline import PipelineResponse

from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    IntegrityError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.testing.faults import Reset, Status
from flowhold_storage_azure import AzureStore
from flowhold_storage_azure.errors import RULES

BODY = (
    '<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>What went wrong.\n'
    "RequestId:1\nTime:2026</Message></Error>"
)
EXPECTED = {
    "BlobNotFound": (404, ObjectNotFoundError, "there is no object az://"),
    "ContainerNotFound": (404, StorageError, "the container of az://.* does not exist"),
    "ContainerBeingDeleted": (409, StorageError, "does not exist"),
    "ContainerDisabled": (409, StorageError, "does not exist"),
    "InvalidResourceName": (400, ConfigurationError, "InvalidResourceName: What went wrong"),
    "InvalidUri": (400, ConfigurationError, "cannot be in Azure"),
    "OutOfRangeInput": (400, ConfigurationError, "cannot be in Azure"),
    "AuthenticationFailed": (403, AccessDeniedError, "were refused: AuthenticationFailed"),
    "InvalidAuthenticationInfo": (400, AccessDeniedError, "were refused"),
    "AccountIsDisabled": (403, AccessDeniedError, "were refused"),
    "KeyBasedAuthenticationNotPermitted": (403, AccessDeniedError, "were refused"),
    "NoAuthenticationInformation": (401, AccessDeniedError, "no credentials for az://"),
    "AuthorizationFailure": (403, AccessDeniedError, "no permission for az://"),
    "AuthorizationPermissionMismatch": (403, AccessDeniedError, "no permission for az://"),
    "AuthorizationProtocolMismatch": (403, AccessDeniedError, "no permission for az://"),
    "AuthorizationResourceTypeMismatch": (403, AccessDeniedError, "no permission for az://"),
    "AuthorizationServiceMismatch": (403, AccessDeniedError, "no permission for az://"),
    "AuthorizationSourceIPMismatch": (403, AccessDeniedError, "no permission for az://"),
    "InsufficientAccountPermissions": (403, AccessDeniedError, "no permission for az://"),
    "PUT BlobAlreadyExists": (409, ObjectExistsError, "exists already"),
    "PUT ConditionNotMet": (412, ObjectExistsError, "exists already"),
    "GET ConditionNotMet": (412, StorageUnavailableError, "was replaced while it was read"),
    "GET 412": (412, StorageUnavailableError, "was replaced while it was read"),
    "BlobArchived": (409, StorageError, "is archived: BlobArchived"),
    "LeaseIdMissing": (412, StorageError, "is leased by somebody"),
    "LeaseIdMismatchWithBlobOperation": (412, StorageError, "is leased by somebody"),
    "SnapshotsPresent": (409, StorageError, "cannot be changed or removed"),
    "BlobImmutableDueToPolicy": (409, StorageError, "cannot be changed or removed"),
    "BlobOverwriteNotAllowed": (409, StorageError, "cannot be changed or removed"),
    "ServerBusy": (503, StorageUnavailableError, "did not answer as it should: ServerBusy"),
    "InternalError": (500, StorageUnavailableError, "did not answer as it should"),
    "OperationTimedOut": (500, StorageUnavailableError, "did not answer as it should"),
    "Md5Mismatch": (400, IntegrityError, "arrived damaged: Md5Mismatch"),
    401: (401, AccessDeniedError, "were refused"),
    403: (403, AccessDeniedError, "no permission for az://"),
    404: (404, ObjectNotFoundError, "there is no object az://"),
    429: (429, StorageUnavailableError, "did not answer as it should"),
    "SomethingNew": (418, StorageError, "az://.*: SomethingNew: What went wrong"),
}
OF_NO_ANSWER = {
    "SSLError",
    "ClientAuthenticationError",
    "ServiceRequestError",
    "ServiceResponseError",
    "HttpResponseError",
    "AttributeError",
    "ValueError",
}


@pytest.fixture
def store(azure_server, azure_container, proxy, no_backoff):
    string = azure_server.connection_string_by(proxy.url)
    return AzureStore(azure_container, connection_string=string, retries=1)


def test_every_row_of_the_table_is_tried():
    tried = {*EXPECTED, *(str(row).removeprefix("PUT ") for row in EXPECTED)}
    assert RULES.keys() <= tried | OF_NO_ANSWER


@pytest.mark.parametrize("row", EXPECTED, ids=str)
def test_an_answer_becomes_the_error_of_its_row(store, proxy, row):
    status, kind, text = EXPECTED[row]
    method, _, code = row.rpartition(" ") if isinstance(row, str) else ("", "", "")
    answer = Status(status)
    if code and not code.isdigit():
        headers = {"x-ms-error-code": code, "Content-Type": "application/xml"}
        answer = Status(status, BODY.format(code=code).encode(), headers)
    proxy.fail(answer, 100)
    with pytest.raises(kind, match=text) as caught:
        store.get("object") if method != "PUT" else store.put("object", b"x", if_absent=True)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert "RequestId" not in str(caught.value)
    assert proxy.count() == (2 if status >= 500 else 1)


def test_a_missing_container_is_told(store, azure_server):
    missing = AzureStore("no-such-container", connection_string=azure_server.connection_string)
    calls = [missing.get, missing.head, missing.delete, lambda key: missing.put(key, b"x")]
    for call in [*calls, lambda _: list(missing.list())]:
        with pytest.raises(
            StorageError, match=r"the container of az://.* does not exist"
        ) as caught:
            call("object")
        assert type(caught.value) is StorageError


def test_a_leased_blob_is_told(store, raw):
    raw.upload_blob("object", b"x")
    raw.get_blob_client("object").acquire_lease()
    for call in (lambda: store.put("object", b"y"), lambda: store.delete("object")):
        with pytest.raises(StorageError, match="is leased by somebody: LeaseIdMissing"):
            call()


def test_a_name_that_no_container_can_have_is_told(azure_server):
    store = AzureStore("UPPER", connection_string=azure_server.connection_string)
    with pytest.raises(ConfigurationError, match="cannot be in Azure"):
        store.put("object", b"x")


def test_a_server_that_is_not_there_cannot_be_reached(azure_server, no_backoff):
    string = azure_server.connection_string_by("http://127.0.0.1:9/account")
    store = AzureStore("flows", connection_string=string)
    with pytest.raises(StorageUnavailableError, match="cannot be reached"):
        store.get("object")


def test_a_tls_connection_that_fails_is_told(azure_server, no_backoff):
    url = azure_server.url.replace("http://", "https://")
    store = AzureStore("flows", connection_string=azure_server.connection_string_by(url))
    with pytest.raises(StorageUnavailableError, match="no TLS connection") as caught:
        store.get("object")
    assert "connection_verify" in caught.value.hint


@pytest.mark.parametrize("body", [b"", b"x", b"<nothing/>"])
def test_an_answer_that_makes_no_sense_is_an_error(store, proxy, body):
    proxy.fail(Status(200, body), 100)
    for call in (lambda: store.get("object"), lambda: list(store.list())):
        with pytest.raises(StorageError):
            call()


def test_a_download_that_makes_no_sense_leaves_no_connection_open(store, proxy):
    proxy.fail(Status(200, b"x"), 100)
    errors = []
    for _ in range(3):
        with pytest.raises(StorageError) as caught:
            store.get("object")
        errors.append(caught)
    # Errors are kept for long, and with them all that the functions had that they passed.
    assert connections_to(proxy) <= 1


def test_a_download_leaves_no_answer_to_the_garbage_collector(store):
    store.put("object", b"x")
    gc.collect()
    gc.disable()
    try:
        assert store.get("object") == b"x"
        assert not [each for each in gc.get_objects() if isinstance(each, PipelineResponse)]
    finally:
        gc.enable()


def connections_to(proxy):
    """Return how many connections of this process to a proxy are open, used or not."""
    port = urlsplit(proxy.url).port
    opened = 0
    for each in gc.get_objects():
        if isinstance(each, socket.socket) and each.fileno() != -1:
            with suppress(OSError):
                opened += each.getpeername()[1] == port
    return opened


def test_a_signature_is_not_shown_even_in_a_traceback(azure_container, proxy, no_backoff):
    given = f"BlobEndpoint={proxy.url};SharedAccessSignature=sv=2024&sp=r&sig=Q0FOQVJZ%3D"
    store = AzureStore(azure_container, connection_string=given, timeout=0.3, retries=0)
    unreachable = given.replace(proxy.url, "http://127.0.0.1:9/account")
    for failing in (store, AzureStore(azure_container, connection_string=unreachable, retries=0)):
        proxy.fail(Reset())
        with pytest.raises(StorageUnavailableError) as caught:
            failing.get("object")
        assert "Q0FOQVJZ" not in "".join(traceback.format_exception(caught.value))
