"""Signatures of references: made with own keys, checked with those that are trusted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from flowhold import keyring
from flowhold.dsse import Envelope
from flowhold.errors import ConfigurationError, FlowholdError, SignatureError
from flowhold.keys import PrivateKey, PublicKey
from flowhold.reference import PAYLOAD_TYPE, Reference

__all__ = ["Signer", "Verdict", "as_signer", "examine", "signed_by", "verified"]


class Signer:
    """Signs references, with one key or with several.

    Args:
        keys: Names of own keys, or paths of private keys; at least one.

    Raises:
        ConfigurationError: A key cannot be read or may not sign any more.
        SignatureError: The extra ``signing`` is not installed.
    """

    def __init__(self, keys: Sequence[str | os.PathLike[str]]) -> None:
        self.keys = [PrivateKey.read(keyring.private_path(key)) for key in keys]
        for key in self.keys:
            if flaw := keyring.flaw_of(key.public):
                raise ConfigurationError(
                    f"key {key.public} {flaw}, so it does not sign",
                    hint="sign with another one; `flowhold keys new NAME` makes one",
                )

    def __call__(self, reference: Reference) -> Reference:
        """Return a reference with the signatures of the keys, and no other.

        Raises:
            SignatureError: It is floating.
        """
        if not reference.pinned:
            raise SignatureError(
                f"{reference.flow!r} is floating: a signature would vouch for whatever is there "
                f"when it is loaded",
                location=reference.location,
                hint="store a pinned copy and sign that, or do not sign",
            )
        payload = replace(reference, signed=None).to_json().encode()
        envelope = Envelope(PAYLOAD_TYPE, payload)
        signatures = tuple((key.public.id, key.sign(envelope.signed_bytes)) for key in self.keys)
        return replace(reference, signed=replace(envelope, signatures=signatures).to_document())

    def has_signed(self, reference: Reference) -> bool:
        """Whether a reference has a signature of every key that holds."""
        if reference.signed is None:
            return False
        publics = [key.public for key in self.keys]
        good = {each.key for each in _verdicts(reference, publics) if each.problem is None}
        return good.issuperset(publics)

    def vouched(self, reference: Reference) -> Reference:
        """Return what is signed anew of a reference that may have come from anywhere.

        It must have a signature of a trusted key or, where none is trusted, of an own one: nobody's
        changes are signed by mistake, and neither is what somebody took a signature from.

        Raises:
            SignatureError: It has none.
        """
        from flowhold.trust import check_trust

        if keyring.is_strict():
            return check_trust(reference)
        if reference.signed is None:
            raise SignatureError(
                f"{reference.flow}@{reference.version} is not signed, so nothing says who wrote it",
                location=reference.location,
                hint="register the flow again with `--sign KEY`: that signs what is here",
            )
        return verified(reference, [*keyring.own(), *(key.public for key in self.keys)])


def as_signer(
    sign: Signer | str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None,
) -> Signer | None:
    """Return the signer that an argument ``sign=`` means: of a key, of several, or none."""
    if sign is None or isinstance(sign, Signer):
        return sign
    keys = [sign] if isinstance(sign, (str, os.PathLike)) else [*sign]
    return Signer(keys) if keys else None


@dataclass(frozen=True)
class Verdict:
    """What one signature is worth here."""

    keyid: str
    """As it says; it may be empty."""
    key: PublicKey | None
    """Whose it is, if that key is known."""
    problem: str | None
    """Why it does not count; None: it is of a trusted key, and holds."""

    def __str__(self) -> str:
        return str(self.key or (f"key {self.keyid}" if self.keyid else "an unnamed key"))


def verified(reference: Reference, keys: Iterable[PublicKey]) -> Reference:
    """Return the reference that the signed bytes are, if one of the keys has signed them.

    Raises:
        SignatureError: No signature counts, or the reference is not the one that was signed.
    """
    reasons: dict[str, None] = {}
    # The first that counts is enough.
    for verdict in _verdicts(reference, keys):
        if verdict.problem is None:
            break
        reasons[f"{verdict} {verdict.problem}"] = None
    else:
        raise SignatureError(
            f"no signature of {reference.flow}@{reference.version} counts here: "
            f"{'; '.join(reasons) or 'it has none'}",
            location=reference.location,
            hint="if you trust who signed it, `flowhold keys trust FILE` adds the public key; "
            "otherwise have it signed with a key that is trusted",
        )
    found = Reference.from_dict(reference.signed)
    if found != reference:
        raise SignatureError(
            f"{reference.flow}@{reference.version} is not what was signed",
            location=reference.location,
            hint="load the reference as it was registered",
        )
    return found


def examine(reference: Reference) -> list[Verdict]:
    """Return what each signature of a reference is worth here, in their order."""
    return [*_verdicts(reference, keyring.trusted())]


def signed_by(reference: Reference) -> str:
    """Return who a reference says it is signed by, which is not checked; empty: nobody."""
    if reference.signed is None:
        return ""
    known: dict[str, PublicKey] = {}
    for source in (keyring.trusted, keyring.own):
        try:
            known.update((key.id, key) for key in source())
        except FlowholdError:
            continue
    envelope = Envelope.from_document(reference.signed)
    said = [str(known.get(keyid, keyid or "an unnamed key")) for keyid, _ in envelope.signatures]
    return ", ".join(dict.fromkeys(said))


def _verdicts(reference: Reference, keys: Iterable[PublicKey]) -> Iterator[Verdict]:
    envelope = Envelope.from_document(reference.signed)
    trusted = list(keys)
    data = envelope.signed_bytes
    for keyid, signature in envelope.signatures:
        yield _verdict(keyid, signature, data, trusted)


def _verdict(keyid: str, signature: bytes, data: bytes, trusted: list[PublicKey]) -> Verdict:
    candidates = [key for key in trusted if keyid in ("", key.id)]
    if not candidates and keyid:
        revoked = keyring.is_revoked(keyid)
        return Verdict(keyid, None, "is revoked" if revoked else "is not trusted")
    for key in candidates:
        if key.holds(signature, data):
            return Verdict(keyid, key, keyring.flaw_of(key))
    named = candidates[0] if keyid else None
    return Verdict(keyid, named, "did not sign this" if named else "is none that is trusted")
