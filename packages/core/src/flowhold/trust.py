"""What the settings ask of a reference before anything of it is opened."""

from __future__ import annotations

from flowhold import settings
from flowhold.errors import SignatureError, UnverifiedError
from flowhold.reference import Reference

__all__ = ["check_trust", "refuse_floating"]


def check_trust(reference: Reference) -> None:
    """Return if the settings let this reference load.

    Raises:
        SignatureError: A signature is asked for, and there is none that can be checked.
        UnverifiedError: A signature is asked for, and the reference is floating.
    """
    if not _is_strict():
        return
    if not reference.pinned:
        refuse_floating(f"{reference.flow}@{reference.version}")
    if reference.signed is None:
        raise SignatureError(
            f"the reference of {reference.flow!r} is not signed, and trusted_keys or "
            f"require_signature is set",
            location=reference.location,
            hint="register it with a trusted key, or change the setting",
        )
    raise SignatureError(
        f"the signature of {reference.flow!r} cannot be checked by this version of flowhold",
        location=reference.location,
        hint="upgrade flowhold",
    )


def refuse_floating(what: str) -> None:
    """Raise UnverifiedError if the settings trust signed references only."""
    if _is_strict():
        raise UnverifiedError(
            f"{what} is floating, and trusted_keys or require_signature is set",
            hint="store a pinned copy and sign it, or change the setting",
        )


def _is_strict() -> bool:
    current = settings.current()
    return bool(current.trusted_keys) or current.require_signature
