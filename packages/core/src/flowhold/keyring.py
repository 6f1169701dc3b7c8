"""The keys of this machine: own ones, trusted ones and revoked ones, as files.

====================================  =========================================================
``<config directory>/keys/NAME.key``  an own private key
``…/keys/NAME.pub``                   its public key
``…/keys/trusted/NAME.pub``           a public key that is trusted
``…/keys/revoked/KEYID``              its existence says that no signature of that key counts
====================================  =========================================================
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

from flowhold import settings
from flowhold.errors import ConfigurationError
from flowhold.keys import KEY_ID, KEY_NAME, PrivateKey, PublicKey
from flowhold.writing import unused_name

__all__ = [
    "create",
    "flaw_of",
    "folder",
    "is_revoked",
    "is_strict",
    "own",
    "private_path",
    "read_public",
    "revoke",
    "revoked",
    "trust",
    "trusted",
    "trusted_files",
]


def folder() -> Path:
    """Return the folder of all keys; it need not be there."""
    return settings.find_config_dir() / "keys"


def is_strict(current: settings.Settings | None = None) -> bool:
    """Whether only signed references may load: a key is trusted, or a signature asked for."""
    current = current or settings.current()
    return bool(current.require_signature or current.trusted_keys or trusted_files())


def own() -> list[PublicKey]:
    """Return the public keys of the own private ones, by name."""
    files = _public_files(folder())
    return [PublicKey.read(path) for path in files if path.with_suffix(".key").exists()]


def trusted_files() -> list[Path]:
    """Return the files of the keys that :func:`trust` has added.

    Raises:
        ConfigurationError: There is another file among them, which somebody may take for a key.
    """
    place = folder() / "trusted"
    for name in _listed(place):
        if not name.startswith(".") and not name.endswith(".pub"):
            raise ConfigurationError(
                f"{place / name} is not the file of a trusted key: its name does not end in .pub",
                hint="add a key by `flowhold keys trust FILE`, and remove that file",
            )
    return _public_files(place)


def trusted(current: settings.Settings | None = None) -> list[PublicKey]:
    """Return the keys of the setting ``trusted_keys``, by default all that were added.

    Expired and revoked ones are among them. Of several last days of one key the first holds.

    Args:
        current: The settings, where they are known: asking for them takes a while.

    Raises:
        ConfigurationError: One cannot be read, so that what is trusted is not certain.
    """
    current = current or settings.current()
    chosen = current.trusted_keys
    if chosen:
        keys = [_chosen(entry, current.config_dir / "keys") for entry in chosen]
    else:
        keys = [PublicKey.read(path) for path in trusted_files()]
    ends: dict[bytes, date] = {}
    for key in keys:
        if key.expires:
            ends[key.raw] = min(key.expires, ends.get(key.raw, key.expires))
    return [replace(key, expires=ends.get(key.raw)) for key in keys]


def _chosen(entry: str, home: Path) -> PublicKey:
    """Return the key that an item of the setting is, or is the name of."""
    if KEY_NAME.fullmatch(entry) and not entry.endswith((".pub", ".pem")):
        return PublicKey.read(home / "trusted" / f"{entry}.pub")
    if _is_text(entry):
        return PublicKey.from_text(entry, where="a text in trusted_keys")
    # Never relative to the working directory, which can be that of somebody else's project.
    return PublicKey.read(home.parent / _expanded(entry))


def read_public(source: str) -> PublicKey:
    """Return the public key that a command is given: a text, a file, or the name of an own key."""
    if _is_text(source):
        return PublicKey.from_text(source)
    if KEY_NAME.fullmatch(source) and (path := folder() / f"{source}.pub").is_file():
        return PublicKey.read(path)
    return PublicKey.read(_expanded(source))


def private_path(source: str | os.PathLike[str]) -> Path:
    """Return the path of a private key: that of an own key's name, or the one given.

    A name has no separator and does not end in ``.key`` or ``.pem``.
    """
    text = os.fspath(source)
    if KEY_NAME.fullmatch(text) and not text.endswith((".key", ".pem")):
        return folder() / f"{text}.key"
    return _expanded(text)


def flaw_of(key: PublicKey) -> str | None:
    """Return why signatures of a key do not count, None where they do if it is trusted."""
    if is_revoked(key.id):
        return "is revoked"
    return f"expired on {key.expires}" if key.expired else None


def is_revoked(keyid: str) -> bool:
    """Whether a key of that id was revoked on this machine."""
    if not KEY_ID.fullmatch(keyid):
        return False
    # A link that leads nowhere counts, too, and what cannot be looked at may be there.
    try:
        os.lstat(_revoked(keyid))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigurationError(f"{_revoked(keyid)} cannot be read: {error.strerror}") from error
    return True


def revoked() -> list[str]:
    """Return the ids of the keys that were revoked on this machine."""
    return [name for name in _listed(folder() / "revoked") if KEY_ID.fullmatch(name)]


def create(name: str, expires: date | None = None) -> PublicKey:
    """Make a key and write its two files.

    Raises:
        ConfigurationError: There is a key of that name, or it is no name.
        SignatureError: The extra ``signing`` is not installed.
    """
    _check_name(name)
    key = PrivateKey.new(name, expires)
    for path in (folder() / f"{name}.pub", folder() / f"{name}.key"):
        if path.exists():
            raise _exists(path)
    _write(folder() / f"{name}.key", key.to_pem(), 0o600)
    _write(folder() / f"{name}.pub", f"{key.public.to_text()}\n".encode(), 0o644)
    return key.public


def trust(key: PublicKey) -> Path:
    """Add a key to those that are trusted, and return its file.

    Raises:
        ConfigurationError: Another key of that name is trusted already, or this one is revoked.
    """
    _check_name(key.name)
    if is_revoked(key.id):
        raise ConfigurationError(
            f"key {key} is revoked", hint=f"to take that back, remove {_revoked(key.id)}"
        )
    path = folder() / "trusted" / f"{key.name}.pub"
    with suppress(ConfigurationError):
        if PublicKey.read(path).raw == key.raw:
            # With another last day. At no time is there none, which could mean that all may load.
            new = path.with_name(f".{unused_name()}")
            _write(new, f"{key.to_text()}\n".encode(), 0o644)
            os.replace(new, path)
            return path
    _write(path, f"{key.to_text()}\n".encode(), 0o644)
    return path


def revoke(which: str) -> tuple[str, list[PublicKey]]:
    """Note that no signature of a key counts, whether it is known here or not.

    Args:
        which: Its id, or the name of a key that is known here.

    Returns:
        Its id, and the keys of that id that are known here.

    Raises:
        ConfigurationError: It is neither, or several keys have that name.
    """
    known = list(dict.fromkeys(_known()))
    # What looks like an id is one, whatever somebody called a key.
    named = {key.id for key in known if key.name == which and not KEY_ID.fullmatch(which)}
    if len(named) > 1 or (not named and not KEY_ID.fullmatch(which)):
        problem = "several keys have the name" if named else "no key here has the name"
        raise ConfigurationError(
            f"{problem} {which[:60]!r}", hint="name its id; `flowhold keys list` shows them"
        )
    keyid = named.pop() if named else which
    with suppress(ConfigurationError):
        if not is_revoked(keyid):
            _write(_revoked(keyid), b"", 0o644)
    if not is_revoked(keyid):
        raise ConfigurationError(f"{_revoked(keyid)} cannot be written", hint="check the path")
    return keyid, [key for key in known if key.id == keyid]


def _known() -> Iterable[PublicKey]:
    for source in (own, trusted):
        with suppress(ConfigurationError):
            yield from source()


def _revoked(keyid: str) -> Path:
    return folder() / "revoked" / keyid


def _is_text(source: str) -> bool:
    return source.lstrip().startswith(("ed25519 ", "-----BEGIN"))


def _expanded(text: str) -> Path:
    with suppress(RuntimeError):
        return Path(text).expanduser()
    return Path(text)


def _public_files(place: Path) -> list[Path]:
    return [place / name for name in _listed(place) if name.endswith(".pub")]


def _listed(place: Path) -> list[str]:
    try:
        return sorted(os.listdir(place))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigurationError(f"{place} cannot be read: {error.strerror}") from error


def _exists(path: Path) -> ConfigurationError:
    hint = "choose another name, or remove that file"
    return ConfigurationError(f"{path} exists already", hint=hint)


def _check_name(name: str) -> None:
    if not KEY_NAME.fullmatch(name) or name.endswith((".key", ".pub", ".pem")):
        raise ConfigurationError(
            f"{name[:60]!r} cannot be the name of a key",
            hint="use up to 64 letters, digits, '-', '_' and '.'",
        )


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
