"""What plugins lay claim to: names, read from the metadata of what is installed."""

from __future__ import annotations

from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from flowhold import __version__, _builtin, settings
from flowhold.errors import (
    PluginConflictError,
    PluginLoadError,
    PluginNotFoundError,
    PluginVersionError,
)
from flowhold.plugins import KNOWN

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

API = 1
"""The version of the plugin interface."""
GROUPS = {
    "storage": "flowhold.storage",
    "object store": "flowhold.object_store",
    "plugin": "flowhold.plugins",
}
EXTRAS = {"storage": KNOWN, "object store": {"s3": "s3", "gs": "gcs", "az": "azure"}}


class Source:
    """Where a plugin comes from; metadata is read when first asked for, as that takes its time.

    Args:
        point: The entry point; None for what this process registered itself.
    """

    def __init__(self, point: EntryPoint | None = None) -> None:
        self._point = point

    @cached_property
    def distribution(self) -> tuple[str | None, str | None]:
        """Name and version."""
        if self._point is None:
            return None, None
        # Metadata can be missing where half of a distribution is left over.
        with suppress(KeyError, OSError):
            if dist := self._point.dist:
                return dist.name, dist.version
        return "an unknown distribution", ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self.distribution == other.distribution

    def __hash__(self) -> int:
        return hash(self.distribution)


class OwnSource(Source):
    """Flowhold itself."""

    distribution = ("flowhold", __version__)


@dataclass(frozen=True)
class Claim:
    """A name that a plugin has for something, known without importing it."""

    kind: str
    """One of "storage", "object store" (named by its scheme) and "plugin"."""
    name: str
    plugin: str
    """Value of the entry point, or the name under which it is registered without one."""
    source: Source = field(default_factory=Source)
    api: int = API
    point: EntryPoint | None = field(default=None, compare=False)

    @property
    def distribution(self) -> str | None:
        """Name of its distribution."""
        return self.source.distribution[0]

    @property
    def version(self) -> str | None:
        """Version of its distribution."""
        return self.source.distribution[1]

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


def installed(kind: str | None = None, name: str | None = None) -> list[Claim]:
    """Return the claims of installed distributions, from metadata alone, without our own.

    Args:
        kind: Of what; None of everything, in the order of `GROUPS`.
        name: Only claims to this name.
    """
    found: dict[str, list[Claim]] = {group: [] for group in GROUPS.values()}
    kinds = {group: each for each, group in GROUPS.items() if kind in (None, each)}
    for point in _points():
        group, _, api = point.group.rpartition(".v")
        wanted = group in kinds and name in (None, point.name)
        if wanted and api.isdecimal() and point.value != _builtin.__name__:
            source = Source(point)
            claim = Claim(kinds[group], point.name, point.value, source, int(api), point)
            found[group].append(claim)
    claims = [claim for of_group in found.values() for claim in of_group]
    if all(claim.api == API for claim in claims):
        return claims
    ready = {(c.kind, c.name, c.distribution) for c in claims if c.api == API}
    return [c for c in claims if c.api == API or (c.kind, c.name, c.distribution) not in ready]


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


def pick(kind: str, name: str, claims: list[Claim], names: Set[str] = frozenset()) -> Claim:
    """Return the one claim to a name that can be used."""
    claims = [claim for claim in claims if claim.name == name]
    if len(claims) > 1:
        claims = list(dict.fromkeys(claims))
    usable = [claim for claim in claims if claim.api == API]
    if len(usable) > 1:
        owners = " and ".join(f"{claim.distribution} {claim.version}" for claim in usable)
        message = f"more than one distribution has the {kind} {name!r}: {owners}"
        raise PluginConflictError(message, storage=name, hint="uninstall all but one of them")
    if usable:
        return usable[0]
    if claims:
        claim = max(claims, key=lambda claim: claim.api)
        message = f"{claim} is for version {claim.api} of the plugin interface, this is {API}"
        old = claim.distribution if claim.api < API else "flowhold"
        raise PluginVersionError(message, storage=name, hint=f"pip install --upgrade {old}")
    # All of it is in the message, as `from flowhold.storage import S3` shows no hint.
    message, hint = f"no {kind} {name!r} is installed", _install(kind, name)
    if hint is None:
        from difflib import get_close_matches

        near = get_close_matches(name.lower(), {*names, *EXTRAS[kind]}, n=3)
        message += f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        hint = next(filter(None, (_install(kind, n) for n in near if n not in names)), None)
    message += f"; {hint}" if hint else ""
    message += f" (installed: {', '.join(sorted(names))})"
    raise PluginNotFoundError(message, storage=name, hint=hint or "see `flowhold plugins`")


def _install(kind: str, name: str) -> str | None:
    extra = EXTRAS.get(kind, {}).get(name)
    return f'pip install "flowhold[{extra}]"' if extra else None


def check_enabled(kind: str, name: str) -> set[str]:
    disabled = settings.current().disabled_plugins
    if name in disabled:
        message = f"the {kind} {name!r} is disabled"
        hint = f"remove {name!r} from FLOWHOLD_DISABLED_PLUGINS or the setting disabled_plugins"
        raise PluginNotFoundError(message, storage=name, hint=hint)
    return set(disabled)
