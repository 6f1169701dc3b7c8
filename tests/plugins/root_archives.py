"""Archives of root file systems, made of files of this machine."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

__all__ = ["Root"]


class Root:
    """A tar archive of a root file system that is written.

    A file that is put at two places is a hard link at the second.
    """

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "w")  # noqa: SIM115
        self._folders = {"."}
        self._places: dict[Path, str] = {}

    def __enter__(self) -> Root:
        return self

    def __exit__(self, *error: object) -> None:
        self._tar.close()

    def folder(self, place: str, mode: int = 0o755, owner: int = 0) -> None:
        """Add a folder, and those that it is in."""
        place = place.strip("/")
        if place not in self._folders:
            self._folders.add(place)
            parent = str(PurePosixPath(place).parent)
            self.folder(parent)
            self._add(place, tarfile.DIRTYPE, mode=mode, uid=owner, gid=owner)

    def file(self, source: Path, place: str, *, light: bool = False) -> None:
        """Add a file of this machine, where it is a link that which it leads to.

        A light one is without what debuggers read, which may be more than half of a library.
        """
        source = source.resolve()
        if source in self._places:
            self._add(place, tarfile.LNKTYPE, linkname=self._places[source])
        else:
            self._places[source] = place.strip("/")
            about = source.stat()
            mode = 0o755 if about.st_mode & 0o100 else 0o644
            content = stripped(source) if light else source.read_bytes()
            self.write(place, content, mode, about.st_mtime)

    def module(self, source: Path, place: str, tag: str) -> None:
        """Add a file, and if it is a module that was compiled for a Python, that too."""
        self.file(source, place)
        compiled = Path("__pycache__", f"{source.stem}.{tag}.pyc")
        if source.suffix == ".py" and (source.parent / compiled).exists():
            self.file(source.parent / compiled, f"{PurePosixPath(place).parent}/{compiled}")

    def write(self, place: str, content: bytes, mode: int = 0o644, modified: float = 0) -> None:
        """Add a file with a content."""
        about = {"size": len(content), "mode": mode, "mtime": int(modified)}
        self._add(place, tarfile.REGTYPE, content, **about)

    def link(self, place: str, to: str) -> None:
        """Add a symbolic link."""
        self._add(place, tarfile.SYMTYPE, linkname=to)

    def _add(self, place: str, kind: bytes, content: bytes | None = None, **about: object) -> None:
        self.folder(str(PurePosixPath(place.strip("/")).parent))
        member = tarfile.TarInfo(place.strip("/"))
        member.type = kind
        for name, told in about.items():
            setattr(member, name, told)
        self._tar.addfile(member, None if content is None else io.BytesIO(content))


def stripped(library: Path) -> bytes:
    """Return a library without what debuggers read, if there is a program that takes it away."""
    if shutil.which("strip") is None:
        return library.read_bytes()
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["strip", "-g", "-o", copy.name, library], check=True)
        return Path(copy.name).read_bytes()
