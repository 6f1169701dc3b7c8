"""What Flowhold finds by the entry points of this distribution."""

from __future__ import annotations

import flowhold
from flowhold.plugins import StorageInfo

__all__ = ["flowhold_storages"]


@flowhold.hookimpl
def flowhold_storages() -> list[StorageInfo]:
    """Tell of the storages."""
    return [
        StorageInfo("git", "flows in any git repository", "flowhold_storage_git.git:Git"),
        StorageInfo("github", "flows in files on GitHub", "flowhold_storage_git.github:GitHub"),
        StorageInfo("gitlab", "flows in files on GitLab", "flowhold_storage_git.gitlab:GitLab"),
        StorageInfo(
            "bitbucket", "flows in files on Bitbucket", "flowhold_storage_git.bitbucket:Bitbucket"
        ),
        StorageInfo(
            "codecommit",
            "flows in files of AWS CodeCommit",
            "flowhold_storage_git.codecommit:CodeCommit",
        ),
    ]
