from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime

import botocore.session
import pytest
from botocore import utils
from hypothesis import example, given
from hypothesis import strategies as st

from flowhold_storage_s3 import S3Store, times

MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(timezone.utc))


def of_s3(moment):
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def of_http(moment):
    return format_datetime(moment, usegmt=True)


@given(
    MOMENTS.map(of_s3)
    | MOMENTS.map(of_http)
    | MOMENTS.map(lambda moment: moment.isoformat())
    | st.floats(0, 1e10)
    | st.integers(0, 10**10).map(str)
)
@example("2009-10-12T17:50:30Z")
@example("2009-10-12T17:50:30.1Z")
@example("2009-10-12T17:50:30.1234567Z")
@example("20091012T175030Z")
@example("Sunday, 06-Nov-94 08:49:37 GMT")
@example("Sunday, 06-Nov-69 08:49:37 GMT")
@example("Sun, 06 Nov 1994 08:49:37 PM GMT")
@example("Sun, 06 Nov 1994 08:49:37 +0100")
def test_times_are_those_of_botocore(value):
    found = times.time_of(value)
    assert found == utils.parse_timestamp(value)
    assert found.tzinfo is not None


VALUES_OF_NO_TIME = ["", "Z", " GMT", "never", "2009-99-12T17:50:30.000Z", "2009-10-12Z"]
VALUES_OF_NO_TIME += ["Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 -0000 GMT"]


@pytest.mark.parametrize("value", VALUES_OF_NO_TIME)
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ValueError, match="Invalid timestamp"):
        times.time_of(value)


def test_a_server_gives_times_that_are_read_quickly(s3_bucket, at, monkeypatch):
    quickly, slowly = [], []

    def time_of(value, known=times.time_of):
        quickly.append(value)
        return known(value)

    monkeypatch.setattr(times, "time_of", time_of)
    monkeypatch.setattr(times, "parse_timestamp", slowly.append)
    store = S3Store(s3_bucket, client_options=at, timeout=29)  # no client that is there
    store.put("flows/etl", b"data")
    head, (listed,) = store.head("flows/etl"), store.list()
    assert abs(head.modified - listed.modified) < 1  # a header has seconds
    assert (len(quickly), slowly) == (2, [])


def test_a_session_of_the_user_stays_as_it_is(s3_bucket, at):
    own = botocore.session.get_session()
    store = S3Store(s3_bucket, client_options={**at, "botocore_session": own})
    store.put("flows/etl", b"data")
    parser = own.get_component("response_parser_factory").create_parser("rest-xml")
    assert parser._timestamp_parser is utils.parse_timestamp
