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
from flowhold.plugins import object_store_class
from flowhold.reference import Reference
from flowhold.results import Result
from flowhold.storage.local import Local
from flowhold.storage.records import Record
from flowhold_storage_docker.dockerfile import Recipe
from flowhold_storage_docker.files import copies_of, digest_of
from flowhold_storage_docker.ignore import read_ignore
from flowhold_storage_docker.naming import file_of
from flowhold_storage_docker.options import check_file, check_requirements
from flowhold_storage_docker.origin import source_of
from flowhold_storage_docker.wheels import wheel_of

if TYPE_CHECKING:
    from flowhold_storage_docker.images import ImageStorage

__all__ = ["fingerprint_of", "patterns_of", "recipe_of", "reference_file"]

_RELEASE = re.compile(r"[0-9]+(\.[0-9]+)*((a|b|rc|\.post|\.dev)[0-9]+)*(\+[a-z0-9.]+)?")
_REQUIREMENT = re.compile(r"flowhold\s*($|[\[(@=<>!~;].*)")
_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./+-]*")
_PLUGIN = re.compile(rb"flowhold_storage_[a-z0-9_]+")
# Of labels, which people read, and which a Dockerfile holds only so much of.
_LONGEST_TITLE = 200
_LONGEST_LABEL = 10_000
# Not the time of registration: the same flow gives the same image.
_CREATED = "1970-01-01T00:00:00+00:00"


def recipe_of(
    storage: ImageStorage, records: Mapping[str, Record], contents: Mapping[str, tuple[str, bytes]]
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
        folder, file = posixpath.split(check_file(record.location))
        if folder != storage.flows_directory:
            placed[record.location] = data
        elif file.endswith(".json"):
            raise ConfigurationError(f"path {record.location} is where the image keeps its own")
        else:
            flows[file] = data
    base, own = _base(storage)
    return Recipe(
        base,
        storage.flowhold_directory,
        storage.flows_directory,
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


def patterns_of(storage: ImageStorage) -> list[str]:
    """Return the patterns of what is left out of the user's folders."""
    path = storage.dockerignore
    if path is None and storage.dockerfile is not None and os.path.isfile(".dockerignore"):
        path = ".dockerignore"
    return read_ignore(path)


def fingerprint_of(storage: ImageStorage) -> str:
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
            (digest_of(copy.source, patterns, f"{copy.source.name}/"), copy.folder, copy.name)
            for copy in copies_of(storage.files)
        ],
        storage.dockerfile and digest_of(Path.cwd(), patterns),
        storage.build_kwargs and json.dumps(storage.build_kwargs, sort_keys=True, default=str),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def reference_file(storage: ImageStorage, name: str) -> str:
    """Return the path in the image of the reference that leads to a flow there."""
    return posixpath.join(storage.flows_directory, f"{file_of(name)}.json")


def _reference(storage: ImageStorage, name: str, record: Record, kind: str) -> str:
    """Return the reference by which a process in the image loads a flow: of a file there."""
    inner = Local(
        storage.flows_directory,
        validate=False,
        path=None if record.sha256 else record.location,
        stored_as_script=storage.stored_as_script,
        secrets=storage.secrets,
        add_default_labels=False,
        # What a container has by itself goes with it, and is not every user's to write.
        result=storage.result or False,
    )
    if not record.sha256 and ".py" not in record.location:
        kind = "module"
    fields = {**vars(record), "kind": kind, "revision": None, "fingerprint": None}
    made = Record(**fields).to_reference(name, inner._describe())
    return Reference.from_dict({**made.to_dict(), "created": _CREATED}).to_json()


def _base(storage: ImageStorage) -> tuple[str, bool]:
    """Return the image to build on, or the text of the user's Dockerfile and True."""
    if storage.dockerfile is None:
        return storage.base, False
    try:
        return Path(storage.dockerfile).read_bytes().decode("utf-8-sig"), True
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the Dockerfile {storage.dockerfile} cannot be read: {error}", hint="check the path"
        ) from error


def _requirement(version: str | None) -> str | None:
    """Return what pip is asked for as Flowhold; None for what runs here."""
    if version is None:
        return None
    if not isinstance(version, str):
        raise ConfigurationError("flowhold_version must be text")
    if _REQUIREMENT.fullmatch(version):
        return "".join(check_requirements([version]) or ())
    if _RELEASE.fullmatch(version):
        return f"flowhold=={version}"
    if not _REVISION.fullmatch(version):
        raise ConfigurationError(
            f"flowhold_version {version!r:.60} is neither a release nor a revision",
            hint="give as '1.2.0', 'main', or what pip takes: 'flowhold>=1.2'",
        )
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


def _wheels(storage: ImageStorage, flows: Iterable[bytes]) -> dict[str, bytes]:
    """Return the wheels to install: Flowhold, this plugin, and those that the flows name."""
    packages = {"flowhold_storage_docker"}
    if storage.flowhold_version is None:
        packages.add("flowhold")
    named = {name.decode() for data in flows for name in _PLUGIN.findall(data)}
    if isinstance(storage._result, Result):
        named |= _packages_of(storage._result)
    # What is not installed here is a name only.
    packages |= {name for name in named if name.startswith("flowhold_") and find_spec(name)}
    return dict(wheel_of(package.replace("_", "-")) for package in sorted(packages))


def _packages_of(result: Result) -> set[str]:
    """Return the names of the packages of a result and of the store that its URL names."""
    kinds: list[type] = [type(result)]
    scheme, separator, _ = (result.url or "").partition("://")
    if separator:
        kinds.append(object_store_class(scheme.lower()))
    return {kind.__module__.partition(".")[0] for kind in kinds}


def _labels(storage: ImageStorage, names: Iterable[str]) -> dict[str, str]:
    listed = [*names]
    labels = {
        "org.opencontainers.image.title": ", ".join(listed)[:_LONGEST_TITLE],
        "flowhold.version": flowhold.__version__,
    }
    flows = json.dumps(listed)
    if len(flows) <= _LONGEST_LABEL:
        labels["flowhold.flows"] = flows
    if source := source_of(storage._script()):
        labels["org.opencontainers.image.source"] = source
    return labels
