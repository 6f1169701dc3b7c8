"""The checks of ``flowhold doctor``; each looks at one thing and leaves nothing behind."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from flowhold import __version__, cache, keyring, plugins, settings
from flowhold._secrets import secrets_file
from flowhold.catalog import Catalog
from flowhold.errors import AccessDeniedError, ConfigurationError, PluginError, SignatureError
from flowhold.keys import PrivateKey
from flowhold.writing import unused_name

__all__ = ["CHECKS"]


def _python() -> str:
    return f"{platform.python_version()} at {sys.executable}"


def _flowhold() -> str:
    return f"{__version__} in {Path(plugins.__file__).parent}"


def _files() -> list[Path]:
    """Return the configuration files that are read, the one that wins first."""
    user = settings.find_config_dir() / "config.toml"
    return [*filter(None, [settings.project_file()]), *([user] if user.is_file() else [])]


def _configuration() -> str:
    current = settings.current()
    files = _files()
    contents = {path: settings.read_toml(path) for path in files}
    sources = []
    for field in fields(current):
        variable = f"FLOWHOLD_{field.name.upper()}"
        places = [variable] if os.environ.get(variable, "").strip() else []
        places += [str(path) for path in files if field.name in contents[path]]
        sources += [f"{field.name} from {place}" for place in places[:1]]
    read = ", ".join(map(str, files)) or f"no file ({settings.find_config_dir() / 'config.toml'})"
    return f"{read}; {', '.join(sources) or 'all are defaults'}"


def _catalog() -> str:
    catalog = Catalog()
    count = sum(1 for _ in catalog.names())
    store = catalog.store
    if store.local:
        root = Path(getattr(store, "root", catalog.url))
        _demand_writable(root, "FLOWHOLD_CATALOG")
    else:
        # No flow's entry can have such a key.
        probe = f".doctor-{unused_name()}"
        store.put(probe, b"")
        store.delete(probe)
    return f"{catalog.url}: {count} flows, writable"


def _storage() -> str:
    name = settings.current().storage
    cls = plugins.storage_class(name)
    return f"{name} is {cls.__module__}.{cls.__qualname__}"


def _cache() -> str:
    current = settings.current()
    _demand_writable(current.cache_dir, "FLOWHOLD_CACHE_DIR")
    size = sum(entry.size for entry in cache.entries())
    mebibytes, limit = size / 2**20, current.cache_max_bytes / 2**20
    return f"{current.cache_dir}: {mebibytes:,.1f} of {limit:,.0f} MiB"


def _plugins() -> str:
    rows = plugins.listing(check=True)
    counts = {row["status"]: 0 for row in rows if row["status"] != "available"}
    problems, hints = [], []
    for row in rows:
        if row["status"] in counts:
            counts[row["status"]] += 1
        if row["status"] in ("broken", "conflict", "incompatible"):
            problems.append(row["error"] or f"{row['name']} is {row['status']}")
            hints.append(row["hint"])
    if problems:
        hint = next(filter(None, hints), None)
        raise PluginError("; ".join(dict.fromkeys(problems)), hint=hint)
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _signing() -> str:
    for key in keyring.own():
        PrivateKey.read(keyring.private_path(key.name))
    if not keyring.is_strict():
        return "no signature is asked for: unsigned flows load"
    trusted = keyring.trusted()
    good = [key for key in trusted if keyring.flaw_of(key) is None]
    flawed = [f"{key} {keyring.flaw_of(key)}" for key in trusted if key not in good]
    found = "; ".join([f"trusted: {', '.join(map(str, good)) or 'no key'}", *flawed])
    if not good:
        raise SignatureError(
            f"only signed flows load, and no key is trusted that signs any more ({found})",
            hint="`flowhold keys trust FILE` adds one",
        )
    good[0].holds(b"", b"")
    return found


def _secrets() -> str:
    found = []
    names = [name for name in os.environ if name.startswith("FLOWHOLD_SECRET_")]
    if names:
        found.append(f"variables {', '.join(sorted(names))}")
    if folder := os.environ.get("FLOWHOLD_SECRETS_DIR"):
        if not os.path.isdir(folder):
            raise ConfigurationError(
                f"{folder} is not a folder", hint="correct FLOWHOLD_SECRETS_DIR"
            )
        found.append(f"folder {folder}")
    if path := secrets_file():
        settings.read_toml(path)
        found.append(f"file {path}")
    return "; ".join(found) or "none is set up"


def _demand_writable(folder: Path, setting: str) -> None:
    """Raise AccessDeniedError if the folder cannot be written to, or cannot be made."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise AccessDeniedError(f"{existing} is not a folder", hint=f"correct {setting}")
    if not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        raise AccessDeniedError(
            f"{existing} cannot be read and written",
            hint=f"change its permissions, or set {setting} to a folder of yours",
        )


CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    "flowhold": _flowhold,
    "settings": _configuration,
    "catalog": _catalog,
    "storage": _storage,
    "cache": _cache,
    "plugins": _plugins,
    "signing": _signing,
    "secrets": _secrets,
}
"""By name; each returns what it found, or raises what is wrong."""
