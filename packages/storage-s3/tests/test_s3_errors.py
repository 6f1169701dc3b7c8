"""What a server or boto3 says becomes an error of Flowhold that says what to do."""

from __future__ import annotations

import pickle

import pytest

from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    IntegrityError,
    ObjectExistsError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.testing.faults import Endless, FaultProxy, Status, Truncate
from flowhold_storage_s3 import S3Store
from flowhold_storage_s3.errors import RULES

OF_ANSWERS = {
    "NoSuchKey": (404, StorageError, "check the bucket"),
    "NoSuchBucket": (404, StorageError, "create it"),
    "NoSuchUpload": (404, StorageError, "check the bucket"),
    "PreconditionFailed": (412, ObjectExistsError, ""),
    "InvalidObjectState": (403, StorageError, "restore it"),
    "InvalidAccessKeyId": (403, AccessDeniedError, "check the access key"),
    "SignatureDoesNotMatch": (403, AccessDeniedError, "check the access key"),
    "ExpiredToken": (400, AccessDeniedError, "session has expired"),
    "InvalidToken": (400, AccessDeniedError, "session has expired"),
    "TokenRefreshRequired": (400, AccessDeniedError, "session has expired"),
    "RequestTimeTooSkewed": (403, AccessDeniedError, "clock"),
    "AccessDenied": (403, AccessDeniedError, "s3:PutObject"),
    "ConditionalRequestConflict": (409, StorageUnavailableError, "try again"),
    "BadDigest": (400, IntegrityError, "try again"),
    "InvalidDigest": (400, IntegrityError, "try again"),
    "XAmzContentChecksumMismatch": (400, IntegrityError, "try again"),
    "NotImplemented": (501, StorageError, "If-None-Match"),
    "IncompleteBody": (400, StorageError, "when_required"),
    "InvalidTrailer": (400, StorageError, "when_required"),
    "MalformedTrailerError": (400, StorageError, "when_required"),
    "MissingContentLength": (411, StorageError, "when_required"),
    "XAmzContentSHA256Mismatch": (400, StorageError, "when_required"),
    "PermanentRedirect": (301, ConfigurationError, "region_name"),
    "AuthorizationHeaderMalformed": (400, ConfigurationError, "region_name"),
}
OF_STATUS = {
    301: ConfigurationError,
    400: StorageError,
    401: AccessDeniedError,
    403: AccessDeniedError,
    404: StorageError,
    405: StorageError,
    408: StorageUnavailableError,
    412: ObjectExistsError,
    429: StorageUnavailableError,
    500: StorageUnavailableError,
    501: StorageError,
    502: StorageUnavailableError,
    503: StorageUnavailableError,
    504: StorageUnavailableError,
    507: StorageError,
}
NEVER_SENT = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
    "SSOTokenLoadError",
    "SSLError",
    "FlexibleChecksumError",
    "HTTPClientError",
    "HTTPError",
    "ConnectionError",
    "IncompleteReadError",
    "BotoCoreError",
    "checksums",
    "SentOnError",
}


def says(code, words="Words of the server."):
    return f"<Error><Code>{code}</Code><Message>{words}</Message></Error>".encode()


@pytest.fixture
def store(s3_bucket, via):
    return S3Store(s3_bucket, client_options=via, retries=1)


def test_every_row_of_the_table_is_tried_here():
    tried = {*OF_ANSWERS, *OF_STATUS, *NEVER_SENT}
    assert RULES.keys() - tried == set()


@pytest.mark.parametrize("code", OF_ANSWERS)
def test_codes_of_servers(store, proxy, code):
    status, expected, hint = OF_ANSWERS[code]
    region = {"x-amz-bucket-region": "eu-central-1"} if status == 301 else {}
    proxy.fail(Status(status, says(code), region), 10)
    with pytest.raises(expected) as caught:
        store.put("key", b"bytes", if_absent=True)
    assert type(caught.value) is expected
    assert hint in (caught.value.hint or "")
    assert store.bucket in str(caught.value)
    assert caught.value.__cause__ is not None
    assert pickle.loads(pickle.dumps(caught.value)).hint == caught.value.hint


@pytest.mark.parametrize("status", OF_STATUS)
def test_answers_without_a_body_count_by_their_status(store, proxy, status):
    proxy.fail(Status(status), 1000)
    with pytest.raises(OF_STATUS[status]) as caught:
        store.put("key", b"bytes", if_absent=True)
    assert type(caught.value) is OF_STATUS[status]


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (400, "InvalidArgument", "Unsupported header 'x-amz-sdk-checksum-algorithm' received"),
        (400, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid."),
        (501, "NotImplemented", "x-amz-checksum-crc32 is not implemented"),
    ],
)
def test_a_server_without_newer_checksums_is_told_apart(store, proxy, status, code, words):
    proxy.fail(Status(status, says(code, words)))
    with pytest.raises(StorageError, match="refused the upload") as caught:
        store.put("key", b"bytes")
    assert "'request_checksum_calculation': 'when_required'" in caught.value.hint


def test_an_argument_that_is_wrong_otherwise_says_nothing_of_checksums(store, proxy):
    proxy.fail(Status(400, says("InvalidArgument", "Bad storage class.")))
    with pytest.raises(StorageError, match="Bad storage class") as caught:
        store.put("key", b"bytes")
    assert caught.value.hint is None


def test_checksums_can_be_switched_off(s3_bucket, via, proxy):
    off = {"request_checksum_calculation": "when_required"}
    S3Store(s3_bucket, client_options=via).put("with", b"bytes")
    S3Store(s3_bucket, client_options={**via, "config": off}).put("without", b"bytes")
    with_, without = ({name.lower() for name in made.headers} for made in proxy.requests)
    assert "x-amz-checksum-crc32" in with_
    assert not [name for name in without if "checksum" in name]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_server_that_only_sends_on_to_another(store, proxy, status):
    proxy.fail(Status(status, headers={"Location": "https://127.0.0.1/"}), 1000)
    for use in (lambda: store.put("key", b""), lambda: store.get("key"), lambda: [*store.list()]):
        with pytest.raises(StorageError if status == 308 else ConfigurationError) as caught:
            use()
        if status != 308:
            assert "https://" in caught.value.hint
    if status != 308:
        region = "HEAD"
        methods = [made.method for made in proxy.requests]
        assert methods == ["PUT", region, "GET", region, "GET", region]


def test_no_server(s3_bucket, no_backoff):
    store = S3Store(s3_bucket, client_options={"endpoint_url": "http://127.0.0.1:1"}, retries=1)
    with pytest.raises(StorageUnavailableError, match="cannot be reached") as caught:
        store.head("key")
    assert "endpoint_url" in caught.value.hint


def test_no_credentials(s3_bucket, at, monkeypatch, no_backoff):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(AccessDeniedError, match="no credentials") as caught:
        S3Store(s3_bucket, client_options=at).head("key")
    assert "AWS_CREDENTIALS" in caught.value.hint


def test_a_bucket_that_is_not_there(s3_bucket, at):
    store = S3Store("no-such-bucket", client_options=at)
    for use in (lambda: store.put("key", b""), lambda: store.get("key"), lambda: [*store.list()]):
        with pytest.raises(StorageError, match=r"the bucket of s3://no-such-bucket/.* not exist"):
            use()


def test_a_name_that_no_bucket_can_have(s3_bucket, at):
    with pytest.raises(ConfigurationError, match="Invalid bucket name") as caught:
        S3Store("not a bucket", client_options=at).head("key")
    assert "bucket" in caught.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"endpoint_url": "nonsense"},
        {"no_such_option": 1},
        {"config": {"no_such_option": 1}},
        {"config": {"retries": {"mode": "no-such-mode"}}},
        {"profile_name": "no-such-profile"},
        {"aws_access_key_id": "only one half"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_wrong_options(s3_bucket, options):
    with pytest.raises(ConfigurationError) as caught:
        S3Store(s3_bucket, client_options=options).head("key")
    assert "only one half" not in str(caught.value)
    assert caught.value.hint == "check client_options"


def test_an_upload_option_that_boto3_does_not_know(s3_bucket, at):
    store = S3Store(s3_bucket, client_options=at, upload_options={"NoSuchOption": 1})
    with pytest.raises(ConfigurationError, match="NoSuchOption") as caught:
        store.put("key", b"")
    assert "upload_options" in caught.value.hint


def test_an_answer_that_does_not_say_how_long_it_is(store, proxy):
    store.put("key", b"bytes")
    proxy.fail(Endless())
    with pytest.raises(StorageUnavailableError, match="no server of S3"):
        store.get("key")


def test_a_server_that_ignores_what_range_is_asked_for(s3_server, s3_bucket):
    data = bytes(range(256)) * 100

    def ignore(request):
        if "Range" in request.headers:
            return Status(200, data, {"ETag": '"etag"'})
        return None

    with FaultProxy(s3_server.url, ignore) as proxy:
        store = S3Store(s3_bucket, client_options={"endpoint_url": proxy.url})
        store.put("key", data)
        proxy.fail(Truncate(1000), when="GET")
        with pytest.raises(StorageUnavailableError, match="another part"):
            store.get("key")


def test_nothing_of_it_is_printed(store, proxy, capfd, caplog):
    proxy.fail(Status(503), 2)
    proxy.fail(Status(403))
    for _ in range(2):
        with pytest.raises(StorageError):
            store.put("key", b"bytes")
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []
