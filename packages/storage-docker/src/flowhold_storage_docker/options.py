"""Options of the storage, checked when they are given."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flowhold.errors import ConfigurationError
from flowhold.storage.documents import strings
from flowhold_storage_docker.quoting import env

__all__ = [
    "check_build_kwargs",
    "check_directory",
    "check_file",
    "check_files",
    "check_requirements",
    "check_run_kwargs",
    "check_variables",
    "check_version",
]

# A user alone, as in git+ssh://git@host, is none.
_LOGIN = re.compile(r"(?<![\w+.-])(?!([\w.-]+\+)?ssh://[^/@:\s]*@)[\w+.-]+://[^/@\s]*@")

_OURS = {
    *("path", "fileobj", "custom_context", "encoding", "gzip", "dockerfile", "decode", "quiet"),
    *("tag", "platform", "target"),
}


def check_requirements(given: Sequence[str] | None) -> list[str] | None:
    """Return requirements as a list of their own, None for none.

    Raises:
        ConfigurationError: One of them is an option of pip, or no line of text.
    """
    requirements = strings("python_dependencies", given)
    for text in requirements:
        _refuse_login("python_dependencies", text)
        if text.lstrip().startswith("-") or not text.isprintable():
            raise ConfigurationError(
                f"{text!r:.80} in python_dependencies is not a requirement",
                hint="options of pip are variables too: env_vars={'PIP_INDEX_URL': …}",
            )
    return requirements or None


def check_variables(given: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return variables as a dictionary of their own, None for none; see :func:`quoting.env`."""
    if given is not None and not isinstance(given, Mapping):
        raise ConfigurationError("env_vars must be a mapping of names to texts")
    variables = dict(given or {})
    for name, value in variables.items():
        env(name, value)
        _refuse_login(f"the variable {name} of env_vars", value)
    return variables or None


def check_version(given: str | None) -> str | None:
    """Return what pip shall take for Flowhold; raise ConfigurationError if a login is in it."""
    if isinstance(given, str):
        _refuse_login("flowhold_version", given)
    return given


def _refuse_login(option: str, text: str) -> None:
    """Raise ConfigurationError, which does not show it, if a URL in a text has a login."""
    if _LOGIN.search(text):
        raise ConfigurationError(
            f"{option} has a URL with a login, which everybody could read who has the image",
            hint="install what needs one in a base_image, whose builder has secrets "
            "(`docker build --secret`), and leave it out here",
        )


def check_directory(path: str) -> str:
    """Return a folder in an image without a slash at its end.

    Raises:
        ConfigurationError: It is not absolute, or has something in it that no path has.
    """
    if not isinstance(path, str) or not path.startswith("/") or not path.isprintable():
        raise ConfigurationError(
            f"{path!r:.80} cannot be a folder in an image", hint="give an absolute path"
        )
    found = f"/{posixpath.normpath(path).lstrip('/')}"
    if found == "/":
        raise ConfigurationError("flowhold_directory cannot be the root of the image")
    return found


def check_file(path: str) -> str:
    """Return the path of a file in an image.

    Raises:
        ConfigurationError: It is not absolute, or is none of a file.
    """
    fits = isinstance(path, str) and path.isprintable() and re.fullmatch("(/[^/]+)+", path)
    if not fits or posixpath.normpath(path) != path:
        raise ConfigurationError(
            f"{path!r:.80} cannot be the path of a flow in an image",
            hint="give an absolute path of a file: /app/flows/etl.py",
        )
    return path


def check_files(given: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return sources and destinations as a dictionary of their own, None for none.

    Raises:
        ConfigurationError: A source is not absolute, or a destination is no path.
    """
    if given is not None and not isinstance(given, Mapping):
        raise ConfigurationError("files must be a mapping of sources to their places in the image")
    files = {}
    for source, target in (given or {}).items():
        if not isinstance(source, (str, os.PathLike)) or not os.path.isabs(source):
            raise ConfigurationError(
                f"the source {source!r:.200} in files is not an absolute path",
                hint="give os.path.abspath(...) of it",
            )
        if not isinstance(target, (str, os.PathLike)) or not str(target) or "\0" in str(target):
            raise ConfigurationError(f"the destination of {source!r:.200} in files is not a path")
        files[os.fspath(source)] = os.fspath(target)
    return files or None


def check_run_kwargs(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return how containers run, None for none; raise ConfigurationError if it is no mapping."""
    if given is not None and not isinstance(given, Mapping):
        raise ConfigurationError("run_kwargs must be a mapping")
    return dict(given or {}) or None


def check_build_kwargs(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return arguments of the SDK's ``build``, None for none.

    Raises:
        ConfigurationError: One of them is the storage's own.
    """
    if given is not None and not isinstance(given, Mapping):
        raise ConfigurationError("build_kwargs must be a mapping")
    arguments = dict(given or {})
    if taken := sorted(_OURS & arguments.keys()):
        raise ConfigurationError(
            f"build_kwargs cannot have {', '.join(taken)}",
            hint="image_tag=, dockerfile= and platform= are options of the storage; flows go into "
            "the last stage",
        )
    return arguments or None
