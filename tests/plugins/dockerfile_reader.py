r"""Reads Dockerfiles by the rules that Docker documents: what instructions a text has.

Of https://docs.docker.com/reference/dockerfile/: parser directives, comments, lines that go on,
the JSON form, the words of ENV and LABEL with their quotes and escapes, and variables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

__all__ = ["expanded", "instructions", "lines_of"]

JSON_FORM = {"ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"}
DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
LONGEST = 65_535
# Parameters of a shell, which are no variables here, and empty.
PARAMETERS = "@*#?-$!0123456789"


def escape_of(text: str) -> str:
    """Return the character that escapes."""
    for line in text.removeprefix("\ufeff").split("\n"):
        found = DIRECTIVE.fullmatch(line.strip())
        if not found or found[1].lower() not in ("syntax", "escape", "check"):
            break
        if found[1].lower() == "escape":
            assert found[2] in ("\\", "`"), "no escape character"
            return found[2]
    return "\\"


def lines_of(text: str) -> Iterator[str]:
    """Yield the logical lines: without comments, each with the ones that it goes on in."""
    escape = re.escape(escape_of(text))
    goes_on = re.compile(rf"(?:(?<!{escape}){escape}|^{escape})[ \t]*$")
    line = None
    for given in text.removeprefix("\ufeff").split("\n"):
        assert len(given.encode()) <= LONGEST, "longer than a line can be"
        physical = given.removesuffix("\r")
        if physical.lstrip(" \t\v\f\r").startswith("#"):
            continue
        if line is None:
            physical = physical.lstrip(" \t\v\f\r")
            line = ""
        elif not physical.strip():
            continue
        ended = goes_on.sub("", physical)
        line += ended
        if ended == physical:
            if line.strip():
                yield line.strip()
            line = None
    assert line is None, "the last line goes on"


def instructions(
    text: str, environment: Mapping[str, str] | None = None, *, documents: bool = False
) -> list[tuple]:
    """Return the instructions: a name, and arguments as they arrive.

    Args:
        text: Of a Dockerfile.
        environment: Variables that the base has.
        documents: Whether `<<EOF` may be there; it is read as the engine does without BuildKit.
    """
    escape = escape_of(text)
    variables = dict(environment or {})
    found = []
    for line in lines_of(text):
        name, _, rest = line.partition(" ")
        name, rest = name.upper(), rest.strip()
        if name in ("ADD", "COPY", "RUN") and not documents:
            for word in words(rest):
                assert not re.fullmatch(r"\d*<<-?[^<]+", word), "begins a document"
        if name in JSON_FORM and (given := json_form(rest)) is not None:
            if name in ("ADD", "COPY"):
                given = [expanded(word, variables, escape) for word in given]
            found.append((name, given))
        elif name in ("ENV", "LABEL") and "=" in rest:
            pairs = {}
            for word in words(rest, escape):
                key, _, value = word.partition("=")
                pairs[expanded(key, variables, escape)] = expanded(value, variables, escape)
            found.append((name, pairs))
            variables |= pairs if name == "ENV" else {}
        else:
            found.append((name, rest))
    return found


def json_form(rest: str) -> list[str] | None:
    """Return the arguments of the JSON form, or None if it is none."""
    try:
        given = json.loads(rest)
    except ValueError:
        return None
    if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
        return None
    for word in given:
        word.encode()  # half a surrogate arrives as something else
    return given


def words(text: str, escape: str = "\\") -> list[str]:
    """Return words as they are written, quotes and escapes included."""
    found, word, quote, characters = [], "", "", iter(text)
    for char in characters:
        if char == escape and quote != "'":
            word += char + next(characters, "")
            continue
        if not quote and char.isspace():
            found, word = [*found, word], ""
            continue
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        word += char
    return [word for word in [*found, word] if word]


def expanded(word: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """Return what a word means, with the values of variables."""
    # The scanner leaves out the mark of a byte order that comes first.
    word = word.removeprefix("\ufeff")
    result, quote, at = "", "", 0
    while at < len(word):
        char = word[at]
        following = word[at + 1 : at + 2]
        if quote == "'":
            quote, result = ("", result) if char == "'" else (quote, result + char)
        elif char == escape and (not quote or following in ('"', "$", escape)):
            result += following
            at += 1
        elif char == "$":
            value, at = variable(word, at, variables)
            result += value
            continue
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        else:
            result += char
        at += 1
    assert not quote, "a quote is open"
    return result


def variable(word: str, at: int, variables: Mapping[str, str]) -> tuple[str, int]:
    """Return the value of the variable at a dollar, and where the word goes on."""
    if found := re.compile(r"\$\{(\w+)(?::([-+])([^}]*))?\}").match(word, at):
        value = variables.get(found[1], "")
        if found[2] == "-":
            value = value or found[3]
        elif found[2] == "+":
            value = value and found[3]
        return value, found.end()
    assert not word.startswith("${", at), "what is in the braces is no variable"
    if found := re.compile(r"\$([A-Za-z_]\w*)", re.ASCII).match(word, at):
        return variables.get(found[1], ""), found.end()
    if word[at + 1 : at + 2] and word[at + 1] in PARAMETERS:
        return "", at + 2
    return "$", at + 1
