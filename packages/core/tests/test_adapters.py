"""What can be a flow, and how flows of other libraries become one."""

from __future__ import annotations

import copy
import pickle
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import pytest

from flowhold import Flow, FlowRun, flow, hookimpl, plugins
from flowhold.adapters import AdaptedFlow, adapt_flow, is_flow, unadapt
from flowhold.errors import ConfigurationError
from flowhold.trees import loading_code


class Job:
    """A flow of some other library, with attributes that mean something else there."""

    storage = "of that library"
    owner = "data team"

    def __init__(self, name="job"):
        self.name = name

    def start(self, n=1):
        return 10 / n


class AdaptedJob(AdaptedFlow):
    def run_wrapped(self, parameters):
        try:
            return FlowRun(self.name, "success", self.wrapped.start(**parameters))
        except ZeroDivisionError as error:
            return FlowRun(self.name, "failed", error=error)


@pytest.fixture
def plugin():
    class Plugin:
        @hookimpl
        def flowhold_adapt_flow(self, obj):
            return AdaptedJob(obj, obj.name) if isinstance(obj, Job) else None

    plugins.register(made := Plugin())
    yield made
    plugins.unregister(made)


def test_flows_are_taken_as_they_are():
    mine = Flow("mine")
    assert adapt_flow(mine) is unadapt(mine) is mine
    assert is_flow(mine)


def test_a_plain_function_becomes_a_flow():
    def double(n):
        return 2 * n

    adapted = adapt_flow(double)
    assert (adapted.name, adapted.run({"n": 2}).result) == ("double", 4)
    assert not is_flow(double)


def test_anything_with_a_name_and_run_is_a_flow():
    duck = types.SimpleNamespace(name="duck", run=lambda parameters=None: "quack")
    assert adapt_flow(duck) is duck
    assert not is_flow(duck)


class Class:
    name = "class"

    def run(self):
        pass


@pytest.mark.parametrize("wrong", [None, 3, "text", Class, object(), types.SimpleNamespace(name=1)])
def test_what_cannot_be_a_flow_is_refused_with_what_can(wrong):
    with pytest.raises(ConfigurationError, match="is not a flow") as caught:
        adapt_flow(wrong)
    assert "a function" in caught.value.hint
    assert not is_flow(wrong)


def test_a_plugin_adapts_flows_of_its_library(plugin):
    adapted = adapt_flow(Job())
    assert is_flow(Job())
    assert adapt_flow(adapted) is adapted
    assert (adapted.name, adapted.run().result, adapted.run({"n": 5}).result) == ("job", 10, 2)
    assert isinstance(adapted.run({"n": 0}).error, ZeroDivisionError)
    assert repr(adapted) == "<AdaptedJob: job>"


def test_an_adapted_flow_has_the_attributes_of_what_it_wraps(plugin):
    adapted = adapt_flow(Job())
    assert adapted.owner == "data team"
    assert adapted.storage is None
    assert not hasattr(adapted, "nothing")


def test_what_an_adapted_flow_wraps_is_what_is_pickled(plugin):
    job = Job()
    assert unadapt(adapt_flow(job)) is job


def test_an_adapted_flow_can_be_copied_and_pickled_itself(plugin):
    adapted = adapt_flow(Job("copied"))
    adapted._attribute = "make"
    for other in (copy.copy(adapted), pickle.loads(cloudpickle.dumps(adapted))):
        assert (other.name, other._attribute, other.run().result) == ("copied", "make", 10)


def test_an_adapted_flow_takes_no_executor(plugin):
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(ConfigurationError, match="runs its tasks by"),
    ):
        adapt_flow(Job()).run(executor=pool)


def test_an_adapted_flow_does_nothing_while_its_script_is_loaded(plugin):
    adapted = adapt_flow(Job())
    with loading_code():
        for action in (adapted.run, adapted.register):
            with pytest.warns(UserWarning, match="does nothing while its script"):
                assert action() is None


def test_a_subclass_says_how_its_flow_runs():
    with pytest.raises(NotImplementedError):
        AdaptedFlow(Job(), "job").run()


# Prefect itself is tried in an environment of its own; here are objects of its shape.


@pytest.fixture
def prefect3(monkeypatch):
    module = types.ModuleType("prefect.flows")
    source = """
class Flow:
    def __init__(self, fn):
        self.fn = fn
        self.name = fn.__name__.replace("_", "-")

    def __call__(self, *args, **kwargs):
        return self.fn(*args, **kwargs)
"""
    exec(source, module.__dict__)
    monkeypatch.setitem(sys.modules, "prefect.flows", module)
    return module.Flow


def test_a_prefect_flow_runs_by_being_called(prefect3):
    def my_etl(n, scale=1):
        return 10 / n * scale

    class Own(prefect3):
        pass

    for kind in (prefect3, Own):
        assert is_flow(kind(my_etl))
        adapted = adapt_flow(kind(my_etl))
        assert (adapted.name, adapted.run({"n": 5}).result) == ("my-etl", 2)
        failed = adapted.run({"n": 0})
        assert failed.state == "failed"
        assert isinstance(failed.error, ZeroDivisionError)
        for wrong in ({}, {"n": 1, "m": 2}):
            with pytest.raises(ConfigurationError, match="parameters of flow 'my-etl'"):
                adapted.run(wrong)


def test_a_prefect_flow_can_be_a_coroutine(prefect3):
    async def later(n):
        return n + 1

    assert adapt_flow(prefect3(later)).run({"n": 1}).result == 2


class State:
    def __init__(self, result=None, message="", good=True):
        self.result = result
        self.message = message
        self.good = good

    def is_successful(self):
        return self.good


class TriggerFailed(State):
    pass


@pytest.fixture
def prefect1():
    """Return what makes a flow of Prefect 1 whose run ends in given states by task name."""

    class Flow1:
        def __init__(self, state):
            names = state.result if isinstance(state.result, dict) else {}
            self.tasks = {name: type("Task1", (), {"name": name})() for name in names}
            self.slugs = {task: f"{name}-1" for name, task in self.tasks.items()}
            self.name = "old"
            self.state = state
            if names:
                state.result = {self.tasks[name]: one for name, one in names.items()}

        def terminal_tasks(self):
            return {task for name, task in self.tasks.items() if name.startswith("end")}

        def run(self, parameters, run_on_schedule):
            if parameters:
                raise ValueError("unexpected parameters: x")
            return self.state

    Flow1.__module__, Flow1.__qualname__ = "prefect.core.flow", "Flow"
    return lambda state: adapt_flow(Flow1(state))


def test_the_states_of_a_prefect_1_run_are_translated(prefect1):
    run = prefect1(State({"start": State(1), "end": State(2)})).run()
    assert (run.state, run.result) == ("success", 2)
    assert {name: task.result for name, task in run.tasks.items()} == {"start-1": 1, "end-1": 2}
    several = prefect1(State({"end": State(1), "end2": State(2)})).run()
    assert several.result == {"end-1": 1, "end2-1": 2}


def test_a_failed_prefect_1_run_has_the_error_of_its_task(prefect1):
    error = ValueError("bad row")
    states = {"start": State(error, good=False), "end": TriggerFailed(good=False)}
    run = prefect1(State(states, good=False)).run()
    assert (run.state, run.error) == ("failed", error)
    assert [task.state for task in run.tasks.values()] == ["failed", "skipped"]
    told = prefect1(State({"end": State(None, "timed out", good=False)}, good=False)).run()
    assert str(told.error) == "timed out"
    assert str(prefect1(State(None, "no run", good=False)).run().error) == "no run"


def test_wrong_parameters_of_a_prefect_1_flow_are_wrong_usage(prefect1):
    with pytest.raises(ConfigurationError, match="unexpected parameters: x"):
        prefect1(State({})).run({"x": 1})


def test_adapting_never_imports_prefect():
    adapt_flow(flow(lambda: 1))
    assert "prefect" not in sys.modules
