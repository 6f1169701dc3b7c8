"""Flows in git repositories, and in files on GitHub, GitLab, Bitbucket and CodeCommit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowhold_storage_git.bitbucket import Bitbucket
    from flowhold_storage_git.codecommit import CodeCommit
    from flowhold_storage_git.git import Git
    from flowhold_storage_git.github import GitHub
    from flowhold_storage_git.gitlab import GitLab

__version__ = "0.1.0"

__all__ = ["Bitbucket", "CodeCommit", "Git", "GitHub", "GitLab", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{name.lower()}"), name)
