"""Running flows: here, in threads, in processes and on Dask; and what becomes of failures."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import ContextVar

import pytest

import flowhold
from flowhold import Flow, LocalResult, Parameter, Task, flow, secret, secrets, task
from flowhold.errors import (
    ConfigurationError,
    FlowholdError,
    SecretNotFoundError,
    SerializationError,
)

# Forking a process that has threads is what these tests are about, too.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning")


@task
def one():
    return 1


@task
def add(a, b=0):
    return a + b


@task
def fail(value=None):
    raise ValueError("no such table")


@task
def pid(_=None):
    return os.getpid()


def executors():
    yield pytest.param(lambda: None, id="here")
    yield pytest.param(lambda: ThreadPoolExecutor(3), id="threads")
    for method in ("fork", "spawn"):
        if method in multiprocessing.get_all_start_methods():
            context = multiprocessing.get_context(method)
            make = lambda context=context: ProcessPoolExecutor(2, mp_context=context)  # noqa: E731
            yield pytest.param(make, id=method)


@pytest.fixture(params=list(executors()))
def executor(request):
    made = request.param()
    yield made
    if made is not None:
        made.shutdown()


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def processes():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def test_a_diamond_gives_the_value_of_its_end(executor):
    with Flow("diamond") as diamond:
        start = add(Parameter("n"), b=Parameter("step", default=10))
        add(add(start, 1), b=add(start, 2))
    run = diamond.run({"n": 1}, executor)
    assert (run.state, run.result, run.error, run.flow) == ("success", 25, None, "diamond")
    assert {name: task.result for name, task in run.tasks.items()} == {
        "add": 11, "add-2": 12, "add-3": 13, "add-4": 25,
    }  # fmt: skip


def test_several_ends_give_a_dict_by_task(executor):
    with Flow("ends") as ends:
        start = one()
        add(start, 1)
        add(start, 2)
    assert ends.run(executor=executor).result == {"add": 2, "add-2": 3}


def test_a_flow_without_tasks_succeeds(executor):
    assert Flow("empty").run(executor=executor).state == "success"


def test_a_failed_task_skips_what_depends_on_it_and_nothing_else(executor):
    with Flow("fails") as fails:
        broken = fail(one())
        later = add(broken)
        add(later, one())
        one()
    run = fails.run(executor=executor)
    assert {name: task.state for name, task in run.tasks.items()} == {
        "one": "success", "fail": "failed", "add": "skipped", "one-2": "success",
        "add-2": "skipped", "one-3": "success",
    }  # fmt: skip
    assert run.state == "failed"
    assert isinstance(run.error, ValueError)
    assert str(run.error) == "no such table"
    assert run.tasks["fail"].error is run.error
    assert run.tasks["add"].error is None
    assert run.result == {"one-3": 1}


def test_the_error_of_a_task_shows_where_it_was_raised(executor):
    import traceback

    with Flow("where") as where:
        fail()
    text = "".join(traceback.format_exception(where.run(executor=executor).error))
    assert "test_running.py" in text
    assert "in fail" in text


def test_a_deep_chain_needs_no_recursion(threads):
    with Flow("deep") as deep:
        value = one()
        for _ in range(4999):
            value = add(value, 1)
    assert deep.run().result == 5000
    assert deep.run(executor=threads).result == 5000


def test_a_deep_chain_behind_a_failure_is_skipped(threads):
    with Flow("deep-failure") as deep:
        value = fail()
        for _ in range(4999):
            value = add(value, 1)
    run = deep.run(executor=threads)
    states = [task.state for task in run.tasks.values()]
    assert (states[0], set(states[1:]), len(states)) == ("failed", {"skipped"}, 5000)


def test_each_task_is_looked_at_once_however_wide_the_flow_is():
    class Counting(Executor):
        submitted = 0

        def submit(self, fn, /, *args, **kwargs):
            type(self).submitted += 1
            future = Future()
            future.set_result(fn(*args, **kwargs))
            return future

    with Flow("wide") as wide:
        Task(lambda *values: sum(values), name="total")(*(one() for _ in range(300)))
    assert wide.run(executor=Counting()).result == 300
    assert Counting.submitted == 301


def test_independent_tasks_run_at_the_same_time(threads):
    barrier = threading.Barrier(3, timeout=60)
    meet = Task(lambda: barrier.wait() >= 0, name="meet")
    with Flow("meet") as graph:
        Task(lambda *all_of: all(all_of), name="all")(meet(), meet(), meet())
    assert graph.run(executor=threads).result is True


def test_processes_are_other_processes(processes):
    with Flow("pids") as pids:
        pid()
    assert pids.run().result == os.getpid() != pids.run(executor=processes).result


def test_without_an_executor_tasks_run_in_the_order_of_their_definition():
    seen = []
    note = Task(lambda name, *_: seen.append(name), name="note")
    with Flow("order") as order:
        first = note("a")
        note("b", first)
        note("c")
    order.run()
    assert seen == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs a value of parameter 'a', 'b'"),
        ({"a": 1, "b": 2, "x": 1, "y": 2}, "has no parameter 'x', 'y'"),
        ([1], "must be a dict by name"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_runs(given, message, executor):
    seen = []
    with Flow("checked") as checked:
        Task(seen.append, name="note")("ran")
        add(Parameter("a"), Parameter("b"))
    with pytest.raises(ConfigurationError, match=message):
        checked.run(given, executor)
    assert seen == []


@pytest.mark.parametrize("wrong", ["threads", 4, ThreadPoolExecutor])
def test_what_is_not_an_executor_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="is not an executor") as caught:
        Flow("wrong").run(executor=wrong)
    assert "get_executor()" in caught.value.hint


def test_an_executor_that_is_shut_down_gives_a_failed_run():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with Flow("late") as late:
        one()
    run = late.run(executor=pool)
    assert run.state == "failed"
    assert "task 'one' was lost: RuntimeError: cannot schedule" in str(run.error)


def test_inputs_that_cannot_be_put_together_fail_the_task(executor):
    with Flow("set") as graph:
        add({Task(lambda: [1], name="listed")()})
    run = graph.run(executor=executor)
    assert run.state == "failed"
    assert "unhashable" in str(run.tasks["add"].error)


def test_exiting_in_a_task_is_a_failure(executor):
    with Flow("exits") as exits:
        Task(sys.exit, name="leave")("enough")
    run = exits.run(executor=executor)
    assert run.state == "failed"
    assert isinstance(run.error, SystemExit)


def test_an_interrupt_ends_the_run(executor):
    def interrupt():
        raise KeyboardInterrupt

    with Flow("interrupted") as interrupted:
        Task(interrupt)()
    with pytest.raises(KeyboardInterrupt):
        interrupted.run(executor=executor)


def test_an_interrupt_cancels_what_has_not_begun():
    seen = []

    def interrupt():
        raise KeyboardInterrupt

    with Flow("interrupted") as interrupted:
        Task(interrupt)()
        for _ in range(50):
            Task(lambda: (time.sleep(0.01), seen.append(1)), name="work")()
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        interrupted.run(executor=pool)
    assert len(seen) < 50


def test_the_death_of_a_worker_is_a_failed_run_that_says_so(processes):
    with Flow("dies") as dies:
        add(Task(os._exit, name="die")(3))
    run = dies.run(executor=processes)
    assert {name: task.state for name, task in run.tasks.items()} == {
        "die": "failed",
        "add": "skipped",
    }
    assert isinstance(run.error, FlowholdError)
    assert str(run.error) == "task 'die' was lost: a worker process died"
    assert "memory" in run.error.hint
    again = dies.run(executor=processes)
    assert "a worker process died" in str(again.error)


def test_errors_and_values_that_cannot_travel_are_told_by_their_text(processes):
    class Odd(Exception):
        def __init__(self, code, text):
            super().__init__(text)
            self.code = code

    def raise_odd():
        raise Odd(3, "odd one")

    with Flow("odd") as odd:
        Task(raise_odd)()
        Task(threading.Lock, name="lock")()
        add(Parameter("lock"))
    run = odd.run({"lock": threading.Lock()}, processes)
    assert isinstance(run.tasks["raise_odd"].error, RuntimeError)
    assert str(run.tasks["raise_odd"].error) == "Odd: odd one"
    assert "raise_odd" in str(run.tasks["raise_odd"].error.__cause__)
    assert isinstance(run.tasks["lock"].error, SerializationError)
    assert "the value of task 'lock' cannot be sent back" in str(run.tasks["lock"].error)
    assert isinstance(run.tasks["add"].error, SerializationError)
    assert "task 'add' cannot be sent to a worker" in str(run.tasks["add"].error)


def test_an_error_without_text_is_still_reported(caplog, executor):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("cannot say")

    def mute():
        raise Mute

    with Flow("mute") as graph:
        Task(mute)()
    assert graph.run(executor=executor).state == "failed"
    assert "Mute" in caplog.text


def test_secrets_of_the_caller_reach_tasks_in_threads(threads):
    with Flow("secret") as graph:
        Task(lambda: secret("TOKEN"), name="use")()
    for pool in (None, threads):
        with secrets({"TOKEN": "t0p"}):
            assert graph.run(executor=pool).result == "t0p"
        assert isinstance(graph.run(executor=pool).error, SecretNotFoundError)


def test_what_a_task_sets_in_its_context_does_not_reach_the_next():
    setting = ContextVar("setting", default="unset")
    with Flow("context") as graph:
        Task(lambda _: setting.get(), name="get")(Task(setting.set)("set"))
    with ThreadPoolExecutor(1) as pool:
        assert graph.run().result == graph.run(executor=pool).result == "unset"


def test_tasks_log_by_flow_and_task(caplog, threads):
    caplog.set_level(logging.INFO)
    with Flow("logs") as graph:
        Task(lambda: flowhold.logger().info("read %d rows", 3), name="read")()
    for pool in (None, threads):
        caplog.clear()
        graph.run(executor=pool)
        assert ("flowhold.task.logs.read", logging.INFO, "read 3 rows") in caplog.record_tuples
        finished = "task 'read' of flow 'logs': success"
        assert ("flowhold.run", logging.INFO, finished) in caplog.record_tuples
    assert flowhold.logger().name == "flowhold.task"


def test_a_failure_is_logged_in_one_line_and_with_its_traceback_when_debugging(caplog):
    with Flow("logs") as graph:
        fail()
    graph.run()
    assert caplog.messages == ["task 'fail' of flow 'logs' failed: ValueError: no such table"]
    assert "Traceback" not in caplog.text
    with caplog.at_level(logging.DEBUG, "flowhold.run"):
        graph.run()
    assert "Traceback" in caplog.text


def test_a_task_can_run_another_flow():
    inner = flow(lambda: flowhold.logger().name)
    with Flow("outer") as outer:
        Task(lambda: (inner.run().result, flowhold.logger().name), name="nest")()
    names = ("flowhold.task.<lambda>.<lambda>", "flowhold.task.outer.nest")
    assert outer.run().result == names


def test_results_are_written_where_each_task_says(executor, tmp_path):
    own = LocalResult(tmp_path / "own", serializer="json")
    with Flow("saved", result=LocalResult(tmp_path / "flow", "{flow}/{task}")) as saved:
        value = Task(lambda: 7, name="mine", result=own)()
        add(Task(lambda x: x, name="off", result=False)(value))
    run = saved.run(executor=executor, checkpoint=True)
    assert run.tasks["mine"].stored.read().value == 7
    assert (tmp_path / "flow/saved/add").is_file()
    assert run.tasks["add"].stored.read().value == 7
    assert run.tasks["off"].stored is None
    assert len(list((tmp_path / "own/saved/mine").iterdir())) == 1


def test_without_a_checkpoint_nothing_is_written(tmp_path):
    with Flow("plain", result=LocalResult(tmp_path / "none")) as plain:
        one()
    assert plain.run().tasks["one"].stored is None
    assert not (tmp_path / "none").exists()


def test_a_value_that_cannot_be_written_fails_its_task(tmp_path, executor):
    with Flow("bad", result=LocalResult(tmp_path, serializer="json")) as bad:
        add(Task(lambda: {1}, name="set")())
    run = bad.run(executor=executor, checkpoint=True)
    assert isinstance(run.error, SerializationError)
    assert run.tasks["add"].state == "skipped"


def test_a_loaded_flow_writes_its_results_and_its_workers_load_it_themselves(processes, tmp_path):
    # A class of the script's own module travels between tasks: workers know it only by the load.
    script = tmp_path / "etl.py"
    script.write_text(
        textwrap.dedent("""
        import os, shapes
        from flowhold import Flow, Parameter, task

        @task
        def make(n):
            return shapes.Square(n), os.getpid()

        @task
        def measure(made):
            square, pid = made
            assert type(square) is shapes.Square
            return square.area(), pid, os.getpid()

        with Flow("etl") as etl:
            measure(make(Parameter("n", default=3)))
        """)
    )
    (tmp_path / "shapes.py").write_text(
        "class Square:\n"
        "    def __init__(self, side):\n        self.side = side\n"
        "    def area(self):\n        return self.side ** 2\n"
    )
    from flowhold.storage import Local

    storage = Local(tmp_path / "flows", stored_as_script=True, local_script_path=str(script),
                    include=["*.py"])  # fmt: skip
    reference = flowhold.register(flowhold.load(str(script)), storage=storage)
    script.unlink()
    (tmp_path / "shapes.py").unlink()
    loaded = flowhold.load(reference)
    for pool in (None, processes):
        run = loaded.run({"n": 4}, pool)
        assert run.error is None
        area, *pids = run.result
        assert area == 16
        assert (os.getpid() in pids) is (pool is None)
        assert run.tasks["measure"].stored.read().value == run.result
    loaded.result = False
    assert loaded.run(executor=processes).tasks["make"].stored is None


def test_a_worker_that_cannot_load_the_flow_fails_the_task(processes, tmp_path):
    from flowhold.storage import Local

    with Flow("gone") as gone:
        one()
    loaded = flowhold.load(flowhold.register(gone, storage=Local(tmp_path / "flows")))
    for file in (tmp_path / "flows").rglob("*"):
        if file.is_file():
            file.unlink()
    run = loaded.run(executor=processes)
    assert run.state == "failed"
    assert isinstance(run.error, FlowholdError)
    assert loaded.run().state == "success"


def test_what_a_run_returns_can_be_pickled():
    with Flow("kept") as kept:
        add(fail())
    run = pickle.loads(pickle.dumps(kept.run()))
    assert (run.state, run.tasks["add"].state) == ("failed", "skipped")
    assert "result" not in repr(run)


DASK = """
import os, warnings
warnings.simplefilter("ignore")  # what distributed itself warns of
from distributed import Client, LocalCluster
from flowhold import Flow, Parameter, Task, task

@task
def add(a, b=0):
    return a + b

def where():
    return os.getpid()

def interrupt():
    raise KeyboardInterrupt

with Flow("dask") as graph:
    total = add(Parameter("n"), 1)
    add(total, add(total, 1))
    # Twice the same call with the same inputs: Dask must not take them for one.
    Task(os.urandom, name="noise")(8)
    Task(os.urandom, name="noise")(8)
    Task(where)()
with Flow("fails") as fails:
    add(Task(lambda: 1 / 0, name="divide")())
with Flow("interrupted") as interrupted:
    Task(interrupt)()

if __name__ == "__main__":
    for processes in (False, True):
        with LocalCluster(
            n_workers=1, threads_per_worker=2, processes=processes, dashboard_address=None
        ) as cluster, Client(cluster) as client:
            executor = client.get_executor()
            run = graph.run({"n": 1}, executor)
            assert run.state == "success", run.error
            assert run.result["add-3"] == 5, run.result
            assert run.result["noise"] != run.result["noise-2"]
            assert (run.result["where"] == os.getpid()) is (not processes)
            run = fails.run(executor=executor)
            assert run.tasks["add"].state == "skipped"
            assert isinstance(run.error, ZeroDivisionError)
            try:
                interrupted.run(executor=executor)
            except KeyboardInterrupt:
                print("interrupted")
"""


def test_dask_runs_flows_in_threads_and_in_processes(tmp_path):
    pytest.importorskip("distributed")
    script = tmp_path / "on_dask.py"
    script.write_text(DASK)
    # In a process of its own, as Dask leaves threads behind that forking tests would inherit.
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["interrupted", "interrupted"]
