"""What commands and functions cost in requests to Azure."""

from __future__ import annotations

import pytest

import flowhold
from flowhold.storage import Azure


@pytest.fixture
def reach(azure_server, azure_container, proxy, monkeypatch):
    """Let flows and the catalog be in the container, behind the proxy; return the count."""
    string = azure_server.connection_string_by(proxy.url)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", string)
    monkeypatch.setenv("FLOWHOLD_CATALOG", f"az://{azure_container}/catalog")

    def count():
        methods = [request.method for request in proxy.requests]
        proxy.clear()
        return methods

    return count


def register(container, value=1):
    flow = flowhold.flow(lambda: value, name="etl")
    return flowhold.register(flow, storage=Azure(container))


def test_requests_of_each_operation(azure_container, reach):
    reference = register(azure_container)
    assert reach() == ["GET", "PUT", "PUT"]
    register(azure_container)
    assert reach() == ["GET"]
    register(azure_container, 2)
    assert reach() == ["GET", "PUT", "PUT"]
    flow = flowhold.load(reference)
    assert reach() == ["GET"]
    assert flow.run().result == 1
    assert reach() == ["PUT"]
    flowhold.load(reference)
    assert reach() == []
    assert flowhold.load("etl").name == "etl"
    assert reach() == ["GET", "GET", "GET"]


def test_a_build_of_many_flows_takes_a_request_for_each(azure_container, reach):
    storage = Azure(azure_container)
    for number in range(40):
        storage.add_flow(flowhold.Flow(f"flow {number}"))
    storage.build()
    assert reach() == ["PUT"] * 40


def test_results_take_one_request_each(azure_container, reach):
    written = Azure(azure_container).result.write(1, flow="f", task="t", run_id="r")
    assert reach() == ["PUT"]
    assert written.read().value == 1
    assert reach() == ["GET"]
    assert written.exists()
    assert reach() == ["HEAD"]
