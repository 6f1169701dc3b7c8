"""Runs: the tasks of a flow in an order that fits, here or on an executor."""

from __future__ import annotations

import logging
import uuid
import warnings
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from flowhold.calls import Call, TaskRun, describe, logger, lost, receive, run_task
from flowhold.errors import ConfigurationError
from flowhold.flows import Flow, Node, Output, Parameter, is_building, substitute

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

__all__ = ["EnvRunner", "FlowRun", "TaskRun", "is_usable", "logger", "run_flow"]

_log = logging.getLogger("flowhold.run")


@dataclass(frozen=True)
class FlowRun:
    """What became of a flow."""

    flow: str
    """Name of the flow."""
    state: Literal["success", "failed"]
    result: Any = field(default=None, repr=False)
    """Value of the one task on which no other depends; of several, those that succeeded by name."""
    tasks: dict[str, TaskRun] = field(default_factory=dict, repr=False)
    """By name, in the order of definition."""
    error: BaseException | None = None
    """Error of the task that failed first."""


class EnvRunner(Protocol):
    """Runs one flow where it is stored, such as in a container of its image."""

    def run(
        self,
        env: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        executor: str | None = None,
    ) -> FlowRun:
        """Run the flow and return what became of it; what it prints is handed on meanwhile.

        Args:
            env: Variables for its process.
            parameters: Values by parameter name; JSON, as they go to another process.
            executor: Of its tasks there, as ``flowhold run --executor`` takes it.

        Raises:
            FlowholdError: It could not be run, or never came to an end.
        """


def run_flow(
    flow: Flow,
    parameters: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    checkpoint: bool = False,
) -> FlowRun:
    """Run a flow; arguments and errors as of :meth:`flowhold.Flow.run`."""
    run = _Run(flow, _values(flow, parameters), checkpoint)
    if executor is None:
        run.run_here()
    else:
        run.run_on(executor)
    return run.outcome()


def is_usable(flow: Any, action: str) -> bool:
    """Return False, with a warning, while the script that defines the flow is being loaded.

    Raises:
        ConfigurationError: A ``with Flow`` block is open.
    """
    from flowhold.trees import is_loading

    call = f"{action}() of flow {flow.name!r}"
    if is_building():
        raise ConfigurationError(f"{call} is inside a 'with Flow' block", hint="put it behind that")
    if loading := is_loading():
        warnings.warn(
            f"{call} does nothing while its script is being loaded; "
            "put it under `if __name__ == '__main__':`",
            stacklevel=3,
        )
    return not loading


def _values(flow: Flow, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    given = {} if parameters is None else parameters
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"parameters must be a dict by name, not {given!r:.60}")
    values = {name: item.default for name, item in flow.parameters.items()} | dict(given)
    unknown = [name for name in given if name not in flow.parameters]
    missing = [name for name, value in values.items() if value is ... and name not in given]
    for problem, names in (("has no", unknown), ("needs a value of", missing)):
        if names:
            raise ConfigurationError(
                f"flow {flow.name!r} {problem} parameter {', '.join(map(repr, names))}",
                hint=f"its parameters: {', '.join(flow.parameters) or 'none'}",
            )
    return values


class _Run:
    """One run of a flow: what it was given, and its tasks as far as they are finished."""

    def __init__(self, flow: Flow, values: dict[str, Any], checkpoint: bool) -> None:
        self.flow = flow
        self.values = values
        self.writes = checkpoint or flow._source is not None
        self.id = uuid.uuid4().hex
        self.tasks: dict[str, TaskRun] = {}
        self.error: BaseException | None = None

    def run_here(self) -> None:
        for node in self.flow.tasks.values():
            call = self.prepare(node)
            # In a context of its own, as on an executor: what a task sets does not reach the next.
            self.finish(copy_context().run(call.execute) if isinstance(call, Call) else call)

    def run_on(self, executor: Executor) -> None:
        from concurrent.futures import Executor
        from graphlib import TopologicalSorter
        from queue import SimpleQueue

        if not isinstance(executor, Executor):
            raise ConfigurationError(
                f"{executor!r:.60} is not an executor",
                hint="give a concurrent.futures.Executor; a Dask client has get_executor()",
            )
        nodes = self.flow.tasks
        order = TopologicalSorter({name: node.upstream for name, node in nodes.items()})
        order.prepare()
        pending: dict[Future[Any], str] = {}
        # Futures put themselves in; concurrent.futures.wait would look at all of them each time.
        done: SimpleQueue[Future[Any]] = SimpleQueue()
        try:
            while order.is_active():
                ready = order.get_ready()
                for name in ready:
                    begun = self.begin(executor, nodes[name])
                    if isinstance(begun, TaskRun):
                        self.finish(begun)
                        order.done(name)
                    else:
                        pending[begun] = name
                        begun.add_done_callback(done.put)
                if not ready:
                    future = done.get()
                    name = pending.pop(future)
                    self.finish(receive(name, future))
                    order.done(name)
        finally:
            for future in pending:
                future.cancel()

    def begin(self, executor: Executor, node: Node) -> Future[Any] | TaskRun:
        """Submit a task, and return its end where that is known already."""
        from concurrent.futures import ThreadPoolExecutor

        call = self.prepare(node)
        if isinstance(call, TaskRun):
            return call
        try:
            if isinstance(executor, ThreadPoolExecutor):
                return executor.submit(copy_context().run, call.execute)
            return executor.submit(run_task, call.to_bytes(self.flow))
        except Exception as error:  # noqa: BLE001
            return lost(node.name, error)

    def prepare(self, node: Node) -> Call | TaskRun:
        """Return the call of a task, or its end where it cannot be called."""
        if any(self.tasks[name].state != "success" for name in node.upstream):
            return TaskRun(node.name, "skipped")
        try:
            args, kwargs = substitute((node.args, node.kwargs), self.value_of)
        except Exception as error:  # noqa: BLE001 (a value that cannot be in a set, for example)
            return TaskRun(node.name, "failed", error=error)
        result = self.flow.result if node.result is None else node.result
        target = (result or None) if self.writes else None
        return Call(self.flow.name, node.name, self.id, node.fn, args, kwargs, target)

    def value_of(self, item: Output | Parameter) -> Any:
        return self.tasks[item.task].result if isinstance(item, Output) else self.values[item.name]

    def finish(self, run: TaskRun) -> None:
        self.tasks[run.name] = run
        if run.error is None:
            _log.info("task %r of flow %r: %s", run.name, self.flow.name, run.state)
            return
        self.error = run.error if self.error is None else self.error
        trace = run.error if _log.isEnabledFor(logging.DEBUG) else None
        text = describe(run.error)
        _log.error("task %r of flow %r failed: %s", run.name, self.flow.name, text, exc_info=trace)

    def outcome(self) -> FlowRun:
        tasks = {name: self.tasks[name] for name in self.flow.tasks}
        used = {name for node in self.flow.tasks.values() for name in node.upstream}
        ends = [run for name, run in tasks.items() if name not in used]
        result = {run.name: run.result for run in ends if run.state == "success"}
        return FlowRun(
            self.flow.name,
            "success" if self.error is None else "failed",
            ends[0].result if len(ends) == 1 else result,
            tasks,
            self.error,
        )
