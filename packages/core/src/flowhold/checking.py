"""Whether a flow could be loaded here and now, checked step by step."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowhold import environment, keyring
from flowhold._secrets import locate, resolve
from flowhold.calls import describe
from flowhold.errors import FlowholdError, FlowNotFoundError, IntegrityError
from flowhold.loading import load_reference
from flowhold.reference import Reference
from flowhold.signing import examine, signed_by
from flowhold.trust import check_trust

__all__ = ["Check", "check_reference"]

_BYTES = ("signature", "storage", "credentials", "existence", "digest")
_CODE = ("imports", "flow")


@dataclass(frozen=True)
class Check:
    """What one check found."""

    name: str
    status: str
    """``ok``, ``warn``, ``fail`` or ``skip``."""
    detail: str
    hint: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what programs see; ``ok`` is None where nothing was checked."""
        return {
            "name": self.name,
            "ok": None if self.status == "skip" else self.status != "fail",
            "status": self.status,
            "detail": self.detail,
            "hint": self.hint,
        }


def check_reference(reference: Reference, *, load: bool = True) -> list[Check]:
    """Check a flow in the order in which loading it needs things; what is wrong raises nothing.

    Args:
        reference: The flow.
        load: Load it at last, if nothing was wrong so far; that runs its code.

    Returns:
        Checks named ``signature``, ``storage``, ``credentials``, ``existence``, ``digest``,
        ``imports``, ``flow`` and ``environment``. A step that needs one that failed is skipped.
    """
    checks = {name: Check(name, "skip", "not checked") for name in _BYTES}
    checks |= {name: Check(name, "skip", "not loaded") for name in _CODE}
    checks |= {check.name: check for check in _of_bytes(reference)}
    if load and all(check.status != "fail" for check in checks.values()):
        checks |= {check.name: check for check in _of_code(reference)}
    return [*checks.values(), _of_environment(reference)]


def _of_bytes(reference: Reference) -> Iterator[Check]:
    """Yield the checks before loading, up to the first that fails."""
    storage: Any = None

    def trust() -> str:
        nonlocal reference
        reference = check_trust(reference)
        return "; ".join(filter(None, (_signature(reference), _original(reference))))

    def plugin() -> str:
        nonlocal storage
        storage = reference.open_storage()
        return f"{reference.storage.get('type')} is {type(storage).__qualname__}"

    def credentials() -> str:
        resolve(storage.secrets)
        return "; ".join(f"{name}: {locate(name)}" for name in storage.secrets) or "none are named"

    for name, step in zip(_BYTES, (trust, plugin, credentials), strict=False):
        try:
            yield Check(name, "ok", step())
        except Exception as error:  # noqa: BLE001 (that is what is looked for)
            yield _failed(name, error)
            return
    yield from _of_object(reference, storage)


def _signature(reference: Reference) -> str:
    """Return what is known of the signatures of a reference that may load."""
    if reference.signed is None:
        return "not signed, and none is asked for"
    if not keyring.is_strict():
        return f"signed by {signed_by(reference)}, not checked: no key is trusted here"
    good = [each for each in examine(reference) if each.problem is None]
    return f"signed by {', '.join(map(str, good))}, trusted"


def _original(reference: Reference) -> str:
    """Return what is known of the signature of what a reference is a copy of, if it had one."""
    origin = reference.extra.get("copied_from")
    document = origin.get("signed") if isinstance(origin, Mapping) else None
    if document is None:
        return ""
    try:
        original = Reference.from_dict(document)
        if (original.flow, original.sha256) != (reference.flow, reference.sha256):
            return "what it says it is a copy of was signed for other bytes"
        good = [str(each) for each in examine(original) if each.problem is None]
    except FlowholdError as error:
        return f"what it says it is a copy of cannot be checked: {error}"
    checked = f"{', '.join(good)}, trusted" if good else f"{signed_by(original)}, not checked"
    return f"a copy of {original.flow}@{original.version}, signed by {checked}"


def _of_object(reference: Reference, storage: Any) -> Iterator[Check]:
    """Yield whether the object is there, and whether it is the one that was recorded."""
    try:
        _, record = storage._find(reference.flow, allow_unverified=False)
        yield Check("existence", "ok", storage._check(record))
    except IntegrityError as error:
        yield Check("existence", "ok", reference.location)
        yield _failed("digest", error)
    except Exception as error:  # noqa: BLE001
        yield _failed("existence", error)
    else:
        pinned = f"sha256 {reference.sha256}" if reference.sha256 else reference.revision
        if pinned:
            yield Check("digest", "ok", f"{pinned}, as recorded")
        else:
            yield Check("digest", "warn", "floating: nothing is recorded to check it by")


def _of_code(reference: Reference) -> Iterator[Check]:
    try:
        with warnings.catch_warnings():
            # The check of the environment says it.
            warnings.filterwarnings("ignore", ".* was stored in another environment", UserWarning)
            flow = load_reference(reference)
    except FlowNotFoundError as error:
        yield Check("imports", "ok", "its code is imported")
        yield _failed("flow", error)
    except Exception as error:  # noqa: BLE001
        yield _failed("imports", error)
    else:
        yield Check("imports", "ok", "its code is imported")
        kind = f"{type(flow).__module__}.{type(flow).__qualname__}"
        yield Check("flow", "ok", f"{flow.name!r} is a {kind}")


def _of_environment(reference: Reference) -> Check:
    lines = environment.difference(reference.environment)
    if lines:
        return Check("environment", "warn", "; ".join(lines))
    return Check("environment", "ok", f"python {platform.python_version()}, as recorded")


def _failed(name: str, error: Exception) -> Check:
    if isinstance(error, FlowholdError):
        return Check(name, "fail", str(error), error.hint)
    return Check(name, "fail", describe(error))
