"""From the options of a storage to what goes into its image."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import flowhold
from flowhold.errors import ConfigurationError
from flowhold.reference import Reference
from flowhold.storage.local import Local
from flowhold.storage.records import Record
from flowhold_storage_docker.dockerfile import Recipe
from flowhold_storage_docker.files import copies_of, digest_of, read_ignore
from flowhold_storage_docker.naming import file_of
from flowhold_storage_docker.origin import source_of
from flowhold_storage_docker.wheels import wheel_of

if TYPE_CHECKING:
    from flowhold_storage_docker.storage import Docker

__all__ = ["fingerprint_of", "patterns_of", "recipe_of", "reference_file"]

_RELEASE = re.compile(r"\d+(\.\d+)*((a|b|rc|\.post|\.dev)\d+)*")
_PLUGIN = re.compile(rb"\bflowhold_storage_[a-z0-9]+")
# Not the time of registration: the same flow gives the same image.
_CREATED = "1970-01-01T00:00:00+00:00"


def recipe_of(
    storage: Docker, records: Mapping[str, Record], contents: Mapping[str, tuple[str, bytes]]
) -> Recipe:
    """Return what goes into the image.

    Args:
        storage: Where the options are.
        records: What is known of the flows, by name.
        contents: Kind and bytes of those that are copied into the image, by name.

    Raises:
        ConfigurationError: An option cannot be; see :class:`Recipe`.
    """
    flows, placed = {}, {}
    for name, record in records.items():
        kind, data = contents.get(name, ("script", b""))
        flows[f"{file_of(name)}.json"] = _reference(storage, name, record, kind).encode()
        if name not in contents:
            continue
        folder, file = posixpath.split(record.location)
        if folder == storage.flows_directory:
            flows[file] = data
        else:
            placed[record.location] = data
    base, own = _base(storage)
    return Recipe(
        base,
        storage.flowhold_directory,
        own_dockerfile=own,
        env_vars=storage.env_vars or {},
        dependencies=storage.python_dependencies or (),
        flowhold=_requirement(storage.flowhold_version),
        wheels=_wheels(storage, (data for _, data in contents.values())),
        copies=copies_of(storage.files),
        flows=flows,
        placed=placed,
        labels=_labels(storage, records),
        commands=storage.extra_dockerfile_commands or (),
        check=not storage.ignore_healthchecks,
    )


def patterns_of(storage: Docker) -> list[str]:
    """Return the patterns of what is left out of the user's folders."""
    path = storage.dockerignore
    if path is None and storage.dockerfile is not None and os.path.isfile(".dockerignore"):
        path = ".dockerignore"
    return read_ignore(path)


def fingerprint_of(storage: Docker) -> str:
    """Return a hash of all that goes into the image besides the flows."""
    patterns = patterns_of(storage)
    parts: list[object] = [
        _base(storage),
        storage.env_vars,
        storage.python_dependencies,
        storage.extra_dockerfile_commands,
        storage.flowhold_version or flowhold.__version__,
        patterns,
        [
            (digest_of(copy.source, patterns), copy.folder, copy.name)
            for copy in copies_of(storage.files)
        ],
        storage.dockerfile and digest_of(Path.cwd(), patterns),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def reference_file(storage: Docker, name: str) -> str:
    """Return the path in the image of the reference that leads to a flow there."""
    return posixpath.join(storage.flows_directory, f"{file_of(name)}.json")


def _reference(storage: Docker, name: str, record: Record, kind: str) -> str:
    """Return the reference by which a process in the image loads a flow: of a file there."""
    inner = Local(
        storage.flows_directory,
        validate=False,
        path=None if record.sha256 else record.location,
        stored_as_script=storage.stored_as_script,
        secrets=storage.secrets,
        add_default_labels=False,
        result=storage._result,
    )
    if not record.sha256 and ".py" not in record.location:
        kind = "module"
    fields = {**vars(record), "kind": kind, "revision": None, "fingerprint": None}
    made = Record(**fields).to_reference(name, inner._describe())
    return Reference.from_dict({**made.to_dict(), "created": _CREATED}).to_json()


def _base(storage: Docker) -> tuple[str, bool]:
    """Return the image to build on, or the text of the user's Dockerfile and True."""
    if storage.dockerfile is None:
        return storage.base, False
    try:
        return Path(storage.dockerfile).read_text(encoding="utf-8-sig"), True
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the Dockerfile {storage.dockerfile} cannot be read: {error}", hint="check the path"
        ) from error


def _requirement(version: str | None) -> str | None:
    """Return what pip is asked for as Flowhold; None for what runs here."""
    if version is None or version.startswith("flowhold"):
        return version
    if _RELEASE.fullmatch(version):
        return f"flowhold=={version}"
    import importlib_metadata as metadata

    links = metadata.metadata("flowhold").get_all("Project-URL") or []
    urls = dict(str(link).split(", ", 1) for link in links)
    url = urls.get("Source") or urls.get("Repository")
    if url is None:
        raise ConfigurationError(
            f"flowhold_version {version!r:.60} is no release, and this Flowhold does not know "
            f"which repository has it",
            hint="write it as pip does: 'flowhold @ git+https://HOST/REPOSITORY@"
            "REVISION#subdirectory=packages/core'; None takes what runs here",
        )
    return f"flowhold @ git+{url}@{version}#subdirectory=packages/core"


def _wheels(storage: Docker, flows: Iterable[bytes]) -> dict[str, bytes]:
    """Return the wheels to install: Flowhold, this plugin, and those that the flows name."""
    packages = {"flowhold_storage_docker"}
    if storage.flowhold_version is None:
        packages.add("flowhold")
    named = {name.decode() for data in flows for name in _PLUGIN.findall(data)}
    if storage._result not in (None, True, False):
        named.add(type(storage._result).__module__.partition(".")[0])
    # What is not installed here is a name only.
    packages |= {name for name in named if name.startswith("flowhold_") and find_spec(name)}
    return dict(wheel_of(package.replace("_", "-")) for package in sorted(packages))


def _labels(storage: Docker, names: Iterable[str]) -> dict[str, str]:
    labels = {
        "org.opencontainers.image.title": ", ".join(names),
        "flowhold.flows": json.dumps([*names]),
        "flowhold.version": flowhold.__version__,
    }
    source = source_of(storage._script())
    return labels | ({"org.opencontainers.image.source": source} if source else {})
