"""A bad network between a storage and its server: it ends, with the flow or an error of ours.

What object stores make of it, operation by operation, is tried by the conformance kit's
`NetworkTests` in the packages of these.
"""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress

import pytest
from scenes import SCENES, Scene

import flowhold
from flowhold.errors import FlowholdError, IntegrityError, StorageUnavailableError
from flowhold.testing.faults import Corrupt, Stall
from flowhold.testing.network import BACKOFF, TROUBLES
from flowhold.testing.operations import RETRIES

PROMISE = "network, {}: trouble ends in success or in an error, and nothing wrong is loaded"
NETWORKED = [
    "webhook",
    "git",
    "github",
    "gitlab",
    "bitbucket cloud",
    "bitbucket server",
    "codecommit",
]
STALLED = 0.5
PATIENT = 30.0
ASKED = 12
"""Requests of one operation, at most, where all is well."""


def tries(scene: Scene, trouble: str, operation: str, monkeypatch, tmp_path) -> None:
    """Register, or load what was registered, while a trouble lasts."""
    fault, times, succeeds = TROUBLES[trouble]
    timeout = STALLED if isinstance(fault, Stall) else PATIENT
    storage = scene.storage(timeout=timeout, retries=RETRIES)
    reference = None
    if operation == "load":
        reference = flowhold.register(scene.flow(), storage=storage)
        monkeypatch.setenv("FLOWHOLD_CACHE_DIR", str(tmp_path / "another cache"))
    scene.proxy.clear()
    scene.proxy.fail(fault, times)
    started, error, flow = time.monotonic(), None, None
    try:
        if reference is None:
            flowhold.register(scene.flow(), storage=storage)
        else:
            flow = flowhold.load(reference)
    except FlowholdError as raised:
        error = raised
    taken, asked = time.monotonic() - started, scene.proxy.count()
    scene.proxy.clear()
    if error is None:
        # The server may have taken damaged bytes, but nobody is given them.
        damaged = isinstance(fault, Corrupt) and fault.request
        with suppress(IntegrityError) if damaged else nullcontext():
            assert (flow or flowhold.load(scene.name)).run().result > 20
    if succeeds and asked:
        assert error is None
    if succeeds is False and asked:
        assert isinstance(error, (StorageUnavailableError, IntegrityError)), error
        assert asked <= 1 + RETRIES
    assert asked <= ASKED * (1 + RETRIES)
    assert taken <= asked * timeout + BACKOFF


@pytest.mark.parametrize("name", NETWORKED)
def test_trouble_of_a_network(name, request, trying, sample, swift, monkeypatch, tmp_path):
    cases = [(trouble, step) for trouble in TROUBLES for step in ("register", "load")]
    for number, (trouble, step) in enumerate(trying(PROMISE.format(name), sample(cases, 3))):
        print(trouble, step)  # shown where it fails
        folder = tmp_path / f"{number}"
        monkeypatch.setenv("FLOWHOLD_CACHE_DIR", str(folder / "cache"))
        monkeypatch.setenv("FLOWHOLD_DATA_DIR", str(folder / "data"))
        with SCENES[name](request) as scene, flowhold.secrets(dict(scene.secrets)):
            tries(scene, trouble, step, monkeypatch, folder)
