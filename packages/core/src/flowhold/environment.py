"""What Python and which packages a flow was stored with, and how they differ from those here."""

from __future__ import annotations

import platform
import sys
import traceback
import warnings
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from flowhold import project, trees
from flowhold.calls import describe
from flowhold.errors import FlowholdError, SerializationError

__all__ = ["difference", "explained", "record"]

_OWN = ("flowhold", "cloudpickle")


def record(modules: Iterable[str] = ()) -> dict[str, Any]:
    """Return the environment to record with a flow.

    Args:
        modules: Names of modules that the flow uses; those of the standard library do not count.

    Returns:
        ``{"python": "3.11.7", "packages": {"flowhold": "0.1.0", …}}``
    """
    here = _of(frozenset(modules))
    return {**here, "packages": dict(here["packages"])}


@lru_cache(maxsize=64)
def _of(modules: frozenset[str]) -> Mapping[str, Any]:
    here = _plain()
    packages = dict(here["packages"])
    for top in {name.partition(".")[0] for name in modules}:
        if top not in sys.stdlib_module_names and not top.startswith(("flowhold", "__")):
            for distribution in _distributions(top):
                if version := _version(distribution):
                    packages[distribution] = version
    return {"python": here["python"], "packages": dict(sorted(packages.items()))}


def difference(recorded: Mapping[str, Any] | None, *, own: bool = True) -> list[str]:
    """Return what differs here from a recorded environment, a line each; empty where nothing does.

    Args:
        recorded: What :func:`record` returned where the flow was stored.
        own: Also tell of Flowhold itself and of cloudpickle.
    """
    if recorded == _plain():
        return []
    lines = []
    recorded = recorded if isinstance(recorded, Mapping) else {}
    python = str(recorded.get("python") or "")
    if python and python.split(".")[:2] != platform.python_version().split(".")[:2]:
        lines.append(f"python: stored with {python}, here {platform.python_version()}")
    packages = recorded.get("packages")
    for name, stored in packages.items() if isinstance(packages, Mapping) else ():
        here = _version(str(name))
        if here != stored and (own or name not in _OWN):
            lines.append(f"{name}: stored with {stored}, here {here or 'not installed'}")
    return lines


class explained:  # noqa: N801 (it is used as a function)
    """Tell of the difference of environments: in the error if the block fails, else as a warning.

    Args:
        recorded: The environment recorded with the flow, or None.
        what: What is being loaded, for the messages.

    Raises:
        SerializationError: The block raised something that is not an error of Flowhold.
    """

    def __init__(self, recorded: Mapping[str, Any] | None, what: str) -> None:
        self._recorded, self._what = recorded, what

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Tell of the difference."""
        if error is None:
            if lines := difference(self._recorded, own=False):
                told = f"{self._what} was stored in another environment: {'; '.join(lines)}"
                warnings.warn(told, UserWarning, stacklevel=2)
        elif isinstance(error, (Exception, SystemExit)) and not isinstance(error, FlowholdError):
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> SerializationError:
        reason = (
            trees.neutral(describe(error))
            .replace(f"{trees.PREFIX}.", "")
            .replace(trees.PREFIX, ".")
        )
        if not isinstance(error, SyntaxError):
            reason += place(error)
        if lines := difference(self._recorded):
            hint = f"the environment differs: {'; '.join(lines)}"
        elif isinstance(error, ImportError):
            hint = "install what is missing, or store the flow with include= or pickle_modules="
        else:
            hint = "--debug shows the traceback"
        return SerializationError(f"{self._what} could not be loaded: {reason}", hint=hint)


def place(error: BaseException) -> str:
    """Return the last line of the user's own code that an error passed through."""
    for frame, line in reversed([*traceback.walk_tb(error.__traceback__)]):
        path = Path(frame.f_code.co_filename)
        own = path.suffix == ".py" and not path.is_relative_to(Path(__file__).parent)
        if own and not project.is_installed(path):
            return f" ({path.name}, line {line})"
    return ""


@lru_cache(maxsize=1)
def _plain() -> Mapping[str, Any]:
    """Return the environment of a flow that uses no package but those that all do."""
    packages = {name: version for name in _OWN if (version := _version(name))}
    return {"python": platform.python_version(), "packages": packages}


@lru_cache(maxsize=512)
def _version(distribution: str) -> str | None:
    import importlib_metadata as metadata

    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return None


@lru_cache(maxsize=512)
def _distributions(top: str) -> tuple[str, ...]:
    """Return the distributions of a top-level module; only unusual names are costly."""
    if _version(top):
        return (top,)
    module = sys.modules.get(top)
    if not getattr(module, "__path__", None) and not getattr(module, "__file__", None):
        return ()
    return tuple(sorted(set(_by_module().get(top, ()))))


@lru_cache(maxsize=1)
def _by_module() -> Mapping[str, list[str]]:
    import importlib_metadata as metadata

    return metadata.packages_distributions()
