"""Tests of what a store behind HTTP makes of a bad network, and of how many requests it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from flowhold.errors import (
    AccessDeniedError,
    FlowholdError,
    IntegrityError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageUnavailableError,
)
from flowhold.testing.faults import (
    Corrupt,
    Drip,
    Fault,
    FaultProxy,
    LoseAnswer,
    Request,
    Reset,
    Stall,
    Status,
    Truncate,
)
from flowhold.testing.operations import (
    DATA,
    NAME,
    ON_OBJECTS,
    OPERATIONS,
    PATIENT,
    RETRIES,
    Network,
    Side,
    contents,
    fill,
    reference,
    side_by,
)
from flowhold.testing.suite import Suite

__all__ = ["Network", "NetworkTests"]

HASTY = 0.5
BACKOFF = 30.0
OTHER = DATA[::-1]


class Trouble(NamedTuple):
    """A fault, how many requests meet it, and whether the operation has to succeed or to fail."""

    fault: Fault
    times: int
    succeeds: bool | None = None


FOR_GOOD = 100
LATER = {"Retry-After": "1"}
TROUBLES = {
    "one reset": Trouble(Reset(), 1, True),
    "resets": Trouble(Reset(), FOR_GOOD, False),
    "one stall": Trouble(Stall(), 1, True),
    "stalls": Trouble(Stall(), FOR_GOOD, False),
    **{
        f"{what} {status}": Trouble(Status(status), times, times < FOR_GOOD)
        for status, what, times in (
            (500, "one", 1),
            (500, "only", FOR_GOOD),
            (503, "some", RETRIES),
            (503, "only", FOR_GOOD),
        )
    },
    "one 429": Trouble(Status(429, headers=LATER), 1),
    "only 429": Trouble(Status(429, headers=LATER), FOR_GOOD, False),
    "one cut answer": Trouble(Truncate(50), 1),
    "cut answers": Trouble(Truncate(50), FOR_GOOD),
    "slow answers": Trouble(Drip(300_000), FOR_GOOD, True),
    "one damaged answer": Trouble(Corrupt(0), 1),
    "damaged answers": Trouble(Corrupt(0), FOR_GOOD),
    "one damaged request": Trouble(Corrupt(40, request=True), 1),
    "damaged requests": Trouble(Corrupt(40, request=True), FOR_GOOD),
    "one lost answer": Trouble(LoseAnswer(), 1, True),
    "lost answers": Trouble(LoseAnswer(), FOR_GOOD, False),
}


def _name(fault: Fault) -> str:
    return type(fault).__name__


LOSSES = pytest.mark.parametrize("fault", [Reset(), Status(503), LoseAnswer()], ids=_name)


def _is_write(request: Request) -> bool:
    return request.method in ("PUT", "POST")


class NetworkTests(Suite):
    """What becomes of every operation when the network or the server fails, and what each costs.

    A subclass gives the fixture ``network``. Waiting between tries is up to it: where an SDK's can
    be shortened, it should do so.
    """

    @pytest.fixture
    def network(self) -> Network:
        """Return what leads to an empty bucket of a real server."""
        raise NotImplementedError("the test class gives this fixture")

    @pytest.fixture
    def proxy(self, network: Network) -> Iterator[FaultProxy]:
        """Stand in front of the server, for one test: SDKs remember what failed."""
        with FaultProxy(network.server) as proxy:
            yield proxy

    @pytest.fixture
    def truth(self, network: Network) -> Side:
        """Return the way past the proxy, to objects that are there."""
        truth = side_by(network, network.server)
        fill(truth)
        return truth

    @pytest.mark.parametrize("trouble", TROUBLES)
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_trouble_ends_in_success_or_in_an_error_of_ours(
        self, network: Network, proxy: FaultProxy, truth: Side, operation: str, trouble: str
    ) -> None:
        """Nothing hangs, is tried for ever, stored twice, lost or wrong."""
        fault, times, succeeds = TROUBLES[trouble]
        run, right, requests, prepare, writes = OPERATIONS[operation]
        timeout = HASTY if isinstance(fault, Stall) else PATIENT
        side = side_by(network, proxy.url, timeout)
        prepare(side)
        before = contents(truth)
        proxy.clear()
        proxy.fail(fault, times, _is_write if writes else None)
        started, error = time.monotonic(), None
        try:
            run(side)
        except FlowholdError as raised:
            error = raised
        taken = time.monotonic() - started
        now = contents(truth)
        changed = {key: data for key, data in now.items() if before.get(key, b"") != data}
        changed |= dict.fromkeys(before.keys() - now.keys(), b"")
        looked = side if operation == "build" else truth
        if isinstance(fault, Corrupt) and fault.request and None in changed.values():
            # The server took damaged bytes, but nobody is given them.
            assert len(changed) == 1
        elif error is None or changed:
            assert right(looked, changed)
        if succeeds is not None:
            assert (error is None) == succeeds, error
        attempted = [request for request in proxy.requests if _is_write(request) or not writes]
        if succeeds is False:
            assert isinstance(error, StorageUnavailableError)
            assert len(attempted) <= 1 + RETRIES
        else:
            # What was written although the answer was lost is compared with what was meant.
            compared = 3 if isinstance(fault, (LoseAnswer, Truncate)) else 0
            assert len(attempted) <= requests * (1 + RETRIES) + compared
        assert taken <= len(proxy.requests) * timeout + BACKOFF

    @pytest.mark.parametrize("operation", ON_OBJECTS)
    @pytest.mark.parametrize("status", [401, 403, 404, 412])
    def test_a_refusal_is_not_tried_again(
        self, network: Network, proxy: FaultProxy, truth: Side, operation: str, status: int
    ) -> None:
        """What cannot help is not done."""
        side = side_by(network, proxy.url)
        expected: type[FlowholdError] = FlowholdError
        if status in (401, 403):
            expected = AccessDeniedError
        elif status == 404 and operation in ("get", "head"):
            expected = ObjectNotFoundError
        elif status == 412 and operation == "create":
            expected = ObjectExistsError
        proxy.fail(Status(status), FOR_GOOD)
        if status == 404 and operation == "delete":
            OPERATIONS[operation].run(side)
        else:
            with pytest.raises(expected):
                OPERATIONS[operation].run(side)
        assert proxy.count() == 1

    @pytest.mark.parametrize("fault", [Fault(), Reset(), Status(503), LoseAnswer()], ids=_name)
    def test_a_conflict_stays_one(
        self, network: Network, proxy: FaultProxy, truth: Side, fault: Fault
    ) -> None:
        """Whatever the network does, another's object is neither replaced nor taken for ours."""
        proxy.fail(fault)
        with pytest.raises(ObjectExistsError):
            side_by(network, proxy.url).store.put("there", OTHER, if_absent=True)
        assert truth.store.get("there") == DATA

    @LOSSES
    @pytest.mark.parametrize("if_absent", [False, True], ids=["put", "create"])
    def test_a_large_upload_is_sent_again_from_its_beginning(
        self, network: Network, proxy: FaultProxy, truth: Side, fault: Fault, if_absent: bool
    ) -> None:
        """The bytes of a second try are those of the first."""
        parts = [bytes([number]) * (1 << 20) for number in range(10)]
        proxy.fail(fault)
        side_by(network, proxy.url).store.put("new", iter(parts), if_absent=if_absent)
        assert truth.store.get("new") == b"".join(parts)

    def test_a_cut_download_goes_on_where_it_broke_off(
        self, network: Network, proxy: FaultProxy, truth: Side
    ) -> None:
        """Nothing is read twice that is there."""
        truth.store.put("new", DATA * 20)
        proxy.fail(Truncate(len(DATA) * 15))
        assert side_by(network, proxy.url).store.get("new") == DATA * 20
        assert proxy.count() == 2

    def test_damage_after_a_cut_is_noticed(
        self, network: Network, proxy: FaultProxy, truth: Side
    ) -> None:
        """What is checked is the whole, not its parts."""
        proxy.fail(Truncate(50))
        proxy.fail(Corrupt(1000))
        with pytest.raises(IntegrityError):
            side_by(network, proxy.url).store.get("there")

    def test_a_download_never_mixes_two_versions_of_an_object(
        self, network: Network, proxy: FaultProxy, truth: Side
    ) -> None:
        """An object that is replaced while it is read is the one or the other, or an error."""
        truth.store.put("new", DATA * 20)
        proxy.fail(Truncate(len(DATA) * 15))
        got = None
        try:
            with side_by(network, proxy.url).store.open("new") as stream:
                got = stream.read(1000)
                truth.store.put("new", OTHER * 20)
                got += stream.read()
        except FlowholdError as error:
            assert not isinstance(error, (ObjectExistsError, ObjectNotFoundError))  # noqa: PT017
        else:
            assert got in (DATA * 20, OTHER * 20)

    @LOSSES
    def test_concurrent_additions_get_one_version_each(
        self, network: Network, proxy: FaultProxy, truth: Side, fault: Fault
    ) -> None:
        """A catalog neither loses a version nor has one twice."""
        sides = [side_by(network, proxy.url) for _ in range(6)]
        proxy.fail(fault, RETRIES, _is_write)
        with ThreadPoolExecutor(len(sides)) as executor:
            versions = executor.map(lambda side: side.catalog.add(reference()).version, sides)
            assert sorted(versions) == [3, 4, 5, 6, 7, 8]
        assert truth.catalog.versions(NAME) == list(range(1, 9))

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_requests_are_as_few_as_can_be(
        self, network: Network, proxy: FaultProxy, truth: Side, operation: str
    ) -> None:
        """To store, to load, to look and to remove take one each."""
        run, _, requests, prepare, _ = OPERATIONS[operation]
        side = side_by(network, proxy.url)
        prepare(side)
        proxy.clear()
        run(side)
        assert proxy.count() == requests

    def test_a_flow_that_was_loaded_is_loaded_again_without_a_request(
        self, network: Network, proxy: FaultProxy
    ) -> None:
        """Verified bytes are kept by their digest."""
        side, load = side_by(network, proxy.url), OPERATIONS["load"]
        load.prepare(side)
        load.run(side)
        proxy.clear()
        load.run(side)
        assert proxy.count() == 0

    def test_a_list_takes_a_request_for_each_thousand(
        self, network: Network, proxy: FaultProxy
    ) -> None:
        """It comes in pages, in order and complete."""
        side = side_by(network, proxy.url)
        keys = [f"n/{number:04}" for number in range(1001)]
        with ThreadPoolExecutor(16) as executor:
            for _ in executor.map(lambda key: side.store.put(key, b""), keys):
                pass
        proxy.clear()
        assert [info.key for info in side.store.list("n/")] == keys
        assert proxy.count() <= 2
