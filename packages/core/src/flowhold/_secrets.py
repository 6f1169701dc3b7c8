"""Secrets: named values found when they are needed, by a chain of providers, and never shown."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from contextvars import ContextVar, Token
from pathlib import Path

from flowhold.errors import ConfigurationError, PluginError, SecretNotFoundError
from flowhold.redaction import remember
from flowhold.settings import find_config_dir, read_toml, stat_file

__all__ = ["locate", "provided", "resolve", "secret", "secrets", "secrets_file"]

# An error raised here must not hold a value: not in its text, its causes, or the variables of the
# frames in its traceback, which crash reporters collect.

_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


class _Values(dict[str, str]):
    """Secrets by name; the repr shows the names only."""

    def __repr__(self) -> str:
        return f"<secrets: {', '.join(self)}>"


_given: ContextVar[_Values | None] = ContextVar("flowhold_secrets", default=None)


def secret(name: str) -> str:
    """Return the value of a secret, always as the text it was given as.

    Asked in this order: :func:`secrets`, the variable ``FLOWHOLD_SECRET_<name>``, the file of that
    name in the folder ``FLOWHOLD_SECRETS_DIR`` (without one newline at its end), ``secrets.toml``
    in the config directory, plugins.

    Raises:
        SecretNotFoundError: No provider knows it.
        ConfigurationError: A provider's file cannot be read, or others could read ``secrets.toml``.
        PluginError: A plugin failed, or gave something else than text.
        FlowholdError: A plugin says that it cannot be asked.
    """
    value = _find(name)
    if value is None:
        raise _not_found([name])
    return value


def locate(name: str) -> str | None:
    """Return where :func:`secret` finds a secret, None if nowhere; raises as it does otherwise."""
    _check_name(name)
    return next((place(name) for find, place in _PROVIDERS if find(name) is not None), None)


def resolve(names: Iterable[str]) -> dict[str, str]:
    """Return the values of several secrets by name, as :func:`secret` finds them.

    Raises:
        SecretNotFoundError: Some are not known; the error names all of them.
    """
    found = {name: _find(name) for name in names}
    missing = [name for name, value in found.items() if value is None]
    values = _Values((name, value) for name, value in found.items() if value is not None)
    if missing:
        del found, values
        raise _not_found(missing)
    return values


def secrets(values: Mapping[str, str]) -> AbstractContextManager[None]:
    """Give secrets for the length of a ``with`` block; they come before those of all providers.

    Raises:
        ConfigurationError: A value is not a string.
    """
    return _Scope(values, override=True)


def provided(values: Mapping[str, str]) -> AbstractContextManager[None]:
    """Do the same as :func:`secrets`, but leave those that an outer block gives as they are."""
    return _Scope(values, override=False)


class _Scope:
    def __init__(self, values: Mapping[str, str], *, override: bool) -> None:
        wrong = [name for name, value in values.items() if not isinstance(value, str)]
        if wrong:
            del values
            raise ConfigurationError(f"the value of secret {wrong[0]!r} is not a string")
        self._values = _Values(values)
        for name in self._values:
            remember(self._values[name])
        self._override = override
        self._tokens: list[Token[_Values | None]] = []

    def __enter__(self) -> None:
        outer = _given.get() or _Values()
        layers = (outer, self._values) if self._override else (self._values, outer)
        self._tokens.append(_given.set(_Values({**layers[0], **layers[1]})))

    def __exit__(self, *_exception: object) -> None:
        _given.reset(self._tokens.pop())


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ConfigurationError("the name of a secret must be printable text")


def _find(name: str) -> str | None:
    _check_name(name)
    values = (find(name) for find, _ in _PROVIDERS)
    value = next((value for value in values if value is not None), None)
    if value is not None:
        remember(value)
    return value


def _from_block(name: str) -> str | None:
    return (_given.get() or _Values()).get(name)


def _from_environment(name: str) -> str | None:
    return os.environ.get(f"FLOWHOLD_SECRET_{name}")


def _from_folder(name: str) -> str | None:
    folder = os.environ.get("FLOWHOLD_SECRETS_DIR", "")
    if not folder or not re.fullmatch(r"(?!\.\.?$)[^/\\:]+", name):
        return None
    path = Path(folder, name)
    try:
        data = path.read_bytes()
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise ConfigurationError(f"secret {path} cannot be read: {error.strerror}") from error
    with suppress(UnicodeDecodeError):  # which holds the data
        return re.sub(r"\r?\n\Z", "", data.decode())
    del data
    raise ConfigurationError(f"secret {path} is not UTF-8 text")


def secrets_file() -> Path | None:
    """Return ``secrets.toml``, None if there is none; raise if others could read or change it."""
    path = find_config_dir() / "secrets.toml"
    stat = stat_file(path)
    if stat and os.name == "posix" and stat.st_mode & 0o077:
        raise ConfigurationError(
            f"{path} is not used, because other users may read or change it",
            hint=f"run: chmod 600 {path}",
        )
    return path if stat else None


def _from_toml(name: str) -> str | None:
    path = secrets_file()
    value = read_toml(path).get(name) if path else None
    if value is None or isinstance(value, str):
        return value
    del value
    raise ConfigurationError(f"secret {name!r} in {path} is not a string", hint="put it in quotes")


def _from_plugins(name: str) -> str | None:
    from flowhold import plugins

    value = plugins.call_first("flowhold_secret", name=name)
    if value is None or isinstance(value, str):
        return value
    del value
    raise PluginError(f"a plugin gave something else than a string for secret {name!r}")


_PROVIDERS: tuple[tuple[Callable[[str], str | None], Callable[[str], str]], ...] = (
    (_from_block, lambda _: "flowhold.secrets(...)"),
    (_from_environment, lambda name: f"variable FLOWHOLD_SECRET_{name}"),
    (_from_folder, lambda name: f"file {Path(os.environ['FLOWHOLD_SECRETS_DIR'], name)}"),
    (_from_toml, lambda _: f"file {find_config_dir() / 'secrets.toml'}"),
    (_from_plugins, lambda _: "a plugin"),
)


def _not_found(names: list[str]) -> SecretNotFoundError:
    variables = ", ".join(f"FLOWHOLD_SECRET_{name}" for name in names)
    folder = os.environ.get("FLOWHOLD_SECRETS_DIR") or "FLOWHOLD_SECRETS_DIR (not set)"
    toml = find_config_dir() / "secrets.toml"
    absent = "" if toml.exists() else " (no such file)"
    places = f"flowhold.secrets(...), {variables}, {folder}, {toml}{absent} or plugins"
    return SecretNotFoundError(
        f"no secret {' or '.join(map(repr, names))} in {places}",
        hint=f"set FLOWHOLD_SECRET_{names[0]}, or add {names[0]} to {toml}",
    )
