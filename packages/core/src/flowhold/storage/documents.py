"""A storage's options as a JSON document, and back."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flowhold import plugins
from flowhold.errors import ConfigurationError, FlowholdError

if TYPE_CHECKING:
    from flowhold.storage.base import Storage

__all__ = [
    "COMPARED",
    "are_alike",
    "describe",
    "option_parameters",
    "revive",
    "store_parameters",
    "strings",
]

COMPARED = (
    "type",
    "options",
    "labels",
    "default_labels",
    "add_default_labels",
    "secrets",
    "stored_as_script",
    "result",
)
"""The parts of a document by which a changed storage is told from an unchanged one."""


def are_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two documents describe one storage, unchanged."""
    return all(one.get(name) == other.get(name) for name in COMPARED)


_COMMON = ("result", "secrets", "labels", "add_default_labels", "stored_as_script")


@lru_cache(maxsize=128)
def option_parameters(cls: type[Storage]) -> dict[str, inspect.Parameter]:
    """Return a storage's constructor arguments by name, those of its bases behind its own."""
    parameters = dict(store_parameters(cls))
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not object:
            for name, parameter in _named(vars(base)["__init__"]).items():
                parameters.setdefault(name, parameter)
    return parameters


@lru_cache(maxsize=128)
def _written(cls: type[Storage]) -> tuple[str, ...]:
    """Return the names of the options that a document has."""
    return tuple(sorted(option_parameters(cls).keys() - cls.not_serialized - {*_COMMON}))


@lru_cache(maxsize=128)
def store_parameters(cls: type[Storage]) -> dict[str, inspect.Parameter]:
    """Return the arguments by name of the class of its store, where a storage names one."""
    store = getattr(cls, "store_class", None)
    return {} if store is None else _named(store.__init__)


def _named(function: Any) -> dict[str, inspect.Parameter]:
    """Return the arguments by name of a method."""
    _, *parameters = inspect.signature(function).parameters.values()
    unnamed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {each.name: each for each in parameters if each.kind not in unnamed}


def describe(storage: Storage) -> dict[str, Any]:
    """Return the options, labels and names of secrets of a storage.

    Raises:
        ConfigurationError: An option is not a JSON value; the message names it.
    """
    given = {name: getattr(storage, name) for name in _written(type(storage))}
    result = storage._result
    return {
        "type": plugins.storage_name(type(storage)),
        "options": {
            name: _json(storage, name, value) for name, value in given.items() if value is not None
        },
        "labels": storage._labels,
        "default_labels": storage.default_labels if storage.add_default_labels else [],
        "add_default_labels": storage.add_default_labels,
        "secrets": storage.secrets,
        "stored_as_script": storage.stored_as_script,
        "result": result
        if result is None or isinstance(result, bool)
        else _json(storage, "result", result.serialize()),
    }


def revive(document: Mapping[str, Any]) -> Storage:
    """Return a storage with the options, labels and names of secrets of a document.

    Raises:
        PluginNotFoundError: No installed plugin has its type.
        ConfigurationError: The document is malformed or has options that the class does not know.
    """
    try:
        cls: type[Storage] = plugins.storage_class(str(document["type"]))
        options = {str(name): value for name, value in dict(document.get("options") or {}).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"this is not a serialized storage: {error}") from error
    # What is not written down says what this machine does, and is for nobody else to say.
    if unknown := options.keys() - {*_written(cls), *_COMMON}:
        raise ConfigurationError(
            f"{cls.__name__} storage here does not know: {', '.join(sorted(unknown))}",
            hint="upgrade the distribution that has this storage",
        )
    result = document.get("result")
    if isinstance(result, Mapping):
        from flowhold.results import Result

        result = Result.deserialize(result)
    elif not (result is None or isinstance(result, bool)):
        raise ConfigurationError("this is not a serialized storage: its result is none")
    options.update(
        result=result,
        secrets=document.get("secrets"),
        labels=document.get("labels"),
        add_default_labels=document.get("add_default_labels"),
        stored_as_script=bool(document.get("stored_as_script")),
    )
    try:
        return cls._from_options(options)
    except FlowholdError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"{cls.__name__} storage cannot be made: {error}") from error


def strings(name: str, values: Iterable[str] | None) -> list[str]:
    """Return the values of an option as a list; raise ConfigurationError unless all are text."""
    listed = [values] if isinstance(values, str) else list(values or ())
    if not all(isinstance(value, str) and value for value in listed):
        raise ConfigurationError(f"{name} must be names, got {listed!r}")
    return listed


def _json(storage: Storage, name: str, value: Any) -> Any:
    if type(value) in (str, bool):
        return value
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"option {name} of {storage.name} storage is not a JSON value: {error}",
            hint="pass plain values; credentials belong into secrets",
        ) from error
