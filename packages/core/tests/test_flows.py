"""Defining flows: what calling tasks draws, and what is refused."""

from __future__ import annotations

import pickle
import threading
from collections import namedtuple

import cloudpickle
import pytest

from flowhold import Flow, Parameter, Task, flow, task
from flowhold.errors import ConfigurationError
from flowhold.flows import Output
from flowhold.trees import loading_code

Pair = namedtuple("Pair", "left right")


@task
def one():
    """Give one."""
    return 1


@task
def add(a, b=0):
    return a + b


def test_a_task_outside_of_flows_is_the_function_itself():
    assert add(1, b=2) == 3
    assert add.__wrapped__(1) == 1
    assert (one.__name__, one.__doc__) == ("one", "Give one.")
    assert repr(one) == "<Task: one>"


def test_calling_tasks_in_the_block_draws_the_graph():
    with Flow("graph") as graph:
        first = one()
        second = add(first, b=first)
        add(first, b=second)
    assert list(graph.tasks) == ["one", "add", "add-2"]
    assert graph.tasks["add"] is second
    assert [node.upstream for node in graph.tasks.values()] == [(), ("one",), ("one", "add")]
    assert second.args == (Output("one"),)
    assert second.kwargs == {"b": Output("one")}
    assert second.fn is add.fn
    assert repr(graph) == "<Flow: graph>"


def test_nodes_are_found_in_containers_at_any_depth():
    collect = Task(lambda *values: values, name="collect")
    with Flow("containers") as graph:
        a, b, c, d, e, f, g = (one() for _ in range(7))
        collect([a, (b, {c})], {d: "key", "value": frozenset([e])}, Pair(f, 0), {"x": [{"y": g}]})
    assert set(graph.tasks["collect"].upstream) == {
        f"one{n}" for n in ("", *map("-{}".format, range(2, 8)))
    }
    run = graph.run()
    assert run.result == (
        [1, (1, {1})],
        {1: "key", "value": frozenset([1])},
        Pair(1, 0),
        {"x": [{"y": 1}]},
    )
    assert type(run.result[2]) is Pair


def test_inputs_without_nodes_are_passed_on_as_they_are():
    mine = {"deep": [1, {2}]}
    with Flow("as-is") as graph:
        Task(lambda value: value, name="same")(mine)
    assert graph.run().result is mine


def test_repeated_names_are_numbered_and_never_collide():
    with Flow("names") as graph:
        one()
        Task(one.fn, name="one-2")()
        one()
        one()
    assert list(graph.tasks) == ["one", "one-2", "one-3", "one-4"]


def test_parameters_belong_to_the_flow_they_are_made_or_used_in():
    outside = Parameter("outside", default=5)
    with Flow("parameters") as graph:
        Parameter("unused", default=None)
        add(Parameter("inside"), b=[outside])
    assert list(graph.parameters) == ["unused", "inside", "outside"]
    with Flow("other") as other:
        add(outside)
    assert list(other.parameters) == ["outside"]


def test_two_parameters_of_one_name_are_refused():
    with Flow("twice"):
        Parameter("x")
        with pytest.raises(ConfigurationError, match="two parameters named 'x'"):
            Parameter("x", default=1)


def test_nested_blocks_build_each_its_own_flow():
    with Flow("outer") as outer:
        one()
        with Flow("inner") as inner:
            add(1)
        one()
    assert (list(outer.tasks), list(inner.tasks)) == (["one", "one-2"], ["add"])


def test_a_block_that_raises_is_closed():
    with pytest.raises(ZeroDivisionError), Flow("broken"):
        raise ZeroDivisionError
    assert one() == 1


def test_a_block_of_one_thread_does_not_catch_the_tasks_of_another():
    values = []
    with Flow("mine") as graph:
        thread = threading.Thread(target=lambda: values.append(one()))
        thread.start()
        thread.join()
    assert (values, graph.tasks) == ([1], {})


def test_a_task_of_another_flow_as_input_is_refused():
    with Flow("a"):
        node = one()
    with (
        Flow("b"),
        pytest.raises(ConfigurationError, match="'add' of flow 'b' is given a task of another"),
    ):
        add(node)


def test_wrong_arguments_are_reported_where_the_task_is_called():
    with (
        Flow("wrong") as graph,
        pytest.raises(ConfigurationError, match=r"task 'add': missing .* 'a'"),
    ):
        add(b=1)
    assert graph.tasks == {}


def test_functions_without_a_signature_can_be_tasks():
    with Flow("builtin") as graph:
        Task(dict.fromkeys, name="fromkeys")(["a"])
        Task(max)(1, 2)
    assert graph.run().result == {"fromkeys": {"a": None}, "max": 2}


def test_deciding_by_a_value_that_is_not_known_yet_is_refused():
    with Flow("decide"):
        node = one()
    with pytest.raises(TypeError, match="'one' is known only when the flow runs"):
        bool(node)


@pytest.mark.parametrize("name", ["", "  ", None, 3])
def test_names_must_be_text(name):
    with pytest.raises(ConfigurationError, match="must be text"):
        Flow(name)
    with pytest.raises(ConfigurationError, match="must be text"):
        Parameter(name)


def test_decorators_refuse_what_is_not_a_plain_function():
    async def later():
        pass

    with pytest.raises(ConfigurationError, match="@task is put on a function, not 'extract'"):
        task("extract")
    with pytest.raises(ConfigurationError, match="coroutine function 'later'") as caught:
        flow(later)
    assert "asyncio.run" in caught.value.hint


def test_decorators_take_options():
    named = task(name="other", result=False)(lambda: 1)
    assert (named.name, named.result) == ("other", False)
    made = flow(name="made", result=False)(lambda: 1)
    assert (made.name, made.result, made()) == ("made", False, 1)


def test_a_function_becomes_a_flow_with_its_arguments_as_parameters():
    @flow
    def report(day, /, rows=10, *rest, title="T", **extra):
        """Report."""
        return (day, rows, rest, title, extra)

    assert isinstance(report, Flow)
    assert (report.name, report.__name__, report.__doc__) == ("report", "report", "Report.")
    assert report(1, 2, 3, x=4) == report.__wrapped__(1, 2, 3, x=4) == (1, 2, (3,), "T", {"x": 4})
    assert list(report.parameters) == ["day", "rows", "title"]
    assert report.run({"day": "mo", "title": "U"}).result == ("mo", 10, (), "U", {})
    with pytest.raises(ConfigurationError, match="needs a value of parameter 'day'"):
        report.run()


def test_tasks_called_by_a_function_flow_are_plain_calls():
    @flow
    def whole(n=2):
        return add(one(), n)

    assert whole.run().result == 3
    assert list(whole.tasks) == ["whole"]


def test_running_or_registering_in_the_block_is_refused():
    with Flow("open") as graph:
        for action in (graph.run, graph.register):
            with pytest.raises(ConfigurationError, match="inside a 'with Flow' block"):
                action()


def test_running_or_registering_while_loading_warns_and_does_nothing():
    graph = Flow("loading")
    with loading_code():
        with pytest.warns(UserWarning, match=r"run\(\) of flow 'loading' does nothing"):
            assert graph.run() is None
        with pytest.warns(
            UserWarning, match=r"register\(\) of flow 'loading' does nothing"
        ) as seen:
            assert graph.register() is None
    assert seen[0].filename == __file__


def test_pickling_keeps_everything_but_where_the_flow_lives():
    with Flow("kept", storage="a storage", result=False) as graph:
        add(one(), Parameter("b", default=2))
    graph.owner = {"team": "data"}
    graph._source, graph._allow_unverified = "a reference", True
    back = pickle.loads(cloudpickle.dumps(graph))
    assert (back.storage, back._source, back._allow_unverified) == (None, None, False)
    assert (back.owner, back.result, list(back.tasks)) == ({"team": "data"}, False, ["one", "add"])
    assert back.run().result == 3
    assert graph.storage == "a storage"


def test_required_parameters_are_still_required_after_pickling():
    with Flow("required") as graph:
        add(Parameter("a"))
    with pytest.raises(ConfigurationError, match="needs a value of parameter 'a'"):
        pickle.loads(cloudpickle.dumps(graph)).run()


def test_function_flows_survive_pickling():
    back = pickle.loads(cloudpickle.dumps(flow(lambda x: x + 1)))
    assert back.run({"x": 1}).result == back(1) == 2


def test_a_chain_of_5000_tasks_can_be_pickled():
    with Flow("deep") as graph:
        value = one()
        for _ in range(4999):
            value = add(value, 1)
    back = pickle.loads(cloudpickle.dumps(graph))
    assert list(back.tasks)[-1] == "add-4999"
    assert back.run().result == 5000


def test_a_registered_flow_is_loaded_by_its_name(tmp_path):
    from flowhold import load
    from flowhold.storage import Local

    with Flow("etl", storage=Local(tmp_path / "flows")) as etl:
        add(one(), Parameter("b", default=2))
    reference = etl.register()
    assert (reference.flow, reference.version) == ("etl", 1)
    assert load("etl").run().result == 3
