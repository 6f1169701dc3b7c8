"""A tree of files as one object: made, stored on the disk, and loaded from there as files."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

from durable import write
from loop import serve


class Contender:
    """Each round has a folder of its own, which stays."""

    def __init__(self, settings) -> None:
        self.tree = Path(settings["tree"])

    def measures(self, round_name):
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "out").mkdir()
        yield "make", self.make
        yield "store", self.store
        yield "load", self.load


class Flowhold(Contender):
    def __init__(self, settings) -> None:
        super().__init__(settings)
        # It is there, as the folder of the archives is.
        self.flows = tempfile.mkdtemp()

    def make(self):
        from flowhold.loading import load_script
        from flowhold.storage import Local

        os.environ["FLOWHOLD_CACHE_DIR"] = str(self.folder / "out" / "cache")
        script = str(self.tree / "flow.py")
        self.storage = Local(
            self.flows,
            stored_as_script=True,
            local_script_path=script,
            include=["data/"],
        )
        self.storage.add_flow(load_script(script))

    def store(self):
        self.reference = self.storage.build().references()[0]

    def load(self):
        self.reference.open_storage().get_flow("etl")


class Archive(Contender):
    """An archive made by hand."""

    def make(self):
        self.data = self.packed()

    def store(self):
        write(self.folder / "archive", self.data)

    def load(self):
        self.unpack(self.folder / "archive", self.folder / "out")

    def tar(self):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.add(self.tree, arcname=".")
        return file.getvalue()

    def untar(self, file, folder):
        with tarfile.open(fileobj=file, mode="r|") as archive:
            archive.extractall(folder, filter="data")


class TarZstd(Archive):
    """tarfile and zstandard."""

    def packed(self):
        from zstandard import ZstdCompressor

        return ZstdCompressor(level=3).compress(self.tar())

    def unpack(self, path, folder):
        from zstandard import ZstdDecompressor

        with open(path, "rb") as file:
            self.untar(ZstdDecompressor().stream_reader(file), folder)


class TarZstdCommand(Archive):
    """tar and zstd as programs."""

    def packed(self):
        return subprocess.check_output(["tar", "-C", self.tree, "-c", "-I", "zstd -3", "."])

    def unpack(self, path, folder):
        subprocess.run(["tar", "-C", folder, "-x", "-I", "zstd", "-f", path], check=True)


class TarGzip(Archive):
    """tarfile and gzip -9."""

    def packed(self):
        return gzip.compress(self.tar(), 9)

    def unpack(self, path, folder):
        with gzip.open(path) as file:
            self.untar(file, folder)


class Zip(Archive):
    """zipfile with deflate, level 9."""

    def packed(self):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path in sorted(self.tree.rglob("*")):
                archive.write(path, path.relative_to(self.tree))
        return file.getvalue()

    def unpack(self, path, folder):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)


if __name__ == "__main__":
    serve(Flowhold, TarZstd, TarZstdCommand, TarGzip, Zip)
