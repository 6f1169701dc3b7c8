"""Which error of Flowhold stands for which of fsspec and of the libraries below it."""

from __future__ import annotations

from flowhold import errors
from flowhold.rules import Rule, Rules

_MISSING = Rule(errors.ObjectNotFoundError, "there is no {place}")
_REFUSED = Rule(errors.AccessDeniedError, "no permission for {place}: {reason}")
_WRONG = Rule(errors.ConfigurationError, "{place} cannot be opened: {reason}", "check the options")
_AWAY = Rule(errors.StorageUnavailableError, "{place} cannot be reached: {reason}", "try again")

RULES: Rules = {
    **dict.fromkeys(("FileNotFoundError", "IsADirectoryError", "NotADirectoryError"), _MISSING),
    "FileExistsError": Rule(errors.ObjectExistsError, "{place} exists already"),
    **dict.fromkeys(("PermissionError", "AuthenticationException", "LogonFailure"), _REFUSED),
    **dict.fromkeys(("TypeError", "ValueError"), _WRONG),
    **dict.fromkeys(("ConnectionError", "TimeoutError", "gaierror", "EOFError"), _AWAY),
    **dict.fromkeys(("SSHException", "NoValidConnectionsError", "SMBException"), _AWAY),
}
"""By the class of the exception, or the next of its classes that is here."""
