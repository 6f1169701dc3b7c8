"""A flow's tasks and parameters as a drawing."""

from __future__ import annotations

from typing import Any

from flowhold.errors import ConfigurationError
from flowhold.flows import Flow, Node, Parameter, substitute

__all__ = ["mermaid"]


def mermaid(flow: Any) -> str:
    """Return a Mermaid flowchart of a flow: its tasks, its parameters and what needs what.

    Raises:
        ConfigurationError: It is a flow of another making, whose tasks are not known.
    """
    if not isinstance(flow, Flow):
        raise ConfigurationError(
            f"the tasks of {flow.name!r} are not known: it is a {type(flow).__qualname__}",
            hint="only flows made with Flowhold's Flow or @flow can be drawn",
        )
    parameters = {name: f"p{index}" for index, name in enumerate(flow.parameters)}
    tasks = {name: f"t{index}" for index, name in enumerate(flow.tasks)}
    lines = ["flowchart TD"]
    lines += [f"    {mark}([{_text(name)}])" for name, mark in parameters.items()]
    lines += [f"    {mark}[{_text(name)}]" for name, mark in tasks.items()]
    for name, node in flow.tasks.items():
        needed = [parameters[used] for used in _parameters(node)]
        needed += [tasks[upstream] for upstream in node.upstream]
        lines += [f"    {mark} --> {tasks[name]}" for mark in needed]
    return "\n".join(lines)


def _parameters(node: Node) -> list[str]:
    """Return the names of the parameters among a task's inputs."""
    used: dict[str, None] = {}

    def note(value: Any) -> Any:
        if isinstance(value, Parameter):
            used[value.name] = None
        return value

    substitute((node.args, node.kwargs), note)
    return list(used)


def _text(name: str) -> str:
    """Return a name as a quoted label; what Mermaid would read otherwise as its codes."""
    unsafe = '"#&<>`\\'
    chars = (c if c.isprintable() and c not in unsafe else f"#{ord(c)};" for c in name)
    return f'"{"".join(chars)}"'
