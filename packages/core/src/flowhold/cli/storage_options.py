"""A storage's options as ``key=value``, read by the annotations of its constructor."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from flowhold.errors import ConfigurationError
from flowhold.settings import BOOLS

if TYPE_CHECKING:
    from flowhold.storage.base import Storage

__all__ = ["parse_options"]

_LISTS = {"list", "sequence", "iterable", "collection", "tuple", "set", "frozenset"}
_DICTS = {"dict", "mapping", "mutablemapping"}
_NUMBERS = {"int": int, "float": float}
_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    **dict.fromkeys(_DICTS, "a JSON object"),
    **dict.fromkeys(_LISTS, "values with commas between them"),
}
_UNSUITABLE = ("result",)


def parse_options(name: str, cls: type[Storage], given: Sequence[str]) -> dict[str, Any]:
    """Return the constructor arguments of a storage.

    Args:
        name: Its name, for messages.
        cls: Its class.
        given: ``key=value`` each; the values of lists add up.

    Raises:
        ConfigurationError: One is not of that form, unknown, given twice or of the wrong type. No
            message shows a value.
    """
    from flowhold.storage.documents import option_parameters

    known = {
        option: parameter
        for option, parameter in option_parameters(cls).items()
        if option not in _UNSUITABLE
    }
    options: dict[str, Any] = {}
    for item in given:
        option, separator, text = item.partition("=")
        if not separator:
            raise ConfigurationError(
                f"-o {option[:40]!r} is not key=value", hint=f"options of {name}: {_join(known)}"
            )
        if option not in known:
            near = get_close_matches(option, known, n=2)
            meant = f"did you mean {' or '.join(near)}? " if near else ""
            raise ConfigurationError(
                f"{name} storage has no option {option[:40]!r}",
                hint=f"{meant}options: {_join(known)}",
            )
        value = _parse(text, _annotation(known[option]), f"option {option} of {name} storage")
        if option in options:
            if not isinstance(value, list):
                raise ConfigurationError(f"option {option} of {name} storage is given twice")
            value = options[option] + value
        options[option] = value
    return options


def _join(known: dict[str, inspect.Parameter]) -> str:
    return ", ".join(known)


def _annotation(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    if annotation is parameter.empty:
        default = parameter.default
        return "str" if default in (None, parameter.empty) else type(default).__name__
    if isinstance(annotation, str):
        return annotation
    # Of a class str() is "<class 'int'>", of anything from typing it is what was written.
    return annotation.__name__ if type(annotation) is type else str(annotation)


def _parse(text: str, annotation: str, label: str) -> Any:
    members = {_base(member): member for member in _members(annotation)}
    members.pop("none", None)
    textual = not members.keys() <= _WORDS.keys()
    if "bool" in members and text.lower() in BOOLS:
        return BOOLS[text.lower()]
    for name, kind in _NUMBERS.items():
        if name in members:
            try:
                return kind(text)
            except ValueError:
                continue
    if members.keys() & _DICTS and isinstance(value := _json(text), dict):
        return value
    for name in members.keys() & _LISTS:
        if not textual or "," in text:
            value = _json(text) if text.startswith("[") else None
            inner = members[name].partition("[")[2].removesuffix("]").split(",")[0] or "str"
            items = [item.strip() for item in text.split(",")]
            if isinstance(value, list):
                return value
            return [_parse(item, inner, f"each of {label}") for item in items if item]
    if textual:
        return text
    wanted = dict.fromkeys(_WORDS[name] for name in members)
    raise ConfigurationError(f"{label} must be {' or '.join(wanted)}")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _base(member: str) -> str:
    """Return the name of a type in lower case: ``dict`` of ``typing.Dict[str, int]``."""
    return member.partition("[")[0].rpartition(".")[2].strip().lower()


def _members(annotation: str) -> list[str]:
    """Return the types that an annotation allows."""
    parts = _split(annotation, "|")
    if len(parts) > 1:
        return [member for part in parts for member in _members(part)]
    inner = re.fullmatch(r"(?:typing\.)?(?:Optional|Union)\[(.*)\]", parts[0])
    return [m for part in _split(inner[1], ",") for m in _members(part)] if inner else parts


def _split(text: str, separators: str) -> list[str]:
    """Split at separators that are in no brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "[") - (char == "]")
        if char in separators and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]
