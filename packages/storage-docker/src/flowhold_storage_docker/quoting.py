r"""Text of users as words of a Dockerfile: nothing of it becomes an instruction.

The parser of Dockerfiles takes a line at a time, of up to 64 KiB. A line that ends with the escape
character, ``\`` unless a directive says otherwise, goes on in the next. Words are taken apart as a
shell would: quotes, the escape character and ``$`` mean something, in the JSON form too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from flowhold.errors import ConfigurationError

__all__ = ["check_end", "check_line", "env", "escape_character", "exec_form", "label", "words"]

_LONGEST = 60_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_VARIABLE = re.compile(r"\$(?:\$|(?P<plain>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)\})", re.ASCII)
_DIRECTIVE = re.compile(r"#\s*(?P<name>[A-Za-z][A-Za-z0-9]*)\s*=\s*(?P<value>.+?)\s*")
_DIRECTIVES = {"check", "escape", "syntax"}


def escape_character(dockerfile: str) -> str:
    r"""Return the escape character of a Dockerfile: what its directive says, else ``\``.

    Raises:
        ConfigurationError: The directive names a character that cannot be one.
    """
    for line in dockerfile.split("\n"):
        found = _DIRECTIVE.fullmatch(line.strip())
        # Directives stand at the beginning; what looks like another one is a comment.
        if not found or found["name"].lower() not in _DIRECTIVES:
            break
        if found["name"].lower() == "escape":
            if found["value"] not in ("\\", "`"):
                raise ConfigurationError(
                    f"the Dockerfile has the escape character {found['value']!r:.20}",
                    hint="it is ` or \\",
                )
            return found["value"]
    return "\\"


def env(name: str, value: str, escape: str = "\\") -> str:
    """Return the instruction that sets a variable.

    Args:
        name: Of letters, digits, ``_``, ``.`` and ``-``.
        value: In it ``$VAR`` and ``${VAR}`` are what the variable is in the image at that point,
            ``$$`` is a dollar; any other dollar is one, too.
        escape: The Dockerfile's escape character.

    Raises:
        ConfigurationError: An ENV instruction cannot hold the name or the value. The text does not
            show the value.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r:.60} in env_vars cannot be the name of a variable",
            hint="names have letters, digits, and . _ - in them",
        )
    what = f"the value of {name:.60} in env_vars"
    if not isinstance(value, str):
        raise ConfigurationError(f"{what} is not text")
    if set("\n\r\0") & set(value):
        raise ConfigurationError(
            f"{what} has a line break or a NUL in it, which an image cannot hold",
            hint="put it into a file, with files=",
        )
    parts, at = [], 0
    for found in _VARIABLE.finditer(value):
        parts.append(_escaped(value[at : found.start()], '"$', escape))
        known = found["plain"] or found["braced"]
        parts.append(f"${{{known}}}" if known else f"{escape}$")
        at = found.end()
    parts.append(_escaped(value[at:], '"$', escape))
    return check_line(f'ENV {name}="{"".join(parts)}"', what)


def exec_form(instruction: str, arguments: Iterable[str]) -> str:
    """Return an instruction that takes its arguments as they are: ``RUN ["pip", "install"]``."""
    return check_line(f"{instruction} {_json(arguments)}", f"a {instruction} instruction")


def words(instruction: str, arguments: Iterable[str], escape: str = "\\") -> str:
    """Return an instruction in the JSON form whose words are taken apart, such as COPY."""
    # A mark of the byte order would be dropped where it comes first.
    quoted = [_escaped(argument, "\"'$\ufeff", escape) for argument in arguments]
    return check_line(f"{instruction} {_json(quoted)}", f"a {instruction} instruction")


def label(name: str, value: str, escape: str = "\\") -> str:
    """Return the instruction that sets a label.

    What a label cannot hold becomes a space, or a question mark where it is no text.
    """
    plain = re.sub("[\n\r\0]+", " ", value).encode(errors="replace").decode()
    text = _escaped(plain, '"$', escape)
    return check_line(f'LABEL {name}="{text}"', f"the label {name}")


def check_end(text: str, escape: str, what: str) -> None:
    """Raise ConfigurationError where the line behind a text of the user would be a part of it."""
    if not isinstance(text, str) or "\0" in text:
        raise ConfigurationError(f"{what} must be text")
    for line in text.split("\n"):
        check_line(line, f"a line of {what}")
    # Comments and empty lines do not end a line that goes on.
    lines = [line.rstrip() for line in text.split("\n") if not line.lstrip().startswith("#")]
    if "".join(lines).endswith(escape):
        raise ConfigurationError(
            f"{what} must be text that does not end with {escape}",
            hint="that joins the next line to it",
        )


def check_line(line: str, what: str) -> str:
    """Return a line that the parser of Dockerfiles takes; raise ConfigurationError otherwise."""
    try:
        size = len(line.encode())
    except UnicodeEncodeError:
        raise ConfigurationError(f"{what} cannot be written as UTF-8") from None
    if size > _LONGEST:
        raise ConfigurationError(
            f"{what} is too long for a line of a Dockerfile: {size:,} bytes of {_LONGEST:,}",
            hint="put it into a file, with files=, or into a Dockerfile of your own",
        )
    return line


def _escaped(text: str, special: str, escape: str) -> str:
    return "".join(escape + char if char in special + escape else char for char in text)


def _json(arguments: Iterable[str]) -> str:
    given = [*arguments]
    # Half a surrogate would get in, as something else.
    check_line(" ".join(given), "what is to be in the image")
    return json.dumps(given)
