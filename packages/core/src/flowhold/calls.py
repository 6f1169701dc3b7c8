"""One call of a task: executed here, or as bytes on a worker in another process."""

from __future__ import annotations

import logging
import pickle
import threading
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast

from flowhold.errors import FlowholdError, SerializationError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from flowhold.flows import Flow
    from flowhold.results import Result

__all__ = ["Call", "TaskRun", "describe", "logger", "lost", "receive", "run_task", "text_of"]

_current: ContextVar[str] = ContextVar("flowhold_task", default="")
_loading = threading.Lock()


@dataclass(frozen=True)
class TaskRun:
    """What became of one task."""

    name: str
    state: Literal["success", "failed", "skipped"]
    """``skipped``: a task that it depends on did not succeed."""
    result: Any = field(default=None, repr=False)
    """The value that the task returned."""
    error: BaseException | None = None
    stored: Result | None = None
    """Where the value was written, with its digest: ``stored.read().value`` is the value."""


def logger() -> logging.Logger:
    """Return the logger ``flowhold.task.<flow>.<task>`` of the task that runs here.

    Outside of tasks it is ``flowhold.task``.
    """
    return logging.getLogger(f"flowhold.task{_current.get()}")


@dataclass(frozen=True)
class Call:
    """All that one execution of a task needs, wherever it happens."""

    flow: str
    task: str
    run_id: str
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Result | None

    def execute(self) -> TaskRun:
        """Call the function, write its value if there is a result, and say how it went."""
        token = _current.set(f".{self.flow}.{self.task}")
        try:
            value = self.fn(*self.args, **self.kwargs)
            stored = None
            if self.result is not None:
                now = datetime.now(timezone.utc)
                names = {"flow": self.flow, "task": self.task, "run_id": self.run_id, "date": now}
                stored = self.result.write(value, **names)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (it is what the run reports)
            return TaskRun(self.task, "failed", error=error)
        finally:
            _current.reset(token)
        return TaskRun(self.task, "success", value, stored=stored)

    def to_bytes(self, flow: Flow) -> bytes:
        """Return the message for :func:`run_task`.

        Inputs can hold classes of modules that only loading the flow makes known, so a worker loads
        it first; hence the bytes inside the bytes. As the run's id is in them, no two messages are
        equal, which Dask would take for one call.
        """
        from flowhold.pickling import dumps

        source = flow._script if flow._source is None else flow._source.to_json()
        fn = self.fn if source is None else None
        try:
            payload = dumps((fn, self.args, self.kwargs, self.result))
        except Exception as error:
            raise SerializationError(
                f"task {self.task!r} cannot be sent to a worker: {describe(error)}",
                hint="give it inputs that can be pickled, or run in threads",
            ) from error
        names = (self.flow, self.task, self.run_id)
        return pickle.dumps((source, flow._allow_unverified, names, payload))


def run_task(message: bytes) -> bytes:
    """Execute one call on a worker; what comes back says how it went, for :func:`receive`."""
    source, allow_unverified, names, payload = pickle.loads(message)
    name, task, run_id = names
    try:
        flow = None if source is None else _load(source, allow_unverified, run_id)
        own, args, kwargs, result = pickle.loads(payload)
        fn = own if flow is None else flow.tasks[task].fn
        run = Call(name, task, run_id, fn, args, kwargs, result).execute()
    except BaseException as error:  # noqa: BLE001 (a worker that raises says less, or dies)
        run = TaskRun(task, "failed", error=error)
    return _to_bytes(run)


def _load(source: str, allow_unverified: bool, run_id: str) -> Any:
    with _loading:  # so that the threads of a worker share one load
        return _load_once(source, allow_unverified, run_id)


@lru_cache(maxsize=16)
def _load_once(source: str, allow_unverified: bool, _run_id: str) -> Any:
    # Once in each run: what a reference leads to that is not pinned can change between runs.
    from flowhold.loading import load_reference, load_script
    from flowhold.reference import Reference

    if not source.startswith("{"):
        return load_script(source)
    return load_reference(Reference.from_json(source), allow_unverified=allow_unverified)


def _to_bytes(run: TaskRun) -> bytes:
    import cloudpickle

    trace = ""
    if run.error is not None:
        trace = "".join(traceback.format_exception(run.error))
    try:
        data = cloudpickle.dumps((run, trace))
        if run.error is not None:
            pickle.loads(data)  # errors are of any making, and not all can be read back
    except Exception as error:  # noqa: BLE001
        problem: Exception = SerializationError(
            f"the value of task {run.name!r} cannot be sent back: {describe(error)}",
            hint="return what can be pickled, or run in threads",
        )
        if run.error is not None:
            problem = RuntimeError(describe(run.error))
        data = cloudpickle.dumps((TaskRun(run.name, "failed", error=problem), trace))
    return cast("bytes", data)


def receive(name: str, future: Future[Any]) -> TaskRun:
    """Return what became of the task of a future that is done; raise a KeyboardInterrupt in it."""
    try:
        outcome = future.result()
        run, trace = pickle.loads(outcome) if isinstance(outcome, bytes) else (outcome, "")
    except Exception as error:  # noqa: BLE001
        return lost(name, error)
    if run.error is not None and trace:
        run.error.__cause__ = _WorkerTraceback(f"\n{trace}")
        if not isinstance(run.error, (Exception, SystemExit)):
            raise run.error
    return cast("TaskRun", run)


def lost(name: str, error: Exception) -> TaskRun:
    """Return the end of a task that the executor has not run, or not to its end."""
    from concurrent.futures import BrokenExecutor

    if isinstance(error, FlowholdError):
        return TaskRun(name, "failed", error=error)
    died = isinstance(error, BrokenExecutor)
    problem = FlowholdError(
        f"task {name!r} was lost: {'a worker process died' if died else describe(error)}",
        hint="it crashed, was killed or ran out of memory; make a new executor for the next run"
        if died
        else "see the logs of the executor's workers",
    )
    problem.__cause__ = error
    return TaskRun(name, "failed", error=problem)


class _WorkerTraceback(Exception):
    """Shows, as the cause of an error, where in a worker it was raised."""


def describe(error: BaseException) -> str:
    """Return an error's type and text."""
    text = text_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def text_of(error: BaseException) -> str:
    """Return an error's text, or what stands for it where it cannot be made."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 (errors of any making)
        return "(its text cannot be shown)"
