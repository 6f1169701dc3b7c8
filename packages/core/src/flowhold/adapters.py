"""Any object that has a name and can run, as a flow: plain functions, Prefect's flows, others."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any

from flowhold.errors import ConfigurationError
from flowhold.flows import Flow, FunctionFlow

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from flowhold.reference import Reference
    from flowhold.running import FlowRun, TaskRun

__all__ = ["AdaptedFlow", "adapt_flow", "adapt_prefect", "is_flow", "unadapt"]


class AdaptedFlow:
    """A flow of another library, with that flow's own attributes and Flowhold's ``run``.

    A plugin's ``flowhold_adapt_flow`` can return a subclass that implements :meth:`run_wrapped`.

    Args:
        wrapped: The other library's flow; it is what is pickled.
        name: What it is registered and found by.
    """

    # The wrapped flow's attributes of these names mean something else.
    storage: Any = None
    result: Any = None
    _source: Reference | None = None
    _allow_unverified: bool = False

    def __init__(self, wrapped: Any, name: str) -> None:
        self.wrapped = wrapped
        self.name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "wrapped":
            raise AttributeError(name)
        return getattr(self.wrapped, name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}>"

    def run(
        self, parameters: Mapping[str, Any] | None = None, executor: Executor | None = None
    ) -> FlowRun | None:
        """Run the flow by its own library; a failure is in what is returned.

        Raises:
            ConfigurationError: It does not take these parameters, or an executor is given.
        """
        from flowhold.running import is_usable

        if not is_usable(self, "run"):
            return None
        if executor is not None:
            raise ConfigurationError(
                f"flow {self.name!r} runs its tasks by itself, not on an executor",
                hint=f"set that up in {type(self.wrapped).__module__.partition('.')[0]}",
            )
        return self.run_wrapped(dict(parameters or {}))

    def register(self, catalog: Any = None, **options: Any) -> Reference | None:
        """Store the flow and add it to a catalog, as :meth:`flowhold.Flow.register` does."""
        from flowhold.registering import register
        from flowhold.running import is_usable

        return register(self, catalog=catalog, **options) if is_usable(self, "register") else None

    def run_wrapped(self, parameters: dict[str, Any]) -> FlowRun:
        """Run the wrapped flow; raise nothing but ConfigurationError."""
        raise NotImplementedError


class PrefectFlow(AdaptedFlow):
    """A flow of Prefect 2 or 3: a function that is called."""

    def run_wrapped(self, parameters: dict[str, Any]) -> FlowRun:
        """Call it; a coroutine is run to its end."""
        from flowhold.running import FlowRun

        try:
            inspect.signature(self.wrapped.fn).bind(**parameters)
        except TypeError as error:
            raise ConfigurationError(f"parameters of flow {self.name!r}: {error}") from error
        try:
            value = self.wrapped(**parameters)
            if inspect.iscoroutine(value):
                import asyncio

                value = asyncio.run(value)
        except Exception as error:  # noqa: BLE001 (it is what the run reports)
            return FlowRun(self.name, "failed", error=error)
        return FlowRun(self.name, "success", value)


class Prefect1Flow(AdaptedFlow):
    """A flow of Prefect 1: a graph whose run ends in a state."""

    def run_wrapped(self, parameters: dict[str, Any]) -> FlowRun:
        """Run it once, now, and translate its states."""
        from flowhold.running import FlowRun

        try:
            state = self.wrapped.run(parameters=parameters, run_on_schedule=False)
        except ValueError as error:  # what it raises for parameters; failures are states
            raise ConfigurationError(f"parameters of flow {self.name!r}: {error}") from error
        states = state.result if isinstance(state.result, dict) else {}
        runs = {task: self._task_run(task, one) for task, one in states.items()}
        ends = [runs[task] for task in self.wrapped.terminal_tasks() if task in runs]
        failed = [run.error for run in runs.values() if run.state == "failed"]
        tasks = {run.name: run for run in runs.values()}
        if not state.is_successful():
            first = failed[0] if failed else RuntimeError(str(state.message))
            return FlowRun(self.name, "failed", None, tasks, first)
        value = ends[0].result if len(ends) == 1 else {run.name: run.result for run in ends}
        return FlowRun(self.name, "success", value, tasks)

    def _task_run(self, task: Any, state: Any) -> TaskRun:
        from flowhold.running import TaskRun

        name = self.wrapped.slugs.get(task, task.name)
        if state.is_successful():
            return TaskRun(name, "success", state.result)
        if type(state).__name__ == "TriggerFailed":
            return TaskRun(name, "skipped")
        raised = state.result if isinstance(state.result, BaseException) else None
        return TaskRun(name, "failed", error=raised or RuntimeError(state.message))


_PREFECT: dict[tuple[str, str], type[AdaptedFlow]] = {
    ("prefect.flows", "Flow"): PrefectFlow,
    ("prefect.core.flow", "Flow"): Prefect1Flow,
}


def adapt_prefect(obj: Any) -> AdaptedFlow | None:
    """Return a flow of Prefect as a flow, None for anything else; Prefect is never imported."""
    for kind in type(obj).__mro__:
        if adapter := _PREFECT.get((kind.__module__, kind.__qualname__)):
            return adapter(obj, obj.name)
    return None


def adapt_flow(obj: Any) -> Any:
    """Return `obj` as a flow, something with a ``name`` and ``run(parameters, executor)``.

    Raises:
        ConfigurationError: It cannot be one.
    """
    if (adapted := _adapted(obj)) is not None:
        return adapted
    if isinstance(obj, FunctionType):
        return FunctionFlow(obj)
    named = isinstance(getattr(obj, "name", None), str) and not isinstance(obj, type)
    if named and callable(getattr(obj, "run", None)):
        return obj
    raise ConfigurationError(
        f"{obj!r:.60} is not a flow",
        hint="give a Flow, a function, or an object with a name (a string) and a run method",
    )


def is_flow(obj: Any) -> bool:
    """Return whether `obj` is surely meant as a flow: a Flow, or of a kind that adapters know."""
    return _adapted(obj) is not None


def unadapt(flow: Any) -> Any:
    """Return what is to be pickled of an adapted flow: what it wraps, or itself."""
    return flow.wrapped if isinstance(flow, AdaptedFlow) else flow


def _adapted(obj: Any) -> Any:
    if isinstance(obj, (Flow, AdaptedFlow)):
        return obj
    home = str((obj if isinstance(obj, FunctionType) else type(obj)).__module__)
    if home == "builtins" or home.partition(".")[0] == "flowhold":
        # Most top-level values of a script are nobody's flows, and asking loads every plugin.
        return None
    from flowhold import plugins

    return plugins.call_first("flowhold_adapt_flow", obj=obj)
