"""A flow in an image is run there, and tells what became of it."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import docker_engine as docker_engine_plugin
import pytest

import flowhold
from flowhold import Flow, Parameter, task
from flowhold.errors import (
    ConfigurationError,
    FlowholdError,
    FlowNotFoundError,
    SecretNotFoundError,
    StorageError,
)
from flowhold.storage import Storage
from flowhold_storage_docker import Docker, attaching
from flowhold_storage_docker.attaching import Piece, attached
from flowhold_storage_docker.containers import ContainerRunner


@task
def double(x):
    print("doubling")
    return 2 * x


@task
def seen(x):
    import os
    import sys

    # In pieces that end within a character.
    for byte in "— é 漢 🚀 —\n".encode():
        os.write(2, bytes([byte]))
    os.write(1, b"by its number\n")
    print("to errors", file=sys.stderr)
    return [type(x).__name__, x, os.environ.get("COLOUR"), os.getuid()]


@task
def fail(x):
    print("about to fail")
    raise ZeroDivisionError(f"cannot divide {x}")


@task
def depend(x):
    return x


@task
def own_error():
    raise type("OfItsOwn", (Exception,), {})("nobody knows this type")


@task
def know():
    import os

    return [
        flowhold.secret("TOKEN") == "of the host",
        sorted(it for it in os.environ if "TOKEN" in it),
    ]


@task
def wait(seconds):
    import time

    print("has begun", flush=True)
    time.sleep(seconds)
    return "ended"


@task
def devour():
    kept = []
    while True:
        kept.append(bytearray(16 << 20))


@task
def end(code):
    import os

    os._exit(code)


@task
def where(number):
    import os
    import threading

    return [os.getpid(), threading.current_thread().name]


def flows():
    with Flow("double") as first:
        double(Parameter("x", 21))
    with Flow("seen") as second:
        seen(Parameter("x", None))
    with Flow("fail") as third:
        depend(fail(Parameter("x", 1)))
    with Flow("own error") as fourth:
        own_error()
    with Flow("know") as fifth:
        know()
    with Flow("wait") as sixth:
        wait(Parameter("seconds", 60))
    with Flow("devour") as seventh:
        devour()
    with Flow("end") as eighth:
        end(Parameter("code", 3))
    with Flow("where") as ninth:
        for number in range(3):
            where(number)
    return [first, second, third, fourth, fifth, sixth, seventh, eighth, ninth]


@pytest.fixture(scope="module")
def built(docker_engine, docker_layers):
    """A storage whose image has all flows of this module."""
    storage = Docker(
        base_image=docker_engine_plugin.BASE,
        local_image=True,
        image_name="running",
        base_url=docker_engine.url,
        secrets=["TOKEN"],
    )
    for flow in flows():
        storage.add_flow(flow)
    return storage.build()


@pytest.fixture
def storage(built, engine, monkeypatch):
    """That storage in the environment of a test, which has its secret."""
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", "of the host")
    return built


def another(storage, **options):
    """Return a storage of the same image, as somebody else reads it, with other options."""
    document = storage.serialize()
    return Storage.deserialize({**document, "options": {**document["options"], **options}})


def test_a_registered_flow_runs_in_a_container(make):
    storage = make()
    with Flow("etl") as flow:
        double(Parameter("x", 21))
    reference = flowhold.register(flow, storage=storage)
    assert reference.kind == "image"
    assert reference.pinned
    run = storage.get_env_runner("etl").run(parameters={"x": 4})
    assert (run.state, run.result, run.exit_code) == ("success", 8, 0)
    assert flowhold.load("etl").run().result == 42


def test_each_of_several_flows_runs_by_its_name_or_its_location(storage):
    assert storage.get_env_runner("double").run().result == 42
    run = storage.get_env_runner(storage.flows["where"]).run()
    assert run.flow == "where"
    assert [task.state for task in run.tasks.values()] == ["success"] * 3
    with pytest.raises(FlowNotFoundError):
        storage.get_env_runner("another")
    with pytest.raises(FlowNotFoundError):
        storage.get_env_runner()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"x": [1, 2.5, None, True, "3"]}, id="nested"),
        pytest.param("3", id="text of digits"),
        pytest.param("a=b 'c' \"d\" $HOME\n{}", id="text with signs"),
    ],
)
def test_parameters_keep_their_types(storage, value):
    run = storage.get_env_runner("seen").run({"COLOUR": "blue = $green"}, {"x": value})
    assert run.result == [type(value).__name__, value, "blue = $green", 0]


def test_what_a_flow_prints_comes_through_whole_and_is_no_part_of_its_outcome(storage, capfd):
    run = storage.get_env_runner("seen").run()
    assert run.state == "success"
    printed = capfd.readouterr()
    assert "— é 漢 🚀 —" in printed.err
    assert "to errors" in printed.err
    assert "by its number" in printed.err
    assert printed.out == ""


def test_a_failed_task_makes_a_failed_run_and_its_error_has_its_type(storage, capfd):
    run = storage.get_env_runner("fail").run(parameters={"x": 7})
    assert (run.state, run.exit_code, run.result) == ("failed", 1, None)
    assert type(run.error) is ZeroDivisionError
    assert str(run.error).startswith("cannot divide 7")
    assert run.tasks["fail"].error is run.error
    assert run.tasks["fail"].state == "failed"
    assert run.tasks["depend"].state != "success"
    assert "about to fail" in capfd.readouterr().err


def test_an_error_of_an_unknown_type_keeps_its_name(storage):
    run = storage.get_env_runner("own error").run()
    assert isinstance(run.error, FlowholdError)
    assert "OfItsOwn" in str(run.error)
    assert "nobody knows this type" in str(run.error)


def test_an_error_that_is_made_of_more_than_a_text_keeps_its_name(make):
    @task
    def decode():
        return b"\xff".decode()

    with Flow("decoding") as flow:
        decode()
    storage = make()
    storage.add_flow(flow)
    error = storage.build().get_env_runner().run().error
    assert isinstance(error, FlowholdError)
    assert str(error).startswith("UnicodeDecodeError: 'utf-8' codec can't decode")


def test_a_variable_called_as_a_secret_does_not_take_its_place(make, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", "of the host")

    @task
    def tell():
        import os

        return [os.environ["TOKEN"], flowhold.secret("TOKEN")]

    with Flow("telling") as flow:
        tell()
    storage = make(secrets=["TOKEN"])
    storage.add_flow(flow)
    run = storage.build().get_env_runner().run({"TOKEN": "plain"})
    assert run.result == ["plain", "of the host"]


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (b'{"state": "success", "tasks": {"a": {}}}', 0),
        (b'{"state": "success", "tasks": [1]}', 0),
        (b'{"state": "success", "tasks": {}}', 137),
        (b'{"state": "failed", "tasks": {}}', 0),
        (b'{"state": "success"} and more', 0),
        (b'{"state": ["success"]}', 0),
    ],
)
def test_an_outcome_that_makes_no_sense_is_an_error_of_ours(told, code):
    runner = ContainerRunner(None, "image", "etl", "/opt/flowhold/flows/etl.json")
    with pytest.raises(StorageError, match=f"ended with {code} before the flow did"):
        runner._outcome(told, code, None)


def test_a_parameter_whose_name_has_an_equals_sign_is_refused(storage):
    with pytest.raises(ConfigurationError, match="cannot name a parameter"):
        storage.get_env_runner("double").run(parameters={"a=b": 1})


def test_a_wrong_parameter_is_an_error_and_no_outcome(storage):
    with pytest.raises(ConfigurationError, match="has no parameter 'y'"):
        storage.get_env_runner("double").run(parameters={"y": 1})


@pytest.mark.parametrize(
    ("env", "parameters", "match"),
    [
        ({"COLOUR": 1}, None, "COLOUR.* is not text"),
        ({}, {"x": object()}, "'x' cannot go into a container"),
        ({}, {"x": float("nan")}, "'x' cannot go into a container"),
    ],
)
def test_what_cannot_go_into_a_container_is_said_before_one_is_made(
    storage, env, parameters, match
):
    with pytest.raises(ConfigurationError, match=match):
        storage.get_env_runner("double").run(env, parameters)


def test_secrets_of_the_host_reach_tasks(storage):
    assert storage.get_env_runner("know").run().result == [True, ["FLOWHOLD_SECRET_TOKEN"]]


def test_a_secret_that_is_missing_is_said_before_a_container_is_made(storage, monkeypatch):
    monkeypatch.delenv("FLOWHOLD_SECRET_TOKEN")
    with pytest.raises(SecretNotFoundError, match="TOKEN"):
        storage.get_env_runner("know").run()


@pytest.mark.parametrize("executor", ["threads:3", "processes:2"])
def test_tasks_run_on_an_executor_in_the_container(storage, executor):
    run = storage.get_env_runner("where").run(executor=executor)
    assert run.state == "success"
    names = {name for _, name in run.result.values()}
    assert ("MainThread" in names) == (executor == "processes:2")
    assert (1 in {number for number, _ in run.result.values()}) == (executor == "threads:3")


def test_output_is_handed_on_while_the_flow_runs(storage, monkeypatch):
    came = threading.Event()

    class Ear:
        def write(self, text):
            if "has begun" in text:
                came.set()

        def flush(self):
            pass

    monkeypatch.setattr(sys, "stderr", Ear())
    ended = []
    runner = storage.get_env_runner("wait")
    worker = threading.Thread(target=lambda: ended.append(attempt(runner)))
    worker.start()
    assert came.wait(60)
    assert ended == []
    (container,) = of_flows(storage)
    storage.engine.client.kill(container)
    worker.join(60)
    (error,) = ended
    assert type(error) is StorageError
    assert "ended with 137 before the flow did: it was killed" in str(error)
    assert "run_kwargs" in error.hint


def test_a_container_that_is_removed_meanwhile_is_told_of(storage):
    ended = []
    runner = storage.get_env_runner("wait")
    worker = threading.Thread(target=lambda: ended.append(attempt(runner)))
    worker.start()
    (container,) = until(lambda: [it for it in of_flows(storage) if is_running(storage, it)])
    storage.engine.client.remove_container(container, force=True)
    worker.join(60)
    (error,) = ended
    assert isinstance(error, StorageError)
    assert "before the flow did" in str(error)


def attempt(runner):
    try:
        return runner.run()
    except Exception as error:
        return error


def of_flows(storage):
    """Return the IDs of containers that run flows."""
    found = storage.engine.client.containers(all=True, filters={"label": "flowhold.flow"})
    return [it["Id"] for it in found]


def is_running(storage, container):
    return storage.engine.client.inspect_container(container)["State"]["Running"]


def until(ask, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_too_little_memory_is_told_of(storage):
    runner = another(storage, run_kwargs={"mem_limit": "96m", "memswap_limit": "96m"})
    with pytest.raises(StorageError, match=r"before the flow did: .*memory") as caught:
        runner.get_env_runner("devour").run()
    assert "run_kwargs" in caught.value.hint


def test_a_process_that_ends_itself_is_told_of(storage):
    with pytest.raises(StorageError, match="ended with 3 before the flow did"):
        storage.get_env_runner("end").run()


RUN = """
import signal, sys
# Where tests run in the background, their children would not hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from flowhold.cli import main
sys.argv[0] = "flowhold"
main()
"""


@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGINT, "error: interrupted"), (signal.SIGTERM, "error: asked to end")],
    ids=["interrupt", "SIGTERM"],
)
def test_a_run_that_is_ended_leaves_no_container(storage, engine, number, words):
    (reference,) = [it for it in storage.references() if it.flow == "wait"]
    Path("wait.json").write_text(reference.to_json())
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "run", "wait.json"], stderr=subprocess.PIPE, text=True
    )
    with process:
        assert any("has begun" in line for line in process.stderr)
        assert len(of_flows(storage)) == 1
        process.send_signal(number)
        said = process.stderr.read()
        assert process.wait(60) == 128 + number
    assert words in said
    assert of_flows(storage) == []


def test_a_run_by_tls_streams_as_well(storage, engine, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, os.devnull)
    by_tls = another(storage)
    by_tls.base_url = engine.tls_url
    by_tls.tls_config = {
        "client_cert": (str(engine.cert), str(engine.key)),
        "ca_cert": str(engine.ca),
        "verify": True,
    }
    ended, came = [], threading.Event()

    class Ear:
        def write(self, text):
            if "has begun" in text:
                came.set()

        def flush(self):
            pass

    monkeypatch.setattr(sys, "stderr", Ear())
    runner = by_tls.get_env_runner("wait")
    worker = threading.Thread(target=lambda: ended.append(attempt(runner)))
    worker.start()
    assert came.wait(60)
    assert ended == []
    storage.engine.client.kill(of_flows(storage)[0])
    worker.join(60)
    assert "before the flow did" in str(ended[0])
    assert by_tls.get_env_runner("double").run().result == 42


@pytest.mark.parametrize("user", ["app", "1000:1000", "12345"])
def test_a_flow_runs_as_another_user(storage, user):
    other = another(storage, run_kwargs={"user": user})
    number = 12345 if user == "12345" else 1000
    assert other.get_env_runner("seen").run().result[3] == number


def test_a_flow_runs_as_the_user_of_its_image(make):
    storage = make(extra_dockerfile_commands=["USER app"])
    storage.add_flow(flows()[1])
    storage.build()
    assert storage.get_env_runner("seen").run().result[3] == 1000
    assert storage.get_flow("seen").name == "seen"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"no_such": 1}, "wrong run_kwargs: .*no_such"),
        ({"mem_limit": "much"}, "wrong run_kwargs"),
        ({"user": "nobody-knows"}, "unable to find user nobody-knows"),
        ({"network_mode": "no-such-net"}, "network no-such-net not found"),
        ({"binds": ["/nowhere:/x:no-such-mode"]}, "invalid mode"),
        ({"working_dir": "relative"}, "absolute path"),
    ],
)
def test_wrong_run_kwargs_are_said(storage, options, match):
    with pytest.raises(ConfigurationError, match=match) as caught:
        another(storage, run_kwargs=options).get_env_runner("double").run()
    assert "create_host_config" in caught.value.hint or "run_kwargs" in caught.value.hint


def test_a_container_that_would_remove_itself_is_run_all_the_same(storage):
    other = another(storage, run_kwargs={"auto_remove": True})
    run = other.get_env_runner("double").run()
    assert (run.result, run.exit_code) == (42, 0)


def test_output_that_does_not_end_is_waited_for_as_long_as_the_container_runs(monkeypatch):
    class Engine:
        running = iter([True, True, False])

        def attach_socket(self, container, params):
            return near

        def inspect_container(self, container):
            return {"State": {"Running": next(self.running)}}

    monkeypatch.setattr(attaching, "_SILENT", 0.05)
    near, far = socket.socketpair()
    with far, attached(Engine(), "etl") as pieces:
        far.sendall(struct.pack(">BxxxL", 1, 2) + b"hi")
        assert next(pieces) == Piece(of_errors=False, data=b"hi")
        with pytest.raises(ConnectionError, match="does not come"):
            next(pieces)
    assert list(Engine.running) == []
