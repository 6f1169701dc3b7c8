"""Which flow of a module is meant: by name, or by the attribute that holds or makes it."""

from __future__ import annotations

import importlib
import inspect
import sys
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from flowhold import adapters
from flowhold.errors import ConfigurationError, FlowNotFoundError
from flowhold.trees import loading_code

__all__ = [
    "find_flow",
    "flows_in",
    "import_named",
    "module_of_main",
    "no_module",
    "split_target",
]


def split_target(text: str) -> tuple[str, str | None]:
    """Split ``file.py:attr`` or ``pkg.mod:attr`` at its colon."""
    head, colon, attribute = text.rpartition(":")
    # The colon of a Windows drive is not one that names an attribute.
    if not colon or "/" in attribute or "\\" in attribute or len(head) == 1:
        return text, None
    if not head or not attribute:
        raise ConfigurationError(f"{text!r} has nothing on one side of the colon")
    return head, attribute


def flows_in(module: ModuleType) -> dict[str, list[Any]]:
    """Return the flows among the module's top-level values by name, in the order of the source."""
    found: dict[str, list[Any]] = {}
    for value in list(vars(module).values()):
        if adapters.is_flow(value):
            same = found.setdefault(adapters.adapt_flow(value).name, [])
            if not any(value is other for other in same):
                same.append(value)
    return found


def find_flow(
    module: ModuleType,
    name: str | None = None,
    attribute: str | None = None,
    *,
    target: str | None = None,
    where: str,
) -> Any:
    """Return the one flow of a module that is meant.

    Args:
        module: Where to look.
        name: The flow's name; None takes the only one.
        attribute: Dotted attribute that is a flow, or a function without arguments that returns
            one.
        target: A flow's name, or else such an attribute; instead of the two.
        where: What the module is, for error messages, as ``script etl.py``.

    Raises:
        FlowNotFoundError: No flow, several or the wrong one; the message lists what was found.
    """
    if target is not None:
        name, attribute = (target, None) if target in flows_in(module) else (None, target)
    if attribute is not None:
        flow = _by_attribute(module, attribute, where)
        if name is not None and flow.name != name:
            raise FlowNotFoundError(
                f"{attribute} in {where} is the flow {flow.name!r}, not {name!r}", location=where
            )
        return flow
    found = flows_in(module)
    if name is None and len(found) == 1:
        (name,) = found
    candidates = found.get(name or "", [])
    if not candidates and name and name.isidentifier():
        function = getattr(module, name, None)
        if callable(function) and not isinstance(function, type):
            candidates = [function]
    if len(candidates) == 1:
        return adapters.adapt_flow(candidates[0])
    listed = ", ".join(map(repr, found)) or "no flow at its top level"
    if candidates:
        problem = f"{len(candidates)} flows named {name!r}"
        hint = "give them different names, or say which one: FILE:ATTRIBUTE"
    elif name is not None:
        problem = f"no flow {name!r}; found: {listed}"
        hint = "check the name; flows must be at the top level"
    elif found:
        problem, hint = f"several flows: {listed}", "say which one by its name"
    else:
        problem = listed
        hint = "define a Flow there, decorate a function with @flow, or name it: FILE:ATTRIBUTE"
    raise FlowNotFoundError(f"{where} has {problem}", location=where, hint=hint)


def _by_attribute(module: ModuleType, attribute: str, where: str) -> Any:
    try:
        value = attrgetter(attribute)(module)
    except AttributeError:
        listed = ", ".join(flows_in(module)) or "none"
        raise FlowNotFoundError(
            f"{where} has no attribute {attribute!r}; flows found: {listed}", location=where
        ) from None
    made = value
    if not adapters.is_flow(value) and not hasattr(value, "run") and _takes_nothing(value):
        with loading_code():
            made = value()
    try:
        flow = adapters.adapt_flow(made)
    except ConfigurationError as error:
        raise FlowNotFoundError(
            f"{attribute} in {where} is neither a flow nor a function without arguments that "
            f"returns one",
            location=where,
            hint="decorate the function with @flow to make it one",
        ) from error
    if made is not value or flow.name not in flows_in(module):
        # Its name alone does not find this flow again; what takes no attributes does without.
        with suppress(AttributeError):
            flow._attribute = attribute
    return flow


def _takes_nothing(value: Any) -> bool:
    try:
        inspect.signature(value).bind()
    except (TypeError, ValueError):
        return False
    return True


def import_named(name: str) -> ModuleType:
    """Import an ordinary module by its dotted name while marking that a flow is being loaded.

    Raises:
        FlowNotFoundError: There is no module of that name; other import errors pass.
    """
    try:
        with loading_code():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise no_module(name) from error
        raise


def no_module(name: str) -> FlowNotFoundError:
    """Return the error that says that a module cannot be imported here."""
    return FlowNotFoundError(
        f"there is no module {name!r} here",
        location=name,
        hint="install the package that has it, or put its folder on PYTHONPATH",
    )


def module_of_main() -> str:
    """Return the name by which other processes import the file that runs as ``__main__``.

    Raises:
        ConfigurationError: It has none, as in a notebook or an interactive session.
    """
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name != "__main__":
        return str(spec.name)
    file = getattr(main, "__file__", None)
    if not file or spec is not None:
        raise ConfigurationError(
            "__main__ is not a module that another process could import",
            hint="name the module: Module('package.module')",
        )
    return Path(file).stem
