"""Flows: tasks, parameters and the graph that is drawn by calling tasks inside ``with Flow``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from flowhold.errors import ConfigurationError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from flowhold.catalog import Catalog
    from flowhold.reference import Reference
    from flowhold.results import Result
    from flowhold.running import FlowRun
    from flowhold.storage.base import Storage

    ResultOption: TypeAlias = Result | Literal[False] | None

__all__ = ["Flow", "FunctionFlow", "Node", "Output", "Parameter", "Task", "flow", "task"]

_CONTAINERS: tuple[Any, ...] = (dict, list, tuple, set, frozenset)
_open: ContextVar[tuple[Flow, ...]] = ContextVar("flowhold_open_flows", default=())


@dataclass(eq=False)
class Parameter:
    """A value given to each run of a flow: the flow whose block it is made in or first used in.

    Args:
        name: What runs give it by.
        default: Value of a run that does not give one; left out, every run has to.
    """

    name: str
    default: Any = ...

    def __post_init__(self) -> None:
        _check_name("parameter", self.name)
        if flows := _open.get():
            flows[-1]._take(self)


@dataclass(frozen=True)
class Output:
    """Stands for the value of a task among the inputs of a later one."""

    task: str


@dataclass(eq=False)
class Node:
    """A call of a task within a flow; pass it to other tasks to give them its value."""

    name: str
    """Unique in the flow."""
    fn: Callable[..., Any]
    result: ResultOption
    """As of its :class:`Task`."""
    args: tuple[Any, ...]
    """Positional inputs, with an :class:`Output` for each value of another task."""
    kwargs: dict[str, Any]
    upstream: tuple[str, ...]
    """Names of the tasks whose values it needs."""

    def __bool__(self) -> bool:
        raise TypeError(f"the value of task {self.name!r} is known only when the flow runs")


class Task:
    """A function as a step of flows: inside ``with Flow`` calling it adds it, elsewhere it runs.

    Args:
        fn: The function.
        name: Name in the flow; the function's by default.
        result: Where its values are written; None leaves that to the flow, False writes nothing.
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, result: ResultOption = None
    ) -> None:
        self.name = _wrap(self, "task", fn, name)
        self.fn = fn
        self.result = result

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the function, or inside ``with Flow`` add it to the flow and return its node."""
        flows = _open.get()
        return flows[-1]._add(self, args, kwargs) if flows else self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Task: {self.name}>"


class Flow:
    """A named graph of tasks. Any further attribute set on it is kept when it is stored.

    Args:
        name: What it is registered and found by.
        storage: Where its definition goes; can be set at any time before :meth:`register`.
        result: Where its tasks' values are written; None leaves that to the storage, False writes
            nothing.
    """

    # Class attributes, so that a flow read back without them has them.
    storage: Storage | None = None
    _source: Reference | None = None
    _script: str | None = None
    _allow_unverified: bool = False

    def __init__(
        self, name: str, storage: Storage | None = None, result: ResultOption = None
    ) -> None:
        self.name = _check_name("flow", name)
        self.storage = storage
        self.result = result
        self.tasks: dict[str, Node] = {}
        """By name, each behind those that it depends on."""
        self.parameters: dict[str, Parameter] = {}
        self._calls: dict[str, int] = {}

    def __enter__(self) -> Flow:
        _open.set((*_open.get(), self))
        return self

    def __exit__(self, *_: object) -> None:
        _open.set(_open.get()[:-1])

    def __getstate__(self) -> dict[str, Any]:
        # Where a flow lives belongs to references, and a storage may hold credentials.
        hidden = {"storage", "_source", "_script", "_allow_unverified"}
        return {key: value for key, value in self.__dict__.items() if key not in hidden}

    def __repr__(self) -> str:
        return f"<Flow: {self.name}>"

    def run(
        self,
        parameters: Mapping[str, Any] | None = None,
        executor: Executor | None = None,
        *,
        checkpoint: bool = False,
    ) -> FlowRun:
        """Run all tasks and return what became of them; a task that fails raises nothing here.

        While the script that defines the flow is being loaded, this warns and returns None.

        Args:
            parameters: Values by parameter name.
            executor: Any ``concurrent.futures.Executor``; it gets the tasks as soon as their inputs
                are there. Without one the tasks run here, in the order of their definition.
            checkpoint: Write the tasks' values to their results, as a loaded flow always does.

        Raises:
            ConfigurationError: A parameter is missing or unknown, or the executor is not one.
        """
        from flowhold.running import is_usable, run_flow

        if not is_usable(self, "run"):
            return cast("FlowRun", None)
        return run_flow(self, parameters, executor, checkpoint)

    def register(self, catalog: Catalog | str | None = None, **options: Any) -> Reference:
        """Store the flow, add it to a catalog and return its reference.

        While the script that defines the flow is being loaded, this warns and returns None.

        Args:
            catalog: The catalog or its URL; by default the one of the settings.
            options: Further arguments of :func:`flowhold.register`.
        """
        from flowhold.registering import register
        from flowhold.running import is_usable

        if not is_usable(self, "register"):
            return cast("Reference", None)
        return cast("Reference", register(self, catalog=catalog, **options))

    def _take(self, parameter: Parameter) -> Parameter:
        if self.parameters.setdefault(parameter.name, parameter) is not parameter:
            raise ConfigurationError(
                f"flow {self.name!r} has two parameters named {parameter.name!r}",
                hint="make one Parameter and pass it to every task that needs it",
            )
        return parameter

    def _add(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Node:
        upstream: dict[str, None] = {}

        def link(value: Node | Parameter | Output) -> Any:
            if isinstance(value, Parameter):
                return self._take(value)
            if not isinstance(value, Node) or self.tasks.get(value.name) is not value:
                raise ConfigurationError(
                    f"task {task.name!r} of flow {self.name!r} is given a task of another flow",
                    hint="call that task inside this flow's block too",
                )
            upstream[value.name] = None
            # By name, as a chain of objects could be too deep to pickle.
            return Output(value.name)

        try:
            inspect.signature(task.fn).bind(*args, **kwargs)
        except TypeError as error:
            raise ConfigurationError(f"task {task.name!r}: {error}") from None
        except ValueError:  # some built-in functions have no signature
            pass
        inputs = substitute(args, link), substitute(kwargs, link)
        name = task.name
        while name in self.tasks:
            count = self._calls[task.name] = self._calls.get(task.name, 1) + 1
            name = f"{task.name}-{count}"
        node = self.tasks[name] = Node(name, task.fn, task.result, *inputs, tuple(upstream))
        return node


class FunctionFlow(Flow):
    """A flow of one function, whose arguments are its parameters (``*args, **kwargs`` stay empty).

    Calling it calls the function; `fn` is the function, the other arguments are those of a Flow.
    """

    __wrapped__: Callable[..., Any]

    def __init__(self, fn: Callable[..., Any], name: str | None = None, **options: Any) -> None:
        super().__init__(_wrap(self, "flow", fn, name), **options)
        args: list[Parameter] = []
        kwargs: dict[str, Parameter] = {}
        with self:
            for item in inspect.signature(fn).parameters.values():
                if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD):
                    default = ... if item.default is item.empty else item.default
                    parameter = Parameter(item.name, default)
                    if item.kind is item.KEYWORD_ONLY:
                        kwargs[item.name] = parameter
                    else:
                        args.append(parameter)
            Task(fn)(*args, **kwargs)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself."""
        return self.__wrapped__(*args, **kwargs)


def task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a :class:`Task`: ``@task``, or ``@task(name=…, result=…)``."""
    return functools.partial(Task, **options) if fn is None else Task(fn, **options)


def flow(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a :class:`Flow`: ``@flow``, or ``@flow(name=…, storage=…, result=…)``."""
    return functools.partial(FunctionFlow, **options) if fn is None else FunctionFlow(fn, **options)


def substitute(value: Any, swap: Callable[[Any], Any]) -> Any:
    """Return `value` with `swap` applied to every node, parameter and output in it.

    Lists, tuples, sets and dicts are looked into at any depth, and copied only where they change.
    """
    if isinstance(value, (Node, Parameter, Output)):
        return swap(value)
    kind = next((kind for kind in _CONTAINERS if isinstance(value, kind)), None)
    if kind is None:
        return value
    old = list(value.items() if kind is dict else value)
    new = [substitute(item, swap) for item in old]
    if all(one is other for one, other in zip(old, new, strict=True)):
        return value
    return value._make(new) if hasattr(value, "_make") else kind(new)


def is_building() -> bool:
    """Return whether a ``with Flow`` block is open here."""
    return bool(_open.get())


def _wrap(wrapper: Any, what: str, fn: Any, name: str | None) -> str:
    """Make `wrapper` look like the function, and return its name."""
    if not callable(fn):
        raise ConfigurationError(f"@{what} is put on a function, not {fn!r:.60}", hint="use name=…")
    own = getattr(fn, "__name__", type(fn).__name__)
    if inspect.iscoroutinefunction(fn):
        raise ConfigurationError(
            f"@{what} is put on the coroutine function {own!r}",
            hint="make it a plain function that calls asyncio.run(…)",
        )
    functools.update_wrapper(wrapper, fn, ("__module__", "__name__", "__qualname__", "__doc__"), ())
    return _check_name(what, own if name is None else name)


def _check_name(what: str, name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"a {what}'s name must be text and not empty: {name!r:.60}")
    return name
