"""The build context of an image: a folder that needs no engine to be made, and its archive."""

from __future__ import annotations

import os
import posixpath
import shutil
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

# Docker would leave our own files out by them, once more.
_NOT_COPIED = ("/.dockerignore", "/Dockerfile.dockerignore")


def write_context(recipe: Recipe, folder: Path, patterns: Sequence[str]) -> Path:
    """Write a build context, the same bytes each time, and return the path of its Dockerfile.

    Args:
        recipe: What goes into the image.
        folder: New or empty; as it was before where this fails.
        patterns: As in a ``.dockerignore``: what is left out of the user's folders.

    Raises:
        ConfigurationError: The folder has something in it, or a file of the user cannot be read.
        StorageError: The folder cannot be written.
    """
    text = render(recipe)
    folder = Path(os.path.abspath(folder))
    with _written():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigurationError(f"{folder} is not an empty folder", hint="name a new one")
        new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _fill(recipe, folder, patterns, text)
        except BaseException:
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            if new:
                folder.rmdir()
            raise
    return folder / "Dockerfile"


def _fill(recipe: Recipe, folder: Path, patterns: Sequence[str], text: str) -> None:
    own, dockerfile = folder / FOLDER, folder / "Dockerfile"
    if recipe.own_dockerfile:
        copy_tree(Path.cwd(), folder, [*patterns, *_NOT_COPIED], but=folder)
    if own.exists():
        raise ConfigurationError(
            f"there is a {FOLDER} in {Path.cwd()}, which images need for themselves",
            hint="rename it, or leave it out: dockerignore=",
        )
    if dockerfile.is_dir() and not dockerfile.is_symlink():
        raise ConfigurationError(
            f"there is a folder Dockerfile in {Path.cwd()}, where the image's own has to be",
            hint="rename it, or leave it out: dockerignore=",
        )
    for name, data in recipe.wheels.items():
        write_file(own / "wheels" / name, data)
    for number, copy in enumerate(recipe.copies):
        place = own / "files" / str(number)
        place.mkdir(parents=True)
        if copy.name is None:
            copy_tree(copy.source, place, patterns, prefix=f"{copy.source.name}/", but=folder)
        else:
            copy_file(copy.source, place / copy.name)
    for name, data in recipe.flows.items():
        write_file(own / "flows" / name, data)
    for number, (path, data) in enumerate(recipe.placed.items()):
        write_file(own / "placed" / str(number) / posixpath.basename(path), data)
    dockerfile.unlink(missing_ok=True)
    write_file(dockerfile, text.encode())
    # Images keep the modes of folders, which are not to be those of the umask.
    for inside, _, _ in os.walk(folder):
        Path(inside).chmod(0o755)


@contextmanager
def archive_of(recipe: Recipe, patterns: Sequence[str]) -> Iterator[IO[bytes]]:
    """Give a build context as an archive, in a file that is gone with the block."""
    with (
        _written(),
        TemporaryDirectory(prefix="flowhold-image-") as temporary,
        TemporaryFile() as file,
    ):
        folder = Path(temporary, "context")
        write_context(recipe, folder, patterns)
        _pack(folder, file)
        file.seek(0)
        yield file


@contextmanager
def _written() -> Iterator[None]:
    """Raise our errors in place of the system's."""
    try:
        yield
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
