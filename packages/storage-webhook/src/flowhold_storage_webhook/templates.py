"""Texts with names of variables and secrets in them, whose values are filled in at run time only.

``${NAME}`` and ``$NAME`` stand for a value, ``$$`` for a dollar; every other dollar is one.
``{slug}``, ``{name}`` and ``{sha256}`` stand for what tells one flow from another.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flowhold._secrets import secret
from flowhold.errors import ConfigurationError, FlowholdError, SecretNotFoundError

__all__ = [
    "MARKS",
    "Values",
    "check_texts",
    "copied",
    "fill",
    "look_up",
    "marks_in",
    "names_in",
    "render",
]

MARKS = ("slug", "name", "sha256")
_TEMPLATE = re.compile(
    r"\$\$|\$(?P<plain>[A-Za-z_][A-Za-z0-9_]*)|\$\{(?P<braced>[^}]*)(?P<end>\}?)"
    rf"|\{{(?P<mark>{'|'.join(MARKS)})\}}"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class Values(dict[str, str]):
    """Values by name; the repr shows the names only."""

    def __repr__(self) -> str:
        return f"<values: {', '.join(self)}>"


def check_texts(path: str, value: Any) -> None:
    """Raise ConfigurationError where a text is no template; the message shows its path only."""
    for found in _found_in(value, "${"):
        braced = found["braced"]
        if braced is not None and not (found["end"] and _NAME.fullmatch(braced)):
            raise ConfigurationError(
                f"a text in {path} has a ${{ that begins no name",
                hint="write ${NAME} for a variable or a secret, and $${ for these characters",
            )


def names_in(value: Any) -> set[str]:
    """Return the names of variables and secrets in all texts of a value, at any depth."""
    return {name for found in _found_in(value, "$") if (name := found["plain"] or found["braced"])}


def marks_in(value: Any) -> set[str]:
    """Return which of `MARKS` are in the texts of a value."""
    return {found["mark"] for found in _found_in(value, "{") if found["mark"]}


def render(value: Any, values: Mapping[str, str], marks: Mapping[str, str] | None = None) -> Any:
    """Return a value with everything filled in, in dictionaries, lists and tuples at any depth.

    Args:
        value: The template; it stays as it is.
        values: For names.
        marks: For those of `MARKS` that are filled in; others stay.
    """

    def put(found: re.Match[str]) -> str:
        if name := found["plain"] or found["braced"]:
            return values[name]
        return "$" if found["mark"] is None else (marks or {}).get(found["mark"], found[0])

    return _mapped(value, lambda text: _TEMPLATE.sub(put, text))


def fill(value: Any, marks: Mapping[str, str]) -> Any:
    """Return a template with the marks filled in, but names left as they are."""

    def put(found: re.Match[str]) -> str:
        return marks.get(found["mark"], found[0])

    return _mapped(value, lambda text: _TEMPLATE.sub(put, text))


def look_up(names: Iterable[str]) -> Values:
    """Return the values of names: those of environment variables, else those of secrets.

    Raises:
        SecretNotFoundError: Some are neither; the message names them.
        FlowholdError: A provider of secrets failed.
    """
    values, missing = Values(), []
    try:
        for name in sorted(names):
            try:
                values[name] = _value_of(name)
            except SecretNotFoundError:
                missing.append(name)
    except FlowholdError:
        # The error's traceback leads here.
        values.clear()
        raise
    if missing:
        values.clear()
        raise SecretNotFoundError(
            f"{' and '.join(missing)}, named by a template, is neither a variable of the "
            f"environment nor a secret",
            hint=f"set the variable {missing[0]}, or the secret: FLOWHOLD_SECRET_{missing[0]}",
        )
    return values


def copied(value: Any) -> Any:
    """Return a copy of a value with dictionaries, lists and tuples of its own."""
    return _mapped(value, str)


def _value_of(name: str) -> str:
    return os.environ[name] if name in os.environ else secret(name)


def _found_in(value: Any, sign: str) -> list[re.Match[str]]:
    """Return what stands for something else in all texts of a value that have a sign in them."""
    if isinstance(value, str):
        return [*_TEMPLATE.finditer(value)] if sign in value else []
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [found for inner in value for found in _found_in(inner, sign)]


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _mapped(inner, change) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        changed = [_mapped(inner, change) for inner in value]
        return tuple(changed) if isinstance(value, tuple) else changed
    return value
