"""What is installed, read from metadata, and the plugins of it that have been loaded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import pluggy

from flowhold import __version__, _builtin, hookspecs, settings
from flowhold.errors import (
    FlowholdError,
    PluginConflictError,
    PluginError,
    PluginLoadError,
    PluginNotFoundError,
    PluginVersionError,
)
from flowhold.plugins import KNOWN, StorageInfo

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

_API = 1
_GROUPS = {
    "storage": "flowhold.storage",
    "object store": "flowhold.object_store",
    "plugin": "flowhold.plugins",
}
EXTRAS = {"storage": KNOWN, "object store": {"s3": "s3", "gs": "gcs", "az": "azure"}}
_LOGGER = logging.getLogger("flowhold.plugins")


@dataclass(frozen=True)
class Claim:
    """A name that a plugin has for something, known without importing it."""

    kind: str
    """One of "storage", "object store" (named by its scheme) and "plugin"."""
    name: str
    plugin: str
    """Value of the entry point, or the name under which it is registered without one."""
    distribution: str | None = None
    version: str | None = None
    api: int = _API
    point: EntryPoint | None = field(default=None, compare=False)

    def __str__(self) -> str:
        source = f"{self.distribution} {self.version}" if self.distribution else "this process"
        entry = f" (entry point {self.name} = {self.plugin})" if self.point else ""
        return f"{self.kind} {self.name!r} of {source}{entry}"

    def failed(self, error: BaseException) -> PluginLoadError:
        """Return the error to raise in place of one out of the plugin's own code."""
        hint = None
        if self.point:
            hint = f"reinstall {self.distribution}, or set FLOWHOLD_DISABLED_PLUGINS={self.name}"
            if isinstance(error, ImportError) and (install := _install(self.kind, self.name)):
                hint = install
        message = f"{self} cannot be loaded: {type(error).__name__}: {error}"
        return PluginLoadError(message, storage=self.name, hint=hint)


_Offers = dict[tuple[str, str], tuple[Claim, StorageInfo]]


class Registry:
    """The plugins of this process; everything is looked up by name and imported when asked for."""

    def __init__(self) -> None:
        # Held while a plugin is imported, so that other threads find it whole or not at all.
        self.lock = threading.RLock()
        self.manager = pluggy.PluginManager("flowhold")
        self.manager.add_hookspecs(hookspecs)
        self._found: _Offers = {}
        self._ready = False
        own = Claim("plugin", "flowhold", "flowhold", "flowhold", __version__)
        self._direct = self._add(_builtin, own.name, own)
        """What is offered without entry points; it comes before what is found by them."""

    def register(self, plugin: Any, name: str | None) -> None:
        """Add a plugin without entry points."""
        name = name or self.manager.get_canonical_name(plugin)
        with self.lock:
            added = self._add(plugin, name, Claim("plugin", name, name))
            for key in added.keys() & self._direct.keys():
                self.manager.unregister(name=name)
                raise PluginConflictError(f"{added[key][0]} is there already", storage=key[1])
            self._direct |= added

    def unregister(self, plugin: Any) -> None:
        """Remove what :meth:`register` added."""
        with self.lock:
            name = self.manager.get_name(plugin)
            if name is None or plugin is _builtin:
                raise PluginNotFoundError(f"{plugin!r} is not registered")
            self.manager.unregister(name=name)
            left = {key: own for key, own in self._direct.items() if own[0].plugin != name}
            self._direct = left

    def find(self, kind: str, name: str) -> tuple[Claim, StorageInfo]:
        """Return who has that name, importing only that plugin."""
        disabled = _check_enabled(kind, name)
        with self.lock:
            if known := self._direct.get((kind, name)) or self._found.get((kind, name)):
                return known
            names = {claim.name for claim in self.claims() if claim.kind == kind} - disabled
            claim = _pick(kind, name, _installed(kind), names)
            offers = self._load(claim)
            if (kind, name) not in offers:
                others = ", ".join(repr(own) for what, own in offers if what == kind) or "none"
                message = f"{claim} cannot be loaded: its plugin names the {kind} {others}"
                hint = "the name in flowhold_storages and that of the entry point must agree"
                raise PluginLoadError(message, storage=name, hint=hint)
            found = self._found[kind, name] = (claim, offers[kind, name][1])
            return found

    def load_class(self, kind: str, name: str) -> Any:
        """Return the class of a storage or object store."""
        claim, info = self.find(kind, name)
        target = str(info.storage_class if kind == "storage" else info.object_store_class)
        try:
            found = resolve_name(target)
            if not isinstance(found, type):
                raise TypeError(f"{target} is not a class")
        except (Exception, SystemExit) as error:
            raise claim.failed(error) from error
        return found

    def claims(self) -> list[Claim]:
        """Return all claims; those without entry points come first."""
        direct = [claim for claim, _ in self._direct.values()]
        return [*direct, *(claim for kind in _GROUPS for claim in _installed(kind))]

    def check(self, claim: Claim, claims: list[Claim], *, load: bool) -> None:
        """Raise what using a claim would raise; import nothing unless `load`."""
        _check_enabled(claim.kind, claim.name)
        if claim.point:
            peers = [c for c in claims if (c.kind, c.name) == (claim.kind, claim.name)]
            if not peers[0].point:
                message = f"{claim} is not used: {peers[0]} comes first"
                raise PluginConflictError(message, hint=f"uninstall {claim.distribution}")
            _pick(claim.kind, claim.name, [peer for peer in peers if peer.api == claim.api])
        if load and claim.kind != "plugin":
            self.load_class(claim.kind, claim.name)
        elif load:
            self._load(claim)

    def answers(self, hook_name: str, arguments: dict[str, Any]) -> Iterator[Any]:
        """Yield the answers to a hook that are not None, the latest plugin's first."""
        self._load_plugins()
        for hook in reversed(getattr(self.manager.hook, hook_name).get_hookimpls()):
            try:
                answer = hook.function(*(arguments[name] for name in hook.argnames))
            except Exception as error:
                if hook_name == "flowhold_secret" and isinstance(error, FlowholdError):
                    raise  # it is meant to be shown
                failed = f"{hook.plugin_name} failed in {hook_name}: {type(error).__name__}"
                if hook_name == "flowhold_secret":
                    # Without the error's text, which may hold what must not be shown.
                    raise PluginError(failed, hint="correct or disable that plugin") from error
                debugging = _LOGGER.isEnabledFor(logging.DEBUG)
                _LOGGER.warning("%s: %s", failed, error, exc_info=debugging)
                continue
            if answer is not None:
                yield answer

    def _load_plugins(self) -> None:
        """Import once what is not a storage; what cannot be used is logged and left out."""
        with self.lock:
            if self._ready:
                return
            claims = _installed("plugin")
            disabled = settings.current().disabled_plugins
            self._ready = True  # also for a plugin that calls a hook while it is imported
            for name in dict.fromkeys(claim.name for claim in claims):
                try:
                    if name not in disabled:
                        self._load(_pick("plugin", name, claims))
                except PluginError as error:
                    _LOGGER.warning("%s; %s", error, error.hint)

    def _load(self, claim: Claim) -> _Offers:
        with self.lock:
            try:
                plugin = claim.point.load() if claim.point else None
            except (Exception, SystemExit) as error:
                raise claim.failed(error) from error
            if self.manager.get_name(plugin):
                return self._offers(plugin, claim)
            return self._add(plugin, str(claim), claim)

    def _add(self, plugin: Any, name: str, claim: Claim) -> _Offers:
        """Register a plugin with pluggy, or leave all as it was; return what it offers."""
        if self.manager.get_name(plugin) or self.manager.has_plugin(name):
            raise PluginConflictError(f"{claim} is registered already", hint="unregister it first")
        try:
            self.manager.register(plugin, name=name)
            self.manager.check_pending()
            callers = self.manager.get_hookcallers(plugin) or []
            hooks = [i for caller in callers for i in caller.get_hookimpls() if i.plugin is plugin]
            if not hooks:
                raise TypeError("nothing in it is decorated with @flowhold.hookimpl")
            if any(hook.wrapper or hook.hookwrapper for hook in hooks):
                raise TypeError("hook wrappers are not supported")
            return self._offers(plugin, claim)
        except Exception as error:
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            raise error if isinstance(error, PluginError) else claim.failed(error) from error

    def _offers(self, plugin: Any, claim: Claim) -> _Offers:
        offers: _Offers = {}
        source = (claim.plugin, claim.distribution, claim.version)
        try:
            for hook in self.manager.hook.flowhold_storages.get_hookimpls():
                infos: Any = hook.function() if hook.plugin is plugin else ()
                for info in infos:
                    if not isinstance(info, StorageInfo):
                        raise TypeError(f"flowhold_storages returned {info!r}, not a StorageInfo")
                    names = {"storage": info.name}
                    if info.scheme and info.object_store_class:
                        names["object store"] = info.scheme
                    for kind, name in names.items():
                        offers[kind, name] = (Claim(kind, name, *source), info)
        except Exception as error:
            raise claim.failed(error) from error
        return offers


def _installed(kind: str) -> list[Claim]:
    """Return the claims of installed distributions, from metadata alone, without our own."""
    claims = []
    for point in _points():
        group, _, api = point.group.rpartition(".v")
        if group == _GROUPS[kind] and api.isdecimal() and point.value != _builtin.__name__:
            source = ("an unknown distribution", "")
            # Metadata can be missing where half of a distribution is left over.
            with suppress(KeyError, OSError):
                source = (point.dist.name, point.dist.version) if point.dist else source
            claims.append(Claim(kind, point.name, point.value, *source, int(api), point))
    ready = {(claim.name, claim.distribution) for claim in claims if claim.api == _API}
    return [c for c in claims if c.api == _API or (c.name, c.distribution) not in ready]


def _points() -> list[EntryPoint]:
    import importlib_metadata as metadata

    try:
        return list(metadata.entry_points())
    except ValueError:
        # Some versions refuse all for one that is malformed; that one alone shall be left out.
        points: dict[str, list[EntryPoint]] = {}
        for distribution in metadata.distributions():
            with suppress(ValueError):
                points.setdefault(distribution.name, list(distribution.entry_points))
        return [point for own in points.values() for point in own]


def _pick(kind: str, name: str, claims: list[Claim], names: Set[str] = frozenset()) -> Claim:
    """Return the one claim to a name that can be used."""
    claims = list(dict.fromkeys(claim for claim in claims if claim.name == name))
    usable = [claim for claim in claims if claim.api == _API]
    if len(usable) > 1:
        owners = " and ".join(f"{claim.distribution} {claim.version}" for claim in usable)
        message = f"more than one distribution has the {kind} {name!r}: {owners}"
        raise PluginConflictError(message, storage=name, hint="uninstall all but one of them")
    if usable:
        return usable[0]
    if claims:
        claim = max(claims, key=lambda claim: claim.api)
        message = f"{claim} is for version {claim.api} of the plugin interface, this is {_API}"
        old = claim.distribution if claim.api < _API else "flowhold"
        raise PluginVersionError(message, storage=name, hint=f"pip install --upgrade {old}")
    # All of it is in the message, as `from flowhold.storage import S3` shows no hint.
    message, hint = f"no {kind} {name!r} is installed", _install(kind, name)
    if hint is None:
        near = get_close_matches(name.lower(), {*names, *EXTRAS[kind]}, n=3)
        message += f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        hint = next(filter(None, (_install(kind, n) for n in near if n not in names)), None)
    message += f"; {hint}" if hint else ""
    message += f" (installed: {', '.join(sorted(names))})"
    raise PluginNotFoundError(message, storage=name, hint=hint or "see `flowhold plugins`")


def _install(kind: str, name: str) -> str | None:
    extra = EXTRAS.get(kind, {}).get(name)
    return f'pip install "flowhold[{extra}]"' if extra else None


def _check_enabled(kind: str, name: str) -> set[str]:
    disabled = settings.current().disabled_plugins
    if name in disabled:
        message = f"the {kind} {name!r} is disabled"
        hint = f"remove {name!r} from FLOWHOLD_DISABLED_PLUGINS or the setting disabled_plugins"
        raise PluginNotFoundError(message, storage=name, hint=hint)
    return set(disabled)
