"""The build context of an image: a folder that needs no engine to be made, and its archive."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO

from flowhold.errors import ConfigurationError, StorageError
from flowhold_storage_docker.dockerfile import FOLDER, Recipe, render
from flowhold_storage_docker.files import copy_file, copy_tree, write_file

__all__ = ["archive_of", "write_context"]


def write_context(recipe: Recipe, folder: Path, patterns: Sequence[str]) -> Path:
    """Write a build context, the same bytes each time, and return the path of its Dockerfile.

    Args:
        recipe: What goes into the image.
        folder: New or empty.
        patterns: As in a ``.dockerignore``: what is left out of the user's folders.

    Raises:
        ConfigurationError: The folder has something in it, or a file of the user cannot be read.
    """
    text = render(recipe)
    folder = Path(os.path.abspath(folder))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is not an empty folder", hint="name a new one")
    folder.mkdir(parents=True, exist_ok=True)
    if recipe.own_dockerfile:
        copy_tree(Path.cwd(), folder, patterns, but=folder)
    own = folder / FOLDER
    if own.exists():
        raise ConfigurationError(
            f"there is a {FOLDER} in {Path.cwd()}, which images need for themselves",
            hint="it is left by an interrupted build, or needs another name",
        )
    for name, data in recipe.wheels.items():
        write_file(own / "wheels" / name, data)
    for number, copy in enumerate(recipe.copies):
        place = own / "files" / str(number)
        place.mkdir(parents=True)
        if copy.name is None:
            copy_tree(copy.source, place, patterns, prefix=f"{copy.source.name}/")
        else:
            copy_file(copy.source, place / copy.name)
    for name, data in recipe.flows.items():
        write_file(own / "flows" / name, data)
    for number, (path, data) in enumerate(recipe.placed.items()):
        write_file(own / "placed" / str(number) / Path(path).name, data)
    dockerfile = folder / "Dockerfile"
    dockerfile.unlink(missing_ok=True)
    write_file(dockerfile, text.encode())
    return dockerfile


@contextmanager
def archive_of(recipe: Recipe, patterns: Sequence[str]) -> Iterator[IO[bytes]]:
    """Give a build context as an archive, in a file that is gone with the block."""
    try:
        with TemporaryDirectory(prefix="flowhold-image-") as temporary, TemporaryFile() as file:
            folder = Path(temporary, "context")
            write_context(recipe, folder, patterns)
            _pack(folder, file)
            file.seek(0)
            yield file
    except OSError as error:
        if isinstance(error, StorageError) or error.errno is None:
            raise
        raise StorageError(
            f"the build context could not be written: {error.strerror}",
            storage="Docker",
            hint="free some space in the folder for temporary files, or set TMPDIR",
        ) from error


def _pack(folder: Path, file: IO[bytes]) -> None:
    with tarfile.open(fileobj=file, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            entry = archive.gettarinfo(path, path.relative_to(folder).as_posix())
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = 0
            if not entry.issym():
                program = entry.isdir() or entry.mode & stat.S_IXUSR
                entry.mode = 0o755 if program else 0o644
            if entry.isreg():
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)
