"""A request as it is written down, and as it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from requests.exceptions import InvalidURL

from flowhold.errors import ConfigurationError
from flowhold.storage.keys import slug
from flowhold_storage_webhook.templates import fill, marks_in, names_in, render

__all__ = ["PAIRS", "Call", "marks_of"]

_BODIES = ("data", "json", "files")
PAIRS = ("auth", "cert", "timeout")
"""Arguments that may be a pair."""
_PRIVATE = ("auth", "cert", "cookies")
_HARMLESS = ("accept", "accept-encoding", "accept-language", "content-type", "user-agent")

# A name can hold what no header can, or what ends a text in JSON.
_IN_HEADERS = ("slug", "sha256")


@dataclass(frozen=True)
class Call:
    """A request as it is written down.

    Attributes:
        method: Of HTTP.
        arguments: Those of requests, as templates.
        stores: Whether it stores a flow, whose bytes are its body.
    """

    method: str
    arguments: Mapping[str, Any]
    stores: bool

    @property
    def repeats(self) -> bool:
        """Whether the request does no harm when it is sent again after it was carried out."""
        return not self.stores or self.method in ("GET", "PUT")

    @property
    def names(self) -> set[str]:
        """The names of variables and secrets in it."""
        left_out = _BODIES if self.stores else ()
        return names_in({k: v for k, v in self.arguments.items() if k not in left_out})

    @property
    def marks(self) -> set[str]:
        """What is filled in of a flow: in the URL, and in headers."""
        in_headers = marks_in(self.arguments.get("headers")) & {*_IN_HEADERS}
        return marks_in(self.arguments["url"]) | in_headers

    @property
    def body(self) -> list[str]:
        """Which arguments give a body of its own."""
        return [name for name in _BODIES if self.arguments.get(name) is not None]

    def check(self, name: str) -> None:
        """Raise ConfigurationError where a flow's name would lead out of the place in the URL."""
        # However they are quoted, requests and servers take these for steps in the path.
        steps = {".", ".."} & {*re.split(r"[/\\]", name)} if "." in name else ()
        if steps and "name" in marks_in(self.arguments["url"]):
            raise ConfigurationError(
                f"a flow called {name[:60]!r} would lead out of the place in the URL",
                storage="Webhook",
                hint="have {slug} in the URLs, or call it otherwise",
            )

    def at(self, marks: Mapping[str, str]) -> tuple[str, Any]:
        """Return URL and headers for a flow, as templates still."""
        url, headers = self.arguments["url"], self.arguments.get("headers")
        return fill(url, _quoted(marks)), fill(headers, _plain(marks))

    def filled(self, values: Mapping[str, str], marks: Mapping[str, str]) -> dict[str, Any]:
        """Return the arguments of :func:`flowhold.web.ask`; ``private`` is for no other host."""
        given = {name: value for name, value in self.arguments.items() if value is not None}
        for name in ("stream", "allow_redirects", *(_BODIES if self.stores else ())):
            given.pop(name, None)
        url = given.pop("url")
        url, login_in_url = _parted(render(url, values, _quoted(marks)))
        headers = given.pop("headers", {})
        rest = render(given, values)
        for name in PAIRS:
            if isinstance(rest.get(name), list):
                rest[name] = tuple(rest[name])  # as JSON knows no tuples
        auth = rest.get("auth", login_in_url)
        if isinstance(auth, tuple):
            # Text is sent as Latin-1 by requests, which few servers expect; bytes are as they are.
            rest["auth"] = tuple(part.encode() if isinstance(part, str) else part for part in auth)
        login: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for name, value in headers.items():
            harmless = str(name).lower() in _HARMLESS and not names_in(value)
            (others if harmless else login)[name] = render(value, values, _plain(marks))
        private = {name: rest.pop(name) for name in _PRIVATE if name in rest}
        return {
            "url": url,
            "origin": url,
            "login": login,
            "headers": others,
            "private": private,
            "data": rest.pop("data", None),
            "timeout": rest.pop("timeout", None),
            "options": rest,
        }


def marks_of(name: str, sha256: str) -> dict[str, str]:
    """Return what is filled in for a flow."""
    return {"slug": slug(name), "name": name, "sha256": sha256}


def _parted(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return a URL without the user and password that may be in it, and these."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidURL from None
    if "@" not in parts.netloc:
        return url, None
    host = parts.netloc.rpartition("@")[2]
    pair = unquote(parts.username or ""), unquote(parts.password or "")
    return urlunsplit(parts._replace(netloc=host)), pair


def _quoted(marks: Mapping[str, str]) -> dict[str, str]:
    return {mark: quote(text, safe="", errors="surrogatepass") for mark, text in marks.items()}


def _plain(marks: Mapping[str, str]) -> dict[str, str]:
    return {name: marks[name] for name in _IN_HEADERS}
