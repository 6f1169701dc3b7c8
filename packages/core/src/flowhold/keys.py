"""Ed25519 keys: as text that people pass on, as files, and what is done with them."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from flowhold.errors import ConfigurationError, SignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

__all__ = ["KEY_ID", "KEY_NAME", "PrivateKey", "PublicKey", "read_date"]

KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
KEY_ID = re.compile(r"[0-9a-f]{16}")

_MAX_BYTES = 10_000
# All that comes before the 32 bytes of a key in its SubjectPublicKeyInfo (RFC 8410).
_DER = bytes.fromhex("302a300506032b6570032100")
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----")


@dataclass(frozen=True)
class PublicKey:
    """A key that tells whether a signature holds."""

    raw: bytes
    """Its 32 bytes."""
    name: str
    """What people call it; nothing depends on it."""
    expires: date | None = None
    """The last day, in UTC, on which signatures of it count; None: there is none."""

    def __str__(self) -> str:
        return self.id if self.name == self.id else f"{self.name} ({self.id})"

    @property
    def id(self) -> str:
        """The first 16 hex digits of the sha256 of its SubjectPublicKeyInfo."""
        return hashlib.sha256(_DER + self.raw).hexdigest()[:16]

    @property
    def expired(self) -> bool:
        """Whether its last day is over."""
        return self.expires is not None and _today() > self.expires

    def to_text(self) -> str:
        """Return its line: ``ed25519 BASE64 NAME [expires=DATE]``."""
        line = f"ed25519 {base64.b64encode(_DER + self.raw).decode()} {self.name}"
        return line if self.expires is None else f"{line} expires={self.expires.isoformat()}"

    @classmethod
    def from_text(cls, text: str, *, name: str = "", where: str = "this text") -> PublicKey:
        """Read a key: its line, or a SubjectPublicKeyInfo in PEM.

        Args:
            text: The key; lines that begin with ``#`` are passed over.
            name: What to call it where it has no name; default: its id.
            where: Where the text is from, for the error.

        Raises:
            ConfigurationError: It is no public key of Ed25519.
        """
        lines = [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
        told = "\n".join(lines)
        pem = _PEM.fullmatch(told.strip())
        words = ["ed25519", "".join(pem[1].split())] if pem else told.split(" ")
        try:
            kind, encoded, *more = filter(None, words)
            data = base64.b64decode(encoded, validate=True)
            expires = None
            if more and more[-1].startswith("expires="):
                expires = read_date(more.pop().removeprefix("expires="))
            own = more.pop() if more else ""
            raw = data.removeprefix(_DER)
            if kind != "ed25519" or more or len(raw) != 32 or len(data) == len(raw):
                raise ValueError("another kind of key, or more than one")
            if own and not KEY_NAME.fullmatch(own):
                raise ValueError("a name with other characters")
        except ValueError as error:
            raise ConfigurationError(
                f"{where} is not a public key",
                hint="a public key is the line in the .pub file that `flowhold keys new` writes, "
                "or an Ed25519 key in PEM",
            ) from error
        key = cls(raw, own or (name if KEY_NAME.fullmatch(name) else ""), expires)
        return key if key.name else cls(raw, key.id, expires)

    @classmethod
    def read(cls, path: Path) -> PublicKey:
        """Read the key in a file; raises ConfigurationError where that cannot be."""
        data = _read(path)
        text = data.decode("utf-8", "replace")
        return cls.from_text(text, name=path.stem, where=str(path))

    def holds(self, signature: bytes, data: bytes) -> bool:
        """Whether a signature over some bytes is of this key.

        Raises:
            SignatureError: The extra ``signing`` is not installed.
        """
        try:
            from cryptography.exceptions import InvalidSignature

            loaded = _loaded(self.raw)
        except ImportError as error:
            raise _extra("checked") from error
        try:
            loaded.verify(signature, data)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, repr=False)
class PrivateKey:
    """A key that signs; neither its repr nor an error shows it."""

    public: PublicKey
    _key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"<private key {self.public}>"

    def sign(self, data: bytes) -> bytes:
        """Return the signature over some bytes, the same for the same bytes."""
        return self._key.sign(data)

    @classmethod
    def new(cls, name: str, expires: date | None = None) -> PrivateKey:
        """Make a key.

        Raises:
            SignatureError: The extra ``signing`` is not installed.
        """
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        except ImportError as error:
            raise _extra("made") from error
        return cls._of(Ed25519PrivateKey.generate(), name, expires)

    @classmethod
    def read(cls, path: Path) -> PrivateKey:
        """Read a key, PKCS #8 in PEM; name and last day are those of the ``.pub`` file beside it.

        Raises:
            ConfigurationError: There is none, others could read it, or it has a password.
            SignatureError: The extra ``signing`` is not installed.
        """
        try:
            from cryptography.exceptions import UnsupportedAlgorithm
            from cryptography.hazmat.primitives import serialization
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        except ImportError as error:
            raise _extra("made") from error
        data = _read(path, private=True)
        key: object = None
        with suppress(ValueError, TypeError, UnsupportedAlgorithm):
            key = serialization.load_pem_private_key(data, password=None)
        del data
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError(
                f"{path} is not a private key of Ed25519 without a password",
                hint="`flowhold keys new NAME` makes one",
            )
        beside = path.with_suffix(".pub")
        noted = PublicKey.read(beside) if beside.is_file() else None
        own = cls._of(key, path.stem if KEY_NAME.fullmatch(path.stem) else "", None)
        return cls(noted, key) if noted and noted.raw == own.public.raw else own

    @classmethod
    def _of(cls, key: Ed25519PrivateKey, name: str, expires: date | None) -> PrivateKey:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return cls(PublicKey(raw, name or PublicKey(raw, "").id, expires), key)

    def to_pem(self) -> bytes:
        """Return the key as PKCS #8 in PEM, without a password."""
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@lru_cache(maxsize=64)
def _loaded(raw: bytes) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(raw)


def read_date(text: str) -> date:
    """Read ``YYYY-MM-DD``; raises ValueError for anything else."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("not YYYY-MM-DD")
    return date.fromisoformat(text)


def _today() -> date:
    return datetime.now(timezone.utc).date()


def _read(path: Path, *, private: bool = False) -> bytes:
    try:
        with open(path, "rb") as file:
            if private and os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
                raise ConfigurationError(
                    f"{path} is not used, because other users may read or change it",
                    hint=f"run: chmod 600 {path}",
                )
            return file.read(_MAX_BYTES)
    except ConfigurationError:
        raise  # it is a ValueError too
    except OSError as error:
        raise ConfigurationError(
            f"the key {path} cannot be read: {error.strerror}",
            hint="`flowhold keys list` shows which keys there are",
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{str(path)[:200]!r} cannot be the name of a file") from error


def _extra(what: str) -> SignatureError:
    return SignatureError(
        f"signatures cannot be {what}: the library for it, cryptography, is not installed",
        hint='pip install "flowhold[signing]"',
    )
