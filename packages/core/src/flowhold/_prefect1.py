"""Storages as Prefect 0.5 to 1.4 wrote them down, as storages of here."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowhold.errors import FlowholdError, StorageError

ANEW = "register the flow anew, from its source, with `flowhold register FILE`"


@dataclass
class Found:
    """One flow of what Prefect wrote, in terms of this library."""

    flow: str | None
    """Its name; None where not even that is said."""
    written: str
    """Class name of the storage, as it was written."""
    release: str | None
    """Release of Prefect that wrote it."""
    storage: dict[str, Any] | None = None
    """The serialized storage of here, with this flow only."""
    notes: list[str] = field(default_factory=list)
    """What means something else now, or is not kept."""
    error: FlowholdError | None = None
    """Why there is no such storage."""


def translate(
    flow: str, location: str, storage: Mapping[str, Any], about: Mapping[str, Any]
) -> Found:
    """Return a flow of a storage; ``about`` is the flow as it was serialized, if it was."""
    found = Found(flow, storage["type"], release_of(storage))
    found.error = refused(found.written, found.release)
    if found.error:
        return found
    kind = _name(found.written)
    script = bool(storage.get("stored_as_script")) or kind in _SCRIPTS
    options = {
        name: value
        for name, value in storage.items()
        if name not in _NO_OPTIONS and value is not None
    }
    labels, own = _labels(about, kind, location, found.notes)
    found.notes += _unkept(about)
    shared = [each for each, place in storage["flows"].items() if place == location]
    if not script and kind not in ("webhook", "bytes") and len(shared) > 1:
        found.notes.append(
            f"one object is recorded for {', '.join(map(repr, shared))}: it holds the last of them"
        )
    for change in _CHANGES.get(kind, ()):
        location = change(options, location, found.notes)
    found.storage = {
        "type": kind,
        "options": options,
        "labels": labels,
        "default_labels": own,
        "add_default_labels": bool(own) or kind != "local",
        "secrets": storage.get("secrets") or [],
        "stored_as_script": script,
        "flows": {flow: {"location": location, "kind": _kind(kind, script, location)}},
    }
    if kind == "bytes":
        found.storage["objects"] = {flow: location}
        found.storage["flows"][flow]["location"] = flow
    return found


def release_of(document: Mapping[str, Any]) -> str | None:
    """Return the release of Prefect that wrote something, as far as it says so."""
    release = document.get("__version__")
    return release if isinstance(release, str) else None


def _name(written: str) -> str:
    """Return the storage's name of here: of ``S3``, ``S3Storage`` or ``prefect.storage.s3.S3``."""
    name = written.rpartition(".")[2].lower()
    return name.removesuffix("storage") or name


def _kind(name: str, script: bool, location: str) -> str:
    in_module = name == "local" and not location.endswith(".py") and os.sep not in location
    if name == "module" or (script and in_module):
        return "module"
    return "script" if script else "pickle"


def refused(written: str, release: str | None = None) -> FlowholdError | None:
    """Return why flows of such a storage cannot be had, or None."""
    name = _name(written)
    if release and release.partition(".")[0] not in ("0", "1"):
        return StorageError(f"this is of Prefect {release}, not of Prefect 1", hint=ANEW)
    if name in _KNOWN:
        return None
    reason, hint = _IMPOSSIBLE.get(name, (f"Prefect had no storage {written!r} of its own", ANEW))
    return StorageError(reason, storage=name, hint=hint)


def _labels(
    about: Mapping[str, Any], kind: str, location: str, notes: list[str]
) -> tuple[list[str], list[str]]:
    """Return the labels of the flow's user, and those of the storage."""
    part = about.get("run_config") or about.get("environment")
    found = part.get("labels") if isinstance(part, Mapping) else None
    labels = [each for each in found or () if isinstance(each, str)]
    here, own = socket.gethostname(), []
    if kind == "local" and os.path.exists(location):
        own = [here]
    elif kind == "local":
        notes.append("it has no host's label: what is stored is not on this host")
    return [each for each in labels if each not in own and not each.endswith(_OLD_LABEL)], own


def _unkept(about: Mapping[str, Any]) -> Iterator[str]:
    if about.get("schedule"):
        yield "its schedule is not kept: let cron, or what else you have, run it"
    config = about.get("run_config")
    kind = config.get("type") if isinstance(config, Mapping) else None
    if kind not in (None, "UniversalRun"):
        yield f"of its {kind} the labels are kept, and nothing else"


_Change = Callable[[dict[str, Any], str, list[str]], str]


def _relative(option: str) -> _Change:
    """Return what makes the path of a script relative, as all paths in repositories are."""

    def change(options: dict[str, Any], location: str, notes: list[str]) -> str:
        # Until 0.14.4 a storage could do without a path.
        path = str(options.get(option) or location)
        options[option] = path.lstrip("/")
        if path.startswith("/"):
            notes.append(f"{option} is {options[option]}: it is relative to the repository's root")
        return str(options[option])

    return change


def _master(options: dict[str, Any], location: str, notes: list[str]) -> str:
    if not options.get("ref"):
        options["ref"] = "master"
        notes.append("ref is master, which Prefect took; without ref it is the default branch now")
    return location


def _commit(options: dict[str, Any], location: str, notes: list[str]) -> str:
    if options.get("commit"):
        notes.append(
            "commit is what is loaded now; Prefect loaded the default branch, whatever it said"
        )
    return location


def _credentials(options: dict[str, Any], location: str, notes: list[str]) -> str:
    if any(name.startswith("aws_") for name in options.get("client_options") or ()):
        notes.append(
            "the credentials in client_options are not kept, and others have seen them: make new "
            "ones, and give them by the environment or a secret"
        )
    return location


_OLD_LABEL = "-flow-storage"
_NO_OPTIONS = ("type", "__version__", "flows", "secrets", "stored_as_script")
_SCRIPTS = ("module", "git", "github", "gitlab", "bitbucket", "codecommit")
_CHANGES: dict[str, tuple[_Change, ...]] = {
    "s3": (_credentials,),
    "git": (_relative("flow_path"), _commit),
    "github": (_relative("path"),),
    "gitlab": (_relative("path"), _master),
    "bitbucket": (_relative("path"), _master),
    "codecommit": (_relative("path"), _credentials),
}
_KNOWN = ("local", "bytes", "s3", "gcs", "azure", "webhook", *_SCRIPTS)
_IMPOSSIBLE = {
    "memory": ("Memory kept its flows in the process that made them", ANEW),
    "docker": (
        "an image that Prefect built has no Flowhold in it, which would run its flows",
        "build it anew: `flowhold register FILE --storage docker -o registry_url=URL`",
    ),
}
