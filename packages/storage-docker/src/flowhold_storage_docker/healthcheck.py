"""The last step of an image's build: whether the flows in it can be loaded and run there.

Run in the image as ``python -B -m flowhold_storage_docker.healthcheck FLOWS PYTHON``. It ends with
1, and says what to do, where one of them cannot.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any

from flowhold import trees
from flowhold.environment import difference
from flowhold.errors import FlowholdError
from flowhold.loading import load_reference
from flowhold.reference import Reference

__all__ = ["check_flow", "main", "missing_results"]

WARNING = "flowhold warning:"
ERROR = "flowhold error:"


def main(arguments: list[str]) -> int:
    """Check all flows of a folder; return 0 if they can be run, else 1."""
    folder, built_by = arguments
    # Nothing of this shall stay in the image.
    with tempfile.TemporaryDirectory() as cache:
        os.environ["FLOWHOLD_CACHE_DIR"] = cache
        return _check_all(Path(folder), built_by)


def _check_all(folder: Path, built_by: str) -> int:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    failed = 0
    for path in sorted(folder.glob("*.json")):
        reference = Reference.from_json(path.read_bytes())
        problems = [*_of_python(reference, here, built_by)]
        if not any(line.startswith(ERROR) for line in problems):
            problems += check_flow(reference)
        failed += any(line.startswith(ERROR) for line in problems)
        for line in problems or [f"flow {reference.flow!r} can be loaded"]:
            print(line, flush=True)  # noqa: T201 (the engine hands it on)
    return int(failed > 0)


def _of_python(reference: Reference, here: str, built_by: str) -> Iterator[str]:
    if here == built_by:
        return
    told = f"flow {reference.flow!r} was stored with Python {built_by}, the image has {here}"
    if reference.kind == "pickle":
        yield (
            f"{ERROR} {told}, and a pickle of one does not load in the other: build on an image "
            f"with Python {built_by} (base_image='python:{built_by}-slim'), or store the script "
            f"(stored_as_script=True)"
        )
    else:
        yield f"{WARNING} {told}"


def check_flow(reference: Reference) -> list[str]:
    """Load a flow and return a line for each thing that is, or may be, wrong with it."""
    # Secrets are given when it runs.
    reference = replace(reference, storage={**reference.storage, "secrets": []})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            flow = load_reference(reference)
        except FlowholdError as error:
            hint = f"; {error.hint}" if error.hint else ""
            return [
                f"{ERROR} flow {reference.flow!r} cannot be loaded in the image: {error}{hint}; "
                f"what is missing comes in by python_dependencies=, files= or pickle_modules="
            ]
    lines = [
        f"{WARNING} flow {reference.flow!r}: {warning.message}"
        for warning in caught
        if issubclass(warning.category, UserWarning)
    ]
    told = " ".join(lines)
    lines += [
        f"{WARNING} flow {reference.flow!r}: {line}"
        for line in difference(reference.environment)
        if line not in told
    ]
    for name, handled in sorted(_not_found(flow).items()):
        told = f"flow {reference.flow!r} imports {name!r} when it runs, and the image has it not"
        do = "name its package in python_dependencies="
        lines.append(f"{WARNING if handled else ERROR} {told}: {do}")
    return [*lines, *missing_results(flow)]


def missing_results(flow: Any) -> list[str]:
    """Return a line for each task whose retries or caching need a result that is not there.

    Tasks of Flowhold's own have neither; those of flows of Prefect 1 may.
    """
    edges = getattr(flow, "edges", None)
    if getattr(flow, "result", None) is not None or not isinstance(edges, (set, frozenset)):
        return []
    needy = set()
    for edge in edges:
        task, upstream = edge.downstream_task, edge.upstream_task
        retries = getattr(task, "max_retries", 0)
        if retries and edge.key is not None and getattr(upstream, "result", None) is None:
            needy.add((ERROR, f"{upstream.name!r}, on whose value retries of {task.name!r} depend"))
    for task in getattr(flow, "tasks", ()):
        if getattr(task, "cache_for", None) is not None and getattr(task, "result", None) is None:
            needy.add((WARNING, f"{task.name!r}, which is cached"))
    return [
        f"{severity} flow {flow.name!r}: nothing keeps the value of task {each}: give the task, "
        f"the flow or the storage a result="
        for severity, each in sorted(needy)
    ]


def _not_found(flow: Any) -> dict[str, bool]:
    """Return the modules that functions of a flow import when they run, and that are not here.

    By name, whether each of these imports is in a block that may handle its failure.
    """
    from importlib.util import find_spec

    tasks = getattr(flow, "tasks", None)
    nodes = tasks.values() if isinstance(tasks, dict) else ()
    found: dict[str, bool] = {}
    for node in nodes:
        function = getattr(node, "fn", None)
        code = getattr(function, "__code__", None)
        # Those of a stored script find the modules that came with it.
        if code is not None and not function.__module__.startswith(trees.PREFIX):
            for name, handled in _imports(code):
                top = name.partition(".")[0]
                found[top] = found.get(top, True) and handled
    return {
        name: handled
        for name, handled in found.items()
        if name not in sys.modules and find_spec(name) is None
    }


def _imports(code: CodeType) -> Iterator[tuple[str, bool]]:
    """Yield the absolute names that code imports, that of functions in it too.

    With each goes whether that is in a block that may handle its failure.
    """
    import dis

    blocks = _handling(code)
    level: Any = None
    before: Any = None
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME" and level == 0:
            handled = any(begin <= instruction.offset < end for begin, end in blocks)
            yield str(instruction.argval), handled
        if instruction.opname.startswith("LOAD_"):
            level, before = before, instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imports(constant)


def _handling(code: CodeType) -> list[tuple[int, int]]:
    """Return beginning and end of the blocks of code whose errors it may handle."""
    import dis

    entries = getattr(dis.Bytecode(code), "exception_entries", None)
    if entries is not None:
        return [(entry.start, entry.end) for entry in entries]
    # Before Python 3.11 blocks are known when they are entered.
    enters = any(it.opname == "SETUP_FINALLY" for it in dis.get_instructions(code))
    return [(0, len(code.co_code))] if enters else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
