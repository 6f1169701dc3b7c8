"""Submodules: repositories in a repository, each at the commit that it names."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowhold import settings
from flowhold.errors import ConfigurationError, StorageError
from flowhold_storage_git.checkout import File, too_many
from flowhold_storage_git.objects import BLOB, Objects, too_large

if TYPE_CHECKING:
    from flowhold_storage_git.source import GitSource

__all__ = ["LIST", "write_submodules"]

LIST = ".gitmodules"
_NESTING = 10
_MOST = 200


def write_submodules(
    source: GitSource,
    objects: Objects,
    files: Sequence[File],
    folder: Path,
    below: str = "",
    nesting: int = 0,
) -> tuple[dict[str, str], list[str]]:
    """Write the submodules among the files of a commit, and theirs.

    Args:
        source: The repository that has them.
        objects: With the blob that lists them.
        files: The commit's files.
        folder: Of the whole work tree.
        below: Path of the repository's own folder in it, ending with ``/``, or empty.
        nesting: Of how many repositories this one is a submodule.

    Returns:
        sha256 (hex) of their files by path, and the paths of their links.

    Raises:
        IntegrityError: With the commit's files they are more than the settings allow.
        StorageError: One is not listed, or they are nested without end.
    """
    digests: dict[str, str] = {}
    links: list[str] = []
    wanted = [file for file in files if file.is_submodule]
    allowed, size = settings.current(), 0
    urls = _urls(objects, files) if wanted else {}
    for file in wanted:
        source.submodules_seen.append(file.path)
        if nesting == _NESTING or len(source.submodules_seen) > _MOST:
            raise StorageError(
                f"the submodules of {source!r} are nested too deeply, or more than {_MOST}"
            )
        if file.path not in urls:
            raise StorageError(
                f"{source!r} says of no URL for its submodule {file.path}",
                storage="git",
                hint=f"correct {LIST} in the repository",
            )
        try:
            address = source.address.related(urls[file.path])
        except ConfigurationError as error:
            error.message = f"the submodule {file.path} of {source!r}: {error}"
            raise
        more, others = source.at(address).write(
            file.sha, folder, f"{below}{file.path}/", nesting + 1
        )
        digests |= more
        links += others
        size += sum((folder / path).stat().st_size for path in more)
        if len(files) + len(digests) + len(links) > allowed.max_tree_files:
            raise too_many(allowed.max_tree_files)
        if size > allowed.max_tree_bytes:
            raise too_large(allowed.max_tree_bytes)
    return digests, links


def _urls(objects: Objects, files: Sequence[File]) -> dict[str, str]:
    """Return the URLs of submodules by path."""
    from dulwich.config import ConfigFile, parse_submodules

    listed = next((file for file in files if file.path == LIST and not file.is_link), None)
    if listed is None:
        return {}
    try:
        config = ConfigFile.from_file(io.BytesIO(objects.read(listed.sha, BLOB)))
        return {path.decode(): url.decode() for path, url, _ in parse_submodules(config)}
    except (KeyError, ValueError) as error:
        raise StorageError(f"{LIST} of the repository is damaged: {error}") from error
