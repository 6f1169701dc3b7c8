"""From a reference, or what names one, to a flow that can run."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowhold import plugins
from flowhold.errors import ConfigurationError, FlowholdError
from flowhold.reference import Reference
from flowhold.trust import check_trust

if TYPE_CHECKING:
    from flowhold.catalog import Catalog
    from flowhold.running import EnvRunner
    from flowhold.storage.base import Storage

__all__ = [
    "env_runner_of",
    "find_reference",
    "is_path",
    "load",
    "load_from",
    "load_reference",
    "load_script",
    "open_reference",
]


def load(
    source: Reference | Mapping[str, Any] | str | os.PathLike[str],
    *,
    catalog: Catalog | str | None = None,
    allow_unverified: bool = False,
) -> Any:
    """Load a flow.

    Args:
        source: A reference, its fields, the path of a reference's ``.json`` file, the path of a
            script (``etl.py`` or ``etl.py:flow``), or ``NAME`` or ``NAME@VERSION`` in the catalog.
            What has a path separator or ends in ``.py`` or ``.json`` is a path; nothing else is,
            whatever files there are.
        catalog: Where names are looked up; default: as :class:`~flowhold.Catalog`.
        allow_unverified: Also run bytes of which no digest is recorded.

    Returns:
        The flow: an object with ``name`` and ``run``.

    Raises:
        FlowNotFoundError: There is no such flow.
        IntegrityError: Its bytes are not those that were recorded.
        UnverifiedError: Nothing is recorded to check its bytes by.
        SignatureError: The settings ask for a signature of a trusted key, and none holds.
    """
    found = find_reference(source, catalog=catalog)
    if isinstance(found, Reference):
        return load_reference(found, allow_unverified=allow_unverified)
    return load_script(found)


def load_script(target: str) -> Any:
    """Load the one flow of a script in place (``etl.py``), or the one named (``etl.py:flow``)."""
    from flowhold.flows import Flow
    from flowhold.selection import split_target
    from flowhold.trees import open_folder
    from flowhold.trust import refuse_floating
    from flowhold.unpacking import flow_from_script

    refuse_floating(target)
    path, wanted = split_target(target)
    tree = open_folder(Path(path))
    flow = flow_from_script(tree, target=wanted)
    if isinstance(flow, Flow):
        # Workers in other processes load it as it was loaded here.
        flow._script = f"{tree.path}:{wanted}" if wanted else str(tree.path)
    return flow


def load_reference(reference: Reference, *, allow_unverified: bool = False) -> Any:
    """Load the flow of a reference; see :func:`load`."""
    return load_from(*open_reference(reference), allow_unverified=allow_unverified)


def open_reference(reference: Reference) -> tuple[Reference, Storage]:
    """Return the reference to go on with, and its storage, if the settings let it load.

    Raises:
        FlowholdError: As of :func:`load`.
    """
    trusted = check_trust(reference)
    return trusted, trusted.open_storage()


def load_from(reference: Reference, storage: Storage, *, allow_unverified: bool = False) -> Any:
    """Load the flow of what :func:`open_reference` returned; see :func:`load`."""
    flow = storage.get_flow(reference.flow, allow_unverified=allow_unverified)
    # A module gives the same object every time; what is noted here is of this load only.
    flow = copy.copy(flow)
    # A flow of another making may take no attributes.
    with suppress(AttributeError):
        flow._source = storage.as_loaded(reference)
        flow._allow_unverified = allow_unverified
    plugins.call_all("flowhold_loaded", reference=reference, flow=flow)
    return flow


def env_runner_of(reference: Reference) -> EnvRunner | None:
    """Return what runs the flow of a reference where it is stored; None where it is to be loaded.

    Raises:
        FlowholdError: As of :func:`load`.
    """
    trusted, storage = open_reference(reference)
    return storage.get_env_runner(trusted.flow)


def find_reference(
    source: Reference | Mapping[str, Any] | str | os.PathLike[str],
    *,
    catalog: Catalog | str | None = None,
) -> Reference | str:
    """Return the reference that ``source`` is or names; a script's path is returned as it is."""
    if isinstance(source, Reference):
        return source
    if isinstance(source, Mapping):
        return Reference.from_dict(source)
    if not isinstance(source, (str, os.PathLike)):
        raise ConfigurationError(f"a {type(source).__name__} names no flow")
    text = os.fspath(source)
    if not is_path(text):
        from flowhold.catalog import Catalog, split_name

        where = catalog if isinstance(catalog, Catalog) else Catalog(catalog)
        return where.get(*split_name(text))
    if not text.endswith(".json"):
        return text
    try:
        return Reference.from_json(Path(text).read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"{text} cannot be read: {error.strerror}", hint="check the path"
        ) from error
    except FlowholdError as error:
        error.location = text
        raise


def is_path(text: str) -> bool:
    """Whether ``text`` means a file, and not a flow's name."""
    marks = (os.sep, os.altsep or os.sep, ".py:")
    return text.endswith((".py", ".json")) or any(mark in text for mark in marks)
