"""The plugins that have been loaded, and how others come to be."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from importlib import import_module
from pkgutil import resolve_name
from typing import Any

import pluggy

from flowhold import _builtin, hookspecs, settings
from flowhold._claims import Claim, OwnSource, check_enabled, installed, pick
from flowhold.errors import (
    FlowholdError,
    PluginConflictError,
    PluginError,
    PluginLoadError,
    PluginNotFoundError,
)
from flowhold.plugins import StorageInfo

_LOGGER = logging.getLogger("flowhold.plugins")
_Offers = dict[tuple[str, str], tuple[Claim, StorageInfo]]


class Registry:
    """The plugins of this process; everything is looked up by name and imported when asked for."""

    def __init__(self) -> None:
        # Held while a plugin is imported, so that other threads find it whole or not at all.
        self.lock = threading.RLock()
        self.manager = pluggy.PluginManager("flowhold")
        self.manager.add_hookspecs(hookspecs)
        self._found: _Offers = {}
        self._labelled: dict[str, Claim] = {}
        """Claims by the name under which pluggy has their plugins."""
        self._ready = False
        own = Claim("plugin", "flowhold", "flowhold", OwnSource())
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

    def find(
        self, kind: str, name: str, known: list[Claim] | None = None
    ) -> tuple[Claim, StorageInfo]:
        """Return who has that name, importing only that plugin.

        Args:
            kind: Of what it is the name.
            name: The name.
            known: All claims, where they were read before.
        """
        disabled = check_enabled(kind, name)
        with self.lock:
            if found := self._direct.get((kind, name)) or self._found.get((kind, name)):
                return found
            if known is None:
                claims = installed(kind, name)
            else:
                claims = [c for c in known if c.point and (c.kind, c.name) == (kind, name)]
            # What else is there is told in an error, and read for nothing else.
            every = [] if claims else self.claims()
            names = {claim.name for claim in every if claim.kind == kind} - disabled
            claim = pick(kind, name, claims, names)
            offers = self._load(claim)
            if (kind, name) not in offers:
                others = ", ".join(repr(own) for what, own in offers if what == kind) or "none"
                message = f"{claim} cannot be loaded: its plugin names the {kind} {others}"
                hint = "the name in flowhold_storages and that of the entry point must agree"
                raise PluginLoadError(message, storage=name, hint=hint)
            found = self._found[kind, name] = (claim, offers[kind, name][1])
            return found

    def load_class(self, kind: str, name: str, known: list[Claim] | None = None) -> Any:
        """Return the class of a storage or object store; arguments as of :meth:`find`."""
        claim, info = self.find(kind, name, known)
        target = str(info.storage_class if kind == "storage" else info.object_store_class)
        module, _, attribute = target.partition(":")
        try:
            # resolve_name takes five times as long for what is nearly always given.
            if attribute.isidentifier():
                found = getattr(import_module(module), attribute)
            else:
                found = resolve_name(target)
            if not isinstance(found, type):
                raise TypeError(f"{target} is not a class")
        except (Exception, SystemExit) as error:
            raise claim.failed(error) from error
        return found

    def claims(self) -> list[Claim]:
        """Return all claims; those without entry points come first."""
        direct = [claim for claim, _ in self._direct.values()]
        return [*direct, *installed()]

    def check(self, claim: Claim, claims: list[Claim], *, load: bool) -> None:
        """Raise what using a claim would raise; import nothing unless `load`."""
        check_enabled(claim.kind, claim.name)
        if claim.point:
            peers = [c for c in claims if (c.kind, c.name) == (claim.kind, claim.name)]
            if not peers[0].point:
                message = f"{claim} is not used: {peers[0]} comes first"
                raise PluginConflictError(message, hint=f"uninstall {claim.distribution}")
            pick(claim.kind, claim.name, [peer for peer in peers if peer.api == claim.api])
        if load and claim.kind != "plugin":
            self.load_class(claim.kind, claim.name, claims)
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
                plugin = self._labelled.get(hook.plugin_name, hook.plugin_name)
                failed = f"{plugin} failed in {hook_name}: {type(error).__name__}"
                if hook_name == "flowhold_secret":
                    # Without the error's text, which may hold what must not be shown.
                    raise PluginError(failed, hint="correct or disable that plugin") from error
                debugging = _LOGGER.isEnabledFor(logging.DEBUG)
                _LOGGER.warning("%s: %s", failed, error, exc_info=debugging)
                continue
            if answer is not None:
                yield answer

    def is_heard(self, hook_name: str) -> bool:
        """Whether any plugin implements a hook."""
        self._load_plugins()
        return bool(getattr(self.manager.hook, hook_name).get_hookimpls())

    def _load_plugins(self) -> None:
        """Import once what is not a storage; what cannot be used is logged and left out."""
        with self.lock:
            if self._ready:
                return
            claims = installed("plugin")
            disabled = settings.current().disabled_plugins
            self._ready = True  # also for a plugin that calls a hook while it is imported
            for name in dict.fromkeys(claim.name for claim in claims):
                try:
                    if name not in disabled:
                        self._load(pick("plugin", name, claims))
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
            label = f"{claim.kind} {claim.name} = {claim.plugin}"
            self._labelled[label] = claim
            return self._add(plugin, label, claim)

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
                        own = Claim(kind, name, claim.plugin, claim.source)
                        offers[kind, name] = (own, info)
        except Exception as error:
            raise claim.failed(error) from error
        return offers
