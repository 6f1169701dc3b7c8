"""DSSE envelopes: signed documents as JSON, and the bytes that a signature in one is over.

The format is version 1.0 of https://github.com/secure-systems-lab/dsse: `protocol.md` says what is
signed, `envelope.md` how it is written down.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowhold.errors import SerializationError

__all__ = ["MAX_SIGNATURES", "Envelope"]

MAX_SIGNATURES = 64
"""So that checking one costs a bounded time."""


@dataclass(frozen=True)
class Envelope:
    """A document and signatures over it; nothing here says whether they hold."""

    payload_type: str
    payload: bytes
    """The document, to the byte."""
    signatures: tuple[tuple[str, bytes], ...] = ()
    """Key id and signature of each. The id is a hint that nothing protects; it may be empty."""

    @property
    def signed_bytes(self) -> bytes:
        """What a signature is over: the payload and its type, so that neither means another."""
        kind = self.payload_type.encode()
        return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(self.payload), self.payload)

    def to_document(self) -> dict[str, Any]:
        """Return the envelope as JSON types."""
        return {
            "payloadType": self.payload_type,
            "payload": base64.b64encode(self.payload).decode(),
            "signatures": [
                {"keyid": keyid, "sig": base64.b64encode(sig).decode()}
                for keyid, sig in self.signatures
            ],
        }

    @classmethod
    def from_document(cls, document: Any) -> Envelope:
        """Read an envelope; fields that are not known are passed over.

        Raises:
            SerializationError: It is not one, or has more than `MAX_SIGNATURES` signatures.
        """
        try:
            kind, signatures = document["payloadType"], document["signatures"]
            kind.encode()
            if not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
                raise ValueError("no list of signatures, or too long a one")
            return cls(
                kind,
                _decoded(document["payload"]),
                tuple((_keyid(entry), _decoded(entry["sig"])) for entry in signatures),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SerializationError("this is not a signed reference") from error


def _keyid(entry: Mapping[str, Any]) -> str:
    keyid = entry.get("keyid") or ""
    if not isinstance(keyid, str):
        raise TypeError("a key id is text")
    return keyid


def _decoded(text: str) -> bytes:
    """Decode base64, standard or URL-safe, of which there is one spelling for any bytes."""
    standard = text.replace("-", "+").replace("_", "/")
    data = base64.b64decode(standard, validate=True)
    if base64.b64encode(data).decode() != standard:
        raise ValueError("base64 with bits that mean nothing")
    return data
