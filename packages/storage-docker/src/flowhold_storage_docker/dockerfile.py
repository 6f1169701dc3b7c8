"""The text of a Dockerfile: what seldom changes comes first, so that its layers are kept."""

from __future__ import annotations

import platform
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flowhold_storage_docker import quoting
from flowhold_storage_docker.files import Copy

__all__ = ["FOLDER", "Recipe", "render"]

FOLDER = ".flowhold-image"
"""Folder of the build context with everything that is not the user's own."""
_PIP = ("python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check")


@dataclass(frozen=True)
class Recipe:
    """What goes into an image."""

    base: str
    """Name of the image to build on, or the text of a Dockerfile."""
    directory: str
    """Folder of Flowhold in the image."""
    flows_directory: str
    """Folder of the flows in the image."""
    own_dockerfile: bool = False
    """Whether `base` is the text of a Dockerfile."""
    env_vars: Mapping[str, str] = field(default_factory=dict)
    dependencies: Sequence[str] = ()
    flowhold: str | None = None
    """What pip installs as Flowhold, where that is not the wheel of what runs here."""
    wheels: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """By file name: Flowhold, this plugin, and the plugins of results."""
    copies: Sequence[Copy] = ()
    """Files and folders of the user, in the order of their numbers."""
    flows: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Files of the folder of flows, by name."""
    placed: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Flows at explicit paths."""
    labels: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()
    """Further lines of the user."""
    check: bool = True
    """Whether the flows are loaded as the last step."""


def render(recipe: Recipe) -> str:
    """Return the text of the Dockerfile.

    Raises:
        ConfigurationError: An option has something in it that a Dockerfile cannot hold.
    """
    escape = quoting.escape_character(recipe.base) if recipe.own_dockerfile else "\\"
    lines = [recipe.base.rstrip("\r\n") if recipe.own_dockerfile else f"FROM {recipe.base}"]
    quoting.check_end(lines[0], escape, "the Dockerfile")
    lines += [quoting.env(name, value, escape) for name, value in recipe.env_vars.items()]
    if recipe.dependencies:
        lines.append(quoting.exec_form("RUN", [*_PIP, "--", *recipe.dependencies]))
    lines += _installing(recipe, escape)
    for number, copy in enumerate(recipe.copies):
        source = f"{FOLDER}/files/{number}/"
        lines.append(quoting.words("COPY", [source, copy.folder], escape))
    if recipe.flows:
        target = f"{recipe.flows_directory}/"
        lines.append(quoting.words("COPY", [f"{FOLDER}/flows/", target], escape))
    for number, path in enumerate(recipe.placed):
        target = posixpath.join(posixpath.dirname(path), "")
        lines.append(quoting.words("COPY", [f"{FOLDER}/placed/{number}/", target], escape))
    lines += [quoting.label(name, value, escape) for name, value in recipe.labels.items()]
    for command in recipe.commands:
        quoting.check_end(command, escape, "extra_dockerfile_commands")
        lines.append(command)
    if recipe.check and recipe.flows:
        module = "flowhold_storage_docker.healthcheck"
        here = ".".join(platform.python_version_tuple()[:2])
        # What it compiles would stay in the image.
        arguments = ["python", "-B", "-m", module, recipe.flows_directory, here]
        lines.append(quoting.exec_form("RUN", arguments))
    return "\n".join([*lines, ""])


def _installing(recipe: Recipe, escape: str) -> list[str]:
    """Return the lines that install Flowhold as it is here, whatever version the base has."""
    target = posixpath.join(recipe.directory, "wheels", "")
    lines = [quoting.words("COPY", [f"{FOLDER}/wheels/", target], escape)]
    paths = [f"{target}{name}" for name in recipe.wheels]
    with_needs = [path for path in paths if "/flowhold_storage_docker-" not in path]
    if recipe.flowhold is not None:
        with_needs.append(recipe.flowhold)
    # First they themselves, whatever version the base has, then what they need: for what is there
    # already, pip takes a wheel of the same version for the same. This plugin runs there without
    # the SDK of Docker.
    lines.append(quoting.exec_form("RUN", [*_PIP, "--no-deps", "--force-reinstall", "--", *paths]))
    if with_needs:
        lines.append(quoting.exec_form("RUN", [*_PIP, "--", *with_needs]))
    return lines
