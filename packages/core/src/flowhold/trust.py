"""What the settings ask of a reference before anything of it is opened."""

from __future__ import annotations

from flowhold import keyring, settings
from flowhold.errors import SignatureError, UnverifiedError
from flowhold.reference import Reference
from flowhold.signing import verified

__all__ = ["check_trust", "is_trusted", "refuse_floating"]


def check_trust(reference: Reference) -> Reference:
    """Return the reference to go on with, if the settings let it load.

    Where a signature is asked for, that is read from the very bytes whose signature was checked.

    Raises:
        SignatureError: A signature is asked for, and none of a trusted key holds.
        UnverifiedError: A signature is asked for, and the reference is floating.
        ConfigurationError: A trusted key cannot be read.
    """
    current = settings.current()
    if not keyring.is_strict(current):
        return reference
    if not reference.pinned:
        refuse_floating(f"{reference.flow}@{reference.version}")
    if reference.signed is None:
        raise SignatureError(
            f"the reference of {reference.flow!r} is not signed, and only signed ones load here",
            location=reference.location,
            hint="register it with `--sign KEY`, or see `flowhold doctor` for what asks for it",
        )
    return verified(reference, keyring.trusted(current))


def is_trusted(reference: Reference) -> bool:
    """Whether :func:`check_trust` lets a reference load; a key that cannot be read is an error."""
    try:
        check_trust(reference)
    except (SignatureError, UnverifiedError):
        return False
    return True


def refuse_floating(what: str) -> None:
    """Raise UnverifiedError if the settings trust signed references only."""
    if keyring.is_strict():
        raise UnverifiedError(
            f"{what} is floating, and only signed references load here",
            hint="store a pinned copy and sign it, or see `flowhold doctor` for what asks for it",
        )
