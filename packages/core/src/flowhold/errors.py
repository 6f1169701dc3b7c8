"""The errors of Flowhold: one tree, each also a builtin where one fits.

::

    FlowholdError
    ├── StorageError
    │   ├── FlowNotFoundError           (ValueError, LookupError)
    │   ├── DuplicateFlowError          (ValueError)
    │   ├── ObjectNotFoundError         (FileNotFoundError)
    │   ├── ObjectExistsError           (FileExistsError)
    │   ├── RevisionNotFoundError       (LookupError)
    │   ├── AccessDeniedError           (PermissionError)
    │   └── StorageUnavailableError     (ConnectionError)
    ├── IntegrityError
    ├── SignatureError
    ├── UnverifiedError
    ├── SerializationError
    ├── ConfigurationError              (ValueError)
    ├── SecretNotFoundError             (LookupError)
    └── PluginError
        ├── PluginNotFoundError         (ImportError)
        ├── PluginLoadError             (ImportError)
        ├── PluginConflictError
        └── PluginVersionError

``str(error)`` says what is wrong in a sentence; ``error.hint`` says what to do about it.
``__cause__`` is the original error of the library below, where there is one.
Values of secrets that this process has seen are left out of all texts but that of the cause.
"""

from __future__ import annotations

from typing import Any

from flowhold.redaction import mask

__all__ = [
    "AccessDeniedError",
    "ConfigurationError",
    "DuplicateFlowError",
    "FlowNotFoundError",
    "FlowholdError",
    "IntegrityError",
    "ObjectExistsError",
    "ObjectNotFoundError",
    "PluginConflictError",
    "PluginError",
    "PluginLoadError",
    "PluginNotFoundError",
    "PluginVersionError",
    "RevisionNotFoundError",
    "SecretNotFoundError",
    "SerializationError",
    "SignatureError",
    "StorageError",
    "StorageUnavailableError",
    "UnverifiedError",
]


class FlowholdError(Exception):
    """Root of every error that Flowhold raises on purpose.

    Args:
        message: What is wrong, in one sentence.
        storage: Name of the storage concerned, where there is one.
        location: Location inside that storage, where there is one.
        hint: What the user can do about it.
    """

    def __init__(
        self,
        message: str = "",
        *,
        storage: str | None = None,
        location: str | None = None,
        hint: str | None = None,
    ) -> None:
        # Every builtin mixed in below accepts a single positional message.
        super().__init__(mask(message))
        self.message = mask(message)
        self.storage = storage
        self.location = location and mask(location)
        self.hint = hint and mask(hint)

    def __str__(self) -> str:
        return mask(self.message)  # which can be set

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, dict(self.__dict__)))


def _rebuild(kind: type[FlowholdError], message: str, state: dict[str, Any]) -> FlowholdError:
    error = kind(message)
    # This process can know other secrets than the one that it comes from.
    error.__dict__.update({name: mask(value) for name, value in state.items()})
    return error


class StorageError(FlowholdError):
    """A storage could not do what was asked."""


class FlowNotFoundError(StorageError, ValueError, LookupError):
    """The flow asked for is not in this storage, script, module or catalog."""


class DuplicateFlowError(StorageError, ValueError):
    """A flow of that name is already in this storage."""


class ObjectNotFoundError(StorageError, FileNotFoundError):
    """There is no object at that location."""


class ObjectExistsError(StorageError, FileExistsError):
    """There is another object at that location already."""


class RevisionNotFoundError(StorageError, LookupError):
    """The branch, tag or commit does not exist."""


class AccessDeniedError(StorageError, PermissionError):
    """The backend refused the credentials, or they do not allow this."""


class StorageUnavailableError(StorageError, ConnectionError):
    """The backend could not be reached or did not answer in time."""


class IntegrityError(FlowholdError):
    """Bytes are not those that were recorded, or a catalog was set back; nothing was run."""


class SignatureError(FlowholdError):
    """A reference is unsigned or no signature of it counts, or it cannot be signed or checked."""


class UnverifiedError(FlowholdError):
    """Nothing recorded says what the bytes should be, and running them was not asked for."""


class SerializationError(FlowholdError):
    """A flow, reference or result could not be written or read."""


class ConfigurationError(FlowholdError, ValueError):
    """An option, setting or argument is wrong."""


class SecretNotFoundError(FlowholdError, LookupError):
    """No provider knows the secret."""


class PluginError(FlowholdError):
    """A plugin is missing, broken or in conflict with another."""


class PluginNotFoundError(PluginError, ImportError):
    """No installed plugin has that name."""


class PluginLoadError(PluginError, ImportError):
    """A plugin is installed but could not be loaded."""


class PluginConflictError(PluginError):
    """Two distributions claim one name."""


class PluginVersionError(PluginError):
    """A plugin was written for another version of the plugin interface."""
