"""The settings of Flowhold: defaults, two files and the environment, merged and checked."""

from __future__ import annotations

import importlib
import os
import re
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from flowhold import variables
from flowhold.errors import ConfigurationError

__all__ = [
    "Settings",
    "current",
    "find_config_dir",
    "of_user",
    "project_file",
    "read_toml",
    "stat_file",
]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be set, by these names in a file and as ``FLOWHOLD_<NAME>`` in the environment."""

    config_dir: Path
    """Holds ``config.toml`` and ``secrets.toml``; set by the environment only."""
    cache_dir: Path
    data_dir: Path
    catalog: str | None = None
    """URL or absolute path; None means the folder ``catalog`` in `data_dir`."""
    storage: str = "local"
    trusted_keys: tuple[str, ...] = ()
    require_signature: bool = False
    rollback_protection: bool = True
    disabled_plugins: tuple[str, ...] = ()
    add_default_labels: bool = True
    cache_max_bytes: int = 5 << 30
    cache_max_days: int = 30
    max_tree_bytes: int = 2 << 30
    max_tree_files: int = 100_000


_KINDS = {field.name: str(field.type) for field in fields(Settings)}
_WANTED = {
    "Path": "a path",
    "bool": "true or false",
    "int": "a whole number, 0 or more",
    "str": "a string that is not empty",
    "str | None": "a URL or a path",
    "tuple[str, ...]": "a list of strings",
}
_VARIABLES = (
    *(f"FLOWHOLD_{name.upper()}" for name in _KINDS),
    *("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
)
_Version = tuple[int, int, int]
BOOLS = dict.fromkeys(("1", "true", "yes", "on"), True)
BOOLS |= dict.fromkeys(("0", "false", "no", "off"), False)
"""What text means, in lower case."""


def current(**overrides: Any) -> Settings:
    """Return the settings that hold now.

    From lowest to highest: defaults; ``config.toml`` in the config directory; the first
    ``flowhold.toml`` found upwards from the working directory, which can never loosen trust;
    ``FLOWHOLD_*`` variables that are not empty, lists comma separated; `overrides` not None.

    Raises:
        ConfigurationError: A file cannot be read, a name is unknown or a value has the wrong type.
    """
    found = _found(with_project=True)
    changes = {
        name: _checked(_kind(name, "the arguments"), value, name)
        for name, value in overrides.items()
        if value is not None
    }
    return replace(found, **changes) if changes else found


def of_user() -> Settings:
    """Return the settings that would hold without the ``flowhold.toml`` of a project."""
    return _found(with_project=False)


def _found(*, with_project: bool) -> Settings:
    # Asked for often, and nearly always the same: what it is made from tells whether it is.
    given, folder = variables.named(_VARIABLES), _working_directory()
    config = _config_file(given, folder)
    project = _project_file(folder) if with_project else None
    return _merged(given, folder, config, _version(stat_file(config)), project)


@lru_cache(maxsize=16)
def _config_file(_given: tuple[Any, ...], _folder: str | None) -> str:
    return str(find_config_dir() / "config.toml")


@lru_cache(maxsize=16)
def _merged(
    _given: tuple[Any, ...],
    _folder: str | None,
    config: str,
    config_version: _Version | None,
    project: tuple[str, _Version] | None,
) -> Settings:
    values: dict[str, Any] = {"config_dir": Path(config).parent}
    if config_version:
        values.update(_settings_in(config, config_version, False))
    own = _settings_in(*project, True) if project else {}
    # A project may disable plugins, but not enable those that the user has disabled.
    disabled = (*values.get("disabled_plugins", ()), *own.get("disabled_plugins", ()))
    values.update(own, disabled_plugins=tuple(dict.fromkeys(disabled)))
    for name, kind in _KINDS.items():
        variable = f"FLOWHOLD_{name.upper()}"
        if name != "config_dir" and (text := os.environ.get(variable, "").strip()):
            values[name] = _checked(kind, _from_text(kind, text), variable)
            if name == "trusted_keys" and not values[name]:
                # Else a mistake would let everything load.
                raise ConfigurationError(f"{variable} names no key", hint="name one, or unset it")
    for name in {"cache_dir", "data_dir"} - values.keys():
        values[name] = _default(name)
    return Settings(**values)


def find_config_dir() -> Path:
    """Return the config directory: ``FLOWHOLD_CONFIG_DIR``, else the platform's for this user."""
    text = os.environ.get("FLOWHOLD_CONFIG_DIR", "").strip()
    return Path(_checked("Path", text, "FLOWHOLD_CONFIG_DIR")) if text else _default("config_dir")


def project_file() -> Path | None:
    """Return the first ``flowhold.toml`` upwards from the working directory, if there is one."""
    found = _project_file(_working_directory())
    return found and Path(found[0])


def _project_file(folder: str | None) -> tuple[str, _Version] | None:
    for path in _places(folder):
        if version := _version(stat_file(path)):
            return path, version
    return None


@lru_cache(maxsize=16)
def _places(folder: str | None) -> tuple[str, ...]:
    """Return where a project's file can be, the nearest place first."""
    folders = (Path(folder), *Path(folder).parents) if folder else ()
    return tuple(str(each / "flowhold.toml") for each in folders)


def _working_directory() -> str | None:
    """Return the working directory, None where it was removed."""
    with suppress(FileNotFoundError):
        return os.getcwd()
    return None


def stat_file(path: str | Path) -> os.stat_result | None:
    """Return a file's status, None where there is no file; other errors: ConfigurationError."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        ConfigurationError: It cannot be read. No text, cause or frame shows the secrets in it.
    """
    table, problem = _parse(path)
    if problem:
        raise ConfigurationError(f"{path} {problem}", hint="correct or remove that file")
    return table


def _parse(path: Path) -> tuple[dict[str, Any], str]:
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        if not path.is_file():
            return {}, "is not a regular file"
        return toml.loads(path.read_bytes().decode("utf-8-sig")), ""
    except OSError as error:
        return {}, f"cannot be read: {error.strerror}"
    except (ValueError, RecursionError) as error:
        place = re.findall(r" \(at (?:line \d+, column \d+|end of document)\)", str(error))
        return {}, "is not valid TOML" + "".join(place[-1:])


def _version(status: os.stat_result | None) -> _Version | None:
    """Return what changes with a file, None where there is none."""
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status else None


@lru_cache(maxsize=64)
def _settings_in(file: str, _of: _Version, project: bool) -> Mapping[str, Any]:
    path, values = Path(file), {}
    for name, value in read_toml(path).items():
        # Trees in a cache are run as they are, so a cache that came with a project is not used.
        trust = name in ("trusted_keys", "config_dir", "cache_dir")
        off = name in ("require_signature", "rollback_protection") and value is False
        if project and (trust or off):
            warnings.warn(f"{name} in {path} is ignored: it could loosen trust", stacklevel=5)
            continue
        values[name] = _checked(_kind(name, str(path)), value, f"{name} in {path}", path.parent)
    return values


def _kind(name: str, source: str) -> str:
    if name in _KINDS and name != "config_dir":
        return _KINDS[name]
    from difflib import get_close_matches

    near = ["FLOWHOLD_CONFIG_DIR"] if name == "config_dir" else get_close_matches(name, _KINDS, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(_KINDS)}"
    raise ConfigurationError(f"unknown setting {name[:60]!r} in {source}", hint=hint)


def _checked(kind: str, value: Any, label: str, base: Path | None = None) -> Any:
    match kind, value:
        case ("bool", bool()) | ("str", str()) if value != "":
            return value
        case "int", int() if type(value) is int and value >= 0:
            return value
        case "tuple[str, ...]", list() | tuple() if all(isinstance(item, str) for item in value):
            return tuple(value)
        case "str | None", str() if "://" in value:
            return value
        case (("Path" | "str | None"), str() | Path()) if value != "" and "\0" not in str(value):
            with suppress(RuntimeError, FileNotFoundError):  # no such user, no working directory
                path = ((base or Path()) / Path(value).expanduser()).absolute()
                return path if kind == "Path" else str(path)
    raise ConfigurationError(f"{label} must be {_WANTED[kind]}")


def _from_text(kind: str, text: str) -> Any:
    if kind == "bool":
        return BOOLS.get(text.lower(), text)
    if kind == "int" and re.fullmatch("[0-9]{1,18}", text):
        return int(text)
    if kind == "tuple[str, ...]":
        return [item for part in text.split(",") if (item := part.strip())]
    return text


def _default(name: str) -> Path:
    import platformdirs

    return Path(getattr(platformdirs, f"user_{name}")("flowhold", appauthor=False))
