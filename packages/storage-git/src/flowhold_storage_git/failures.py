"""What git servers, ssh and TLS answer, as errors of Flowhold."""

from __future__ import annotations

import re
from urllib.parse import quote

import requests
from dulwich.client import HTTPUnauthorized
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from urllib3.exceptions import HTTPError

from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowholdError,
    RevisionNotFoundError,
    StorageError,
    StorageUnavailableError,
)
from flowhold.rules import Rule
from flowhold.web import Redirected, basic, wait_of
from flowhold_storage_git.address import Address

__all__ = ["Refused", "asked_wait", "bare", "ours"]

_LOGIN = (
    "check the user name and the token: its secret, its scopes, and whether it has expired; each "
    "host has its own user name for tokens (git_token_username)"
)
_SSH_LOGIN = (
    "check that the host knows your key: `ssh -T {user}@{host}`; a deploy key is named by "
    "ssh_key_secret"
)
_ABSENT = Rule(
    StorageError,
    "there is no repository {place}, or not for this login: {reason}",
    "check the URL; hosts say the same of private repositories to those who may not read them",
)
_REFUSED = Rule(AccessDeniedError, "the login for {place} was refused: {reason}", _LOGIN)
_GONE = Rule(StorageUnavailableError, "{place} cannot be reached: {reason}", "check the network")
_REVISION = Rule(
    RevisionNotFoundError,
    "{place} does not have this commit: {reason}",
    "check the SHA; a commit that no branch or tag leads to may have been removed",
)
_SAID = (
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        Rule(
            AccessDeniedError,
            "the host key of {place} is not trusted: {reason}",
            "compare the host's key with what its operator publishes, then add it to known_hosts",
        ),
    ),
    (
        r"Permission denied|Too many authentication failures|no mutual signature",
        Rule(AccessDeniedError, "the key for {place} was refused: {reason}", _SSH_LOGIN),
    ),
    (
        r"Could not resolve|Connection (to \S+ )?(refused|timed out|reset|closed)|No route|"
        r"timed out|Network is unreachable|kex_exchange|"
        # What dulwich says of an answer that ends in the midst of a line.
        r"Length of pkt read|length prefix: b'.{0,3}'$",
        _GONE,
    ),
    (
        r"not appear to be a git repo|[Rr]epository.*(not found|not exported)|no such repo|"
        r"not a git repo|could not be found|does not exist|access denied or",
        _ABSENT,
    ),
    (r"not our ref|unadvertised object|no such (commit|remote ref)|bad object", _REVISION),
)
"""What is said by people's words only, by ssh and by servers of the git protocol."""

_STATUS = {
    401: _REFUSED,
    403: Rule(AccessDeniedError, "no permission for {place}: {reason}", _LOGIN),
    404: _ABSENT,
    410: _ABSENT,
    **dict.fromkeys(
        (408, 429, 500, 502, 503, 504),
        Rule(StorageUnavailableError, "{place} did not answer as it should: {reason}", "try later"),
    ),
}


class Refused(Exception):
    """An answer of HTTP that is not what was asked for."""

    def __init__(self, status: int, reason: str, retry_after: str | None = None) -> None:
        super().__init__(f"HTTP {status} {reason}".strip())
        self.status = status
        self.retry_after = retry_after


def ours(error: Exception, address: Address, said: str = "") -> FlowholdError:
    """Return the error to raise in place of one of a library; raise it behind the ``except``.

    Args:
        error: It becomes the cause, without what it knows of the request and its credentials.
        address: Of the repository.
        said: What ssh wrote for people.
    """
    found = _ours(error, address, said)
    _forget(error)
    if not any(secret in str(error) for secret in _login(address)):
        found.__cause__ = error
    return found


def bare(error: FlowholdError) -> FlowholdError:
    """Return an error of ours without the frames, which know the credentials."""
    for inner in (error.__cause__, error.__context__):
        if inner is not None:
            _forget(inner)
    return error.with_traceback(None)


def _forget(error: BaseException) -> None:
    """Take the frames from an error and from those in it, and what they know of the request."""
    inner = (error.__cause__, error.__context__, getattr(error, "reason", None), *error.args)
    error.__traceback__ = error.__cause__ = error.__context__ = None
    if isinstance(error, requests.RequestException):
        error.request = error.response = None
    for each in inner:
        if isinstance(each, BaseException):
            _forget(each)


def _login(address: Address) -> list[str]:
    """Return what of a login a server may tell back, but nobody else is to see."""
    # With ssh a name is no secret, and neither is one that goes with a password.
    login = address.password or (address.username if address.scheme != "ssh" else None)
    if not login:
        return []
    coded = basic(address.username, address.password)
    return [coded, coded.rstrip("="), quote(login, safe=""), login]


def _ours(error: Exception, address: Address, said: str) -> FlowholdError:
    rule, reason = _rule(error, said)
    reason = " ".join(re.sub(r"//[^/@\s]*@", "//", reason).split())[:300]
    for secret in _login(address):
        reason = reason.replace(secret, "***")
    hint = rule.hint
    if hint == _SSH_LOGIN:
        hint = hint.format(user=address.username or "git", host=address.host)
    return rule.error(
        rule.message.format(place=address.url, reason=reason),
        storage="git",
        location=address.url,
        hint=hint,
    )


def asked_wait(error: Exception) -> float:
    """Return how many seconds a server asks to wait before the next try."""
    asked = wait_of(error.retry_after or "") if isinstance(error, Refused) else None
    return asked or 0.0


def _rule(error: Exception, said: str) -> tuple[Rule, str]:
    """Return which rule is for an error, and the words to go with it."""
    if isinstance(error, HTTPUnauthorized):
        return _REFUSED, "HTTP 401"
    if isinstance(error, NotGitRepository):
        return _ABSENT, "no git repository is there"
    if isinstance(error, Redirected):
        return Rule(AccessDeniedError, "{place} redirects {reason}", "correct the URL"), str(error)
    if isinstance(error, Refused):
        rule = _STATUS.get(error.status)
        return rule or Rule(StorageError, "{place} refused: {reason}"), str(error)
    words = said if said.strip() else _text(error)
    heard = [*said.splitlines(), *_text(error).splitlines()]
    for pattern, rule in _SAID:
        if line := next((line for line in heard if re.search(pattern, line)), ""):
            return rule, line.removeprefix("ERR ").strip()
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in words:
        hint = "for a private CA set REQUESTS_CA_BUNDLE to its certificate"
        return Rule(AccessDeniedError, "no trusted connection to {place}: {reason}", hint), words
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)):
        return Rule(ConfigurationError, "{place} is no URL: {reason}"), words
    transient = (requests.RequestException, HTTPError, HangupException, OSError, EOFError)
    if isinstance(error, transient) or isinstance(error.__cause__, OSError):
        return _GONE, words
    if isinstance(error, GitProtocolError):
        return Rule(
            StorageError, "{place} did not answer as a git server: {reason}", "check the URL"
        ), words
    return Rule(StorageError, "{place} could not be read: {reason}"), words


def _text(error: Exception) -> str:
    inner: BaseException | None = error
    while inner is not None and not str(inner):
        inner = inner.__cause__ or inner.__context__
    return str(inner or type(error).__name__)
