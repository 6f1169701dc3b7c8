"""What differs between two references: options, environment and the code, none of which is run."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flowhold.contents import pickle_in
from flowhold.fetching import extract
from flowhold.opcodes import Names, names_in
from flowhold.reference import Reference
from flowhold.storage.documents import COMPARED

__all__ = ["compare"]

_MAX_TEXT = 1 << 20
_NO_NEWLINE = "\n\\ No newline at end of file\n"


def compare(before: Reference, after: Reference) -> dict[str, Any]:
    """Return what differs between two versions of a flow, or two flows, as JSON types.

    Returns:
        ``options`` and ``environment``: ``{"before", "after"}`` by name, of what differs.
        ``files``: ``{"path", "change", "diff"}`` of each that was ``added``, ``removed`` or
        ``changed``. ``pickle``: None where neither is one or they are the same bytes; else what can
        be told of them without running them: ``same`` (their fingerprints are equal), ``size``,
        and what was ``added`` and ``removed`` of the ``globals`` and ``constants`` in them;
        ``complete`` is false where a pickle is too large to be read to its end.

    Raises:
        FlowholdError: The code of one cannot be had, or is not what was recorded.
    """
    files: list[dict[str, Any]] = []
    pickled = None
    if before.sha256 is None or before.sha256 != after.sha256:
        with TemporaryDirectory(prefix="flowhold-") as folder:
            one, other = (Path(folder, name) for name in ("before", "after"))
            pickles = []
            for reference, target in ((before, one), (after, other)):
                target.mkdir()
                extract(reference, target)
                pickles.append(pickle_in(target) if reference.kind == "pickle" else None)
            files = _files(one, other, skip=pickles)
            pickled = _pickles(before, after, *pickles) if any(pickles) else None
    return {
        "options": _differences(_options(before), _options(after)),
        "environment": _differences(_packages(before), _packages(after)),
        "files": files,
        "pickle": pickled,
    }


def _options(reference: Reference) -> dict[str, Any]:
    storage = reference.storage
    own = {name: storage.get(name) for name in COMPARED if name not in ("type", "options")}
    given = storage.get("options")
    options = dict(given) if isinstance(given, Mapping) else {}
    told = {"storage": storage.get("type"), "kind": reference.kind, "revision": reference.revision}
    return {**told, **own, **options}


def _packages(reference: Reference) -> dict[str, Any]:
    packages = reference.environment.get("packages")
    listed = dict(packages) if isinstance(packages, Mapping) else {}
    return {"python": reference.environment.get("python"), **listed}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {"before": before.get(name), "after": after.get(name)}
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    }


def _files(before: Path, after: Path, skip: list[Path | None]) -> list[dict[str, Any]]:
    found = [
        {
            path.relative_to(root).as_posix(): path
            for path in root.rglob("*")
            if path.is_file() and path not in skip
        }
        for root in (before, after)
    ]
    if len(found[0]) == len(found[1]) == 1:
        # A script that is stored alone is the same script under another name.
        found[0] = dict(zip(found[1], found[0].values(), strict=True))
    changes = []
    for name in sorted({*found[0], *found[1]}):
        old, new = (side[name].read_bytes() if name in side else None for side in found)
        if old != new:
            change = "added" if old is None else "removed" if new is None else "changed"
            changes.append({"path": name, "change": change, "diff": _diff(name, old, new)})
    return changes


def _diff(name: str, old: bytes | None, new: bytes | None) -> str:
    """Return a unified diff, or for what is no text or too much of it a line on each side."""
    before, after = _lines(old), _lines(new)
    if before is None or after is None:
        return "\n".join(
            f"{mark} binary or large: {len(data):,} bytes, "
            f"sha256 {hashlib.sha256(data).hexdigest()}"
            for mark, data in (("-", old), ("+", new))
            if data is not None
        )
    names = "/dev/null" if old is None else f"a/{name}", "/dev/null" if new is None else f"b/{name}"
    lines = difflib.unified_diff(before, after, *names)
    return "".join(line if line.endswith("\n") else line + _NO_NEWLINE for line in lines)


def _lines(data: bytes | None) -> list[str] | None:
    """Return the lines of a text, each with its end; None where it is no text, or too long."""
    if data is None:
        return []
    if len(data) > _MAX_TEXT or b"\0" in data:
        return None
    try:
        return re.findall(r"[^\n]*\n|[^\n]+", data.decode())
    except UnicodeDecodeError:
        return None


def _pickles(
    before: Reference, after: Reference, old: Path | None, new: Path | None
) -> dict[str, Any]:
    names = [names_in(path.read_bytes()) if path else Names() for path in (old, new)]
    return {
        "same": before.fingerprint is not None and before.fingerprint == after.fingerprint,
        "size": {"before": before.size, "after": after.size},
        "globals": _changed(names[0].globals, names[1].globals),
        "constants": _changed(names[0].constants, names[1].constants),
        "complete": all(each.complete for each in names),
    }


def _changed(before: set[str], after: set[str]) -> dict[str, list[str]]:
    return {"added": sorted(after - before), "removed": sorted(before - after)}
